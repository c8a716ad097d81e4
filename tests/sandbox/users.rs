//! The cases once more as other users, without a change to the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use lith::sandbox::Mode;

use super::ground::{Ground, told};
use super::{clock, ends, escapes, files, mounts, world};
use crate::support::{World, lith, programs};

/// Which mode a run of the cases is to find itself in.
const EXPECTED: &str = "LITH_SANDBOX_MODE";

fn all() -> impl Iterator<Item = (&'static str, fn(&Ground))> {
    [world::CASES, ends::CASES, mounts::CASES, escapes::CASES, files::CASES, clock::CASES]
        .concat()
        .into_iter()
}

#[test]
#[ignore = "started by the tests below, as another user"]
fn cases_as_another() {
    let Ok(expected) = std::env::var(EXPECTED) else { return };
    let mut failed = Vec::new();
    for (name, case) in all() {
        let Some(ground) = Ground::new(name) else { continue };
        let mode = match ground.sandbox.mode() {
            Mode::Root => "root",
            Mode::Subordinate { .. } => "subordinate",
            Mode::Single { .. } => "single",
        };
        assert_eq!(mode, expected, "{:?}", ground.sandbox.mode());
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&ground))).is_err() {
            failed.push(name);
        }
    }
    assert_eq!(failed, Vec::<&str>::new());
}

/// Runs the cases as uid 1234, with what `/etc` says changed for them alone.
fn as_a_user(mode: &str, etc: &[(&str, &str)]) {
    let what = format!("an ordinary user ({mode})");
    let Some((unshare, setpriv)) = programs::find("unshare", &what).zip(programs::find("setpriv", &what))
    else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("warning: not root: {what} was NOT tested");
        return;
    }
    let world = World::new();
    world.chmod("", 0o755);
    // Where the user may read it.
    let copy = |from: &Path, name: &str| -> PathBuf {
        let to = world.path(name);
        std::fs::copy(from, &to).unwrap();
        world.chmod(name, 0o755);
        to
    };
    let (program, tests) = (copy(&lith(), "lith"), copy(&std::env::current_exe().unwrap(), "tests"));
    let temp = world.path("temp");
    std::fs::create_dir(&temp).unwrap();
    std::os::unix::fs::chown(&temp, Some(1234), Some(1234)).unwrap();
    let mut script = String::from("set -e\n");
    for (file, text) in etc {
        world.write(file, text).chmod(file, 0o644);
        script.push_str(&format!(
            "[ -e /etc/{file} ] || exit 77\nmount --bind {} /etc/{file}\n",
            world.path(file).display()
        ));
    }
    script.push_str("exec \"$@\"\n");
    let mut command = Command::new(unshare);
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]);
    command.arg(setpriv).args(["--reuid=1234", "--regid=1234", "--clear-groups", "--inh-caps=-all"]);
    command.arg(tests).args(["--exact", "sandbox::users::cases_as_another", "--ignored", "--nocapture"]);
    command.current_dir("/").env("LITH", program).env("TMPDIR", temp).env(EXPECTED, mode);
    let output = command.output().unwrap();
    if output.status.code() == Some(77) {
        eprintln!("warning: the machine lacks a file of `/etc`: {what} was NOT tested");
        return;
    }
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn as_a_user_with_subordinate_ids() {
    if programs::find("newuidmap", "subordinate ids").is_some() {
        let ranges = "1234:1000000:65536\n";
        let passwd = std::fs::read("/etc/passwd").unwrap();
        let mut passwd = String::from_utf8_lossy(&passwd).into_owned();
        passwd.push_str("lith-test:x:1234:1234::/:/bin/sh\n");
        as_a_user("subordinate", &[("subuid", ranges), ("subgid", ranges), ("passwd", &passwd)]);
    }
}

#[test]
fn as_a_user_without() {
    as_a_user("single", &[("subuid", ""), ("subgid", "")]);
}

#[test]
fn who_can_not_is_told_why() {
    let (Some(unshare), Some(setpriv)) =
        (programs::find("unshare", "modes"), programs::find("setpriv", "modes"))
    else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A container's root: no CAP_SYS_ADMIN, but the right to map its own ids.
    let run = |set: &str, script: &str| {
        let mut command = Command::new(&unshare);
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(&setpriv);
        command.arg(format!("--bounding-set={set}")).arg(format!("--inh-caps={set}"));
        command.arg(std::env::current_exe().unwrap());
        command.args(["--exact", "sandbox::users::tell", "--ignored", "--nocapture"]);
        let output = command.env("LITH", lith()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let none = run("-sys_admin", "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"");
    assert!(none.contains("without CAP_SYS_ADMIN") && none.contains("making a user namespace"), "{none}");
    assert!(none.contains("user.max_user_namespaces"), "{none}");
}

#[test]
#[ignore = "started by the test above"]
fn tell() {
    let dir = tempfile::tempdir().unwrap();
    let options = lith::sandbox::Options { program: lith(), temp: dir.path().to_owned() };
    match lith::sandbox::Sandbox::new(&options) {
        Ok(sandbox) => println!("{:?}", sandbox.mode()),
        Err(error) => println!("{error:?} {}", told(&error)),
    }
}

#[test]
fn a_containers_root_has_its_own_ids() {
    let (Some(unshare), Some(setpriv)) =
        (programs::find("unshare", "modes"), programs::find("setpriv", "modes"))
    else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let output = Command::new(unshare)
        .arg("--mount")
        .arg(setpriv)
        .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::users::cases_as_another", "--ignored", "--nocapture"])
        .env("LITH", lith())
        .env(EXPECTED, "subordinate")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
