//! The cases once more as other users, without a change to the machine.

use std::path::PathBuf;
use std::process::Command;

use lith::sandbox::Mode;

use super::ground::{Ground, told};
use super::{clock, ends, escapes, files, mounts, swaps, world};
use crate::support::{lith, programs, users};

/// Which mode a run of the cases is to find itself in.
const EXPECTED: &str = "LITH_SANDBOX_MODE";

fn all() -> impl Iterator<Item = (&'static str, fn(&Ground))> {
    [world::CASES, ends::CASES, mounts::CASES, escapes::CASES, files::CASES, swaps::CASES, clock::CASES]
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

#[test]
fn as_a_user_with_subordinate_ids() {
    users::run("sandbox::users::cases_as_another", users::Ids::Subordinate, &[(EXPECTED, "subordinate")]);
}

#[test]
fn as_a_user_without() {
    users::run("sandbox::users::cases_as_another", users::Ids::Single, &[(EXPECTED, "single")]);
}

/// What root has to become less.
fn means() -> Option<(PathBuf, PathBuf)> {
    let found = programs::find("unshare", "modes").zip(programs::find("setpriv", "modes"));
    found.filter(|_| rustix::process::geteuid().is_root())
}

#[test]
fn who_can_not_is_told_why() {
    let Some((unshare, setpriv)) = means() else { return };
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
    let Some((unshare, setpriv)) = means() else { return };
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
