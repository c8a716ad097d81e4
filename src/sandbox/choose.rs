//! Which of the ways to run a step this machine allows: the first that works, in order of what it can do.

use std::path::Path;

use rustix::thread::CapabilitySet;

use super::ids::{self, Start};
use super::start::{Program, find_helper};
use super::{Mode, Sandbox, SandboxError};

pub(super) fn choose(program: Program, temp: &Path) -> Result<Sandbox, SandboxError> {
    let mut refused = Vec::new();
    for (start, mut mode) in candidates(&mut refused) {
        if let Mode::Single { why } = &mut mode {
            why.clone_from(&refused.join("; "));
        }
        let overlay = Sandbox::probe(&program, &start, temp, false);
        let tried = match overlay {
            Ok(()) => Ok(true),
            Err(error) => Sandbox::probe(&program, &start, temp, true).map(|()| false).map_err(|_| error),
        };
        match tried {
            Ok(overlay) => return Ok(Sandbox { program, start, mode, overlay }),
            Err(error) => refused.push(told(&start, &error)),
        }
    }
    Err(SandboxError::Unavailable { why: refused.join("; "), advice: advice() })
}

fn told(start: &Start, error: &SandboxError) -> String {
    let what = match start {
        Start::Here { .. } => "as root",
        Start::Helped { .. } => "in a user namespace with subordinate ids",
        Start::Mapped(_) => "in a user namespace with root's own ids",
        Start::Single { .. } => "in a user namespace with one id",
    };
    format!("{what}: {}", crate::text::causes(error))
}

/// The ways that are worth trying. Why others are not is added to `refused`.
fn candidates(refused: &mut Vec<String>) -> Vec<(Start, Mode)> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let single =
        (Start::Single { uid: uid.as_raw(), gid: gid.as_raw() }, Mode::Single { why: String::new() });
    if !uid.is_root() {
        let mut ways = Vec::new();
        match helped(uid.as_raw(), gid.as_raw()) {
            Ok(way) => ways.push(way),
            Err(why) => refused.push(why),
        }
        ways.push(single);
        return ways;
    }
    let own = ids::own();
    let capabilities = rustix::thread::capabilities(None).map(|sets| sets.effective);
    let has = |one| capabilities.as_ref().is_ok_and(|set| set.contains(one));
    let mut ways = Vec::new();
    if !has(CapabilitySet::SYS_ADMIN) {
        refused.push("lith is root, but without CAP_SYS_ADMIN".into());
    } else if own.ids() > 1 {
        let real = own.uids == [[0, 0, u32::MAX]];
        ways.push((Start::Here { real }, Mode::Root));
    } else {
        refused.push("lith is root of a user namespace that has one id".into());
    }
    if has(CapabilitySet::SETUID) && has(CapabilitySet::SETGID) && own.ids() > 1 {
        let ids = own.ids();
        ways.push((Start::Mapped(own), Mode::Subordinate { ids }));
    }
    ways.push(single);
    ways
}

fn helped(uid: u32, gid: u32) -> Result<(Start, Mode), String> {
    let helper = |name| find_helper(name).ok_or_else(|| format!("`{name}` is not installed"));
    let maps = ids::subordinate(uid, gid)?;
    let ids = maps.ids();
    let (newuidmap, newgidmap) = (helper("newuidmap")?, helper("newgidmap")?);
    Ok((Start::Helped { newuidmap, newgidmap, maps }, Mode::Subordinate { ids }))
}

/// What would let steps be run, from what the kernel says of itself.
fn advice() -> Vec<String> {
    let set =
        |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_owned()).unwrap_or_default();
    let mut advice = Vec::new();
    if set("/proc/sys/user/max_user_namespaces") == "0" {
        advice.push("allow user namespaces: `sysctl -w user.max_user_namespaces=65536`".into());
    }
    if set("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        advice.push("allow user namespaces: `sysctl -w kernel.unprivileged_userns_clone=1`".into());
    }
    if set("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        advice.push(
            "allow user namespaces: an AppArmor profile for lith with `userns,`, or \
             `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
                .into(),
        );
    }
    advice.push(
        "in a container: `--security-opt seccomp=unconfined --security-opt apparmor=unconfined \
         --security-opt systempaths=unconfined`, or `--privileged`"
            .into(),
    );
    advice
}
