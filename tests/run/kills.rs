//! lith killed at any moment of a build with RUN: nothing is left, nothing is broken.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::world;
use crate::support::{World, users};

/// How often lith is killed, where `LITH_KILLS` says nothing.
const KILLS: u32 = 8;

fn kills() -> u32 {
    std::env::var("LITH_KILLS").map_or(KILLS, |text| text.parse().expect("`LITH_KILLS` is a number"))
}

/// Steps of each kind: with processes that stay behind, mounts of all types, groups, a file of some megabytes. The
/// sleeps have an argument that nobody else's have.
fn buildfile(mark: &str) -> String {
    format!(
        "FROM bb AS one\nRUN mkdir -p /a/b; for i in 1 2 3 4 5 6 7 8 9; do echo $i > /a/b/$i; done\n\
         RUN (setsid sleep {mark} &) ; rm -r /a/b; mkdir /a/b; echo x > /a/b/x; chmod 700 /a/b\n\
         RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=target=/m \
         echo c >> /c/f; echo t > /t/f; sleep 0.03; head -c 5000000 /dev/zero > /zeros\n\
         FROM bb AS two\nRUN sleep 0.05; mkfifo /p; ln -s p /l\n\
         FROM one\nCOPY --from=two /etc/group /z/\nRUN ls -R /a /z > /list; sleep 0.02\n"
    )
}

fn build(world: &World, args: &[&str]) -> std::process::Command {
    let fixed = ["build", "-q", "-f", "Buildfile", "--build-context", "bb=bb", "--pids-limit", "500", "ctx"];
    world.command(fixed.iter().chain(args))
}

/// The processes of the machine that are this test's, or workers without a lith.
fn processes(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.trim_end() == format!("sleep {mark}") {
            found.push(format!("{} {line}", entry.path().display()));
        }
    }
    found
}

/// What of the store's unpacked layers is unfinished or not wanted.
fn unfinished(store: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for mode in std::fs::read_dir(store.join("lith/roots")).unwrap().flatten() {
        for part in ["work", "dead"] {
            let entries = std::fs::read_dir(mode.path().join(part)).unwrap().flatten();
            found.extend(entries.map(|entry| entry.path().display().to_string()));
        }
    }
    found
}

fn seconds_until(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill_again_and_again() {
    let Some(world) = world("kills") else { return };
    // Seconds that no other test's `sleep` has.
    let mark = format!("{}77", std::process::id());
    world.write("Buildfile", buildfile(&mark)).write("ctx/f", "f");
    let run = |args: &[&str]| {
        let output = build(&world, args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let right = run(&[]);
    let start = Instant::now();
    assert_eq!(run(&["--no-cache"]), right);
    let whole = start.elapsed();
    for round in 0..kills() {
        if round % 4 == 3 {
            world.ok(["gc", "--cache-mounts"]);
        }
        let moment = whole.mul_f64(fastrand::f64() * 1.1);
        let mut command = build(&world, &["--no-cache"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        let told = format!("kill {round}, after {moment:?} of {whole:?}");
        assert_eq!(run(&[]), right, "{told}");
        seconds_until(&format!("{told}: processes are left"), || processes(&mark).is_empty());
        seconds_until(&format!("{told}: groups are left"), || super::super::sandbox::groups().is_empty());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&*world.path("").to_string_lossy()), "{told}: {mounts}");
        world.ok(["fsck"]);
    }
    assert_eq!(run(&["--no-cache"]), right);
    assert_eq!(unfinished(&world.path("store")), Vec::<String>::new());
    world.ok(["gc", "--cache-mounts"]);
    world.ok(["fsck"]);
    println!("{} kills of a build of {whole:?}", kills());
}

#[test]
fn kills_leave_nothing() {
    kill_again_and_again();
}

#[test]
#[ignore = "started by the tests below, as another user"]
fn kills_as_another() {
    kill_again_and_again();
}

#[test]
fn kills_of_a_users_builds_leave_nothing() {
    for ids in [users::Ids::Subordinate, users::Ids::Single] {
        users::run("run::kills::kills_as_another", ids, &[]);
    }
}
