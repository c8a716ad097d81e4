//! Tests once more as an ordinary user, without a change to the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{World, lith, programs};

/// Nobody's on any machine that tests run on.
const USER: u32 = 1234;

/// What ids the user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Those that `/etc/subuid` and `/etc/subgid` give.
    Subordinate,
    /// The user's own alone.
    Single,
}

/// Runs an ignored test as an ordinary user, with what `/etc` says changed for it alone; gives what it printed, or
/// `None` after saying so where that can't be done.
#[track_caller]
pub(crate) fn run(test: &str, ids: Ids, env: &[(&str, &str)]) -> Option<String> {
    let what = format!("an ordinary user ({ids:?}): {test}");
    let (unshare, setpriv) = programs::find("unshare", &what).zip(programs::find("setpriv", &what))?;
    if ids == Ids::Subordinate {
        programs::find("newuidmap", &what)?;
    }
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "not root: {what} was NOT tested");
        eprintln!("warning: not root: {what} was NOT tested");
        return None;
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
    std::os::unix::fs::chown(&temp, Some(USER), Some(USER)).unwrap();
    let mut script = String::from("set -e\n");
    for (file, text) in etc(ids) {
        world.write(file, text).chmod(file, 0o644);
        script.push_str(&format!(
            "[ -e /etc/{file} ] || exit 77\nmount --bind {} /etc/{file}\n",
            world.path(file).display()
        ));
    }
    script.push_str("exec \"$@\"\n");
    let (uid, gid) = (format!("--reuid={USER}"), format!("--regid={USER}"));
    let output = Command::new(unshare)
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .arg(setpriv)
        .args([&uid, &gid, "--clear-groups", "--inh-caps=-all"])
        .arg(tests)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .current_dir("/")
        .env("LITH", program)
        .env("TMPDIR", temp)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    if output.status.code() == Some(77) {
        eprintln!("warning: the machine lacks a file of `/etc`: {what} was NOT tested");
        return None;
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("1 passed"), "no test of that name was run: {printed}");
    Some(printed)
}

fn etc(ids: Ids) -> Vec<(&'static str, String)> {
    if ids == Ids::Single {
        return vec![("subuid", String::new()), ("subgid", String::new())];
    }
    let ranges = format!("{USER}:1000000:65536\n");
    let mut passwd = String::from_utf8_lossy(&std::fs::read("/etc/passwd").unwrap()).into_owned();
    passwd.push_str(&format!("lith-test:x:{USER}:{USER}::/:/bin/sh\n"));
    vec![("subuid", ranges.clone()), ("subgid", ranges), ("passwd", passwd)]
}
