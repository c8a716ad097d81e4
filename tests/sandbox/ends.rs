//! How a step ends, and that all ends with it.

use std::time::{Duration, Instant};

use lith::sandbox::{Limit, Status, Step, Stream};

use super::ground::Ground;
use crate::support::{lith, programs};

super::cases! {
    codes_and_signals what_is_written_comes_in_order background_processes_end a_step_that_takes_too_long
    a_program_that_is_not_there a_working_directory_that_is_not_there memory_has_a_bound processes_have_a_bound
    much_output_is_whole who_listens_may_give_up
}

fn status(ground: &Ground, script: &str) -> Status {
    ground.run(&ground.script(script)).exit.status
}

fn codes_and_signals(ground: &Ground) {
    assert_eq!(status(ground, "exit 0"), Status::Code(0));
    assert_eq!(status(ground, "exit 255"), Status::Code(255));
    assert_eq!(
        status(ground, "kill -9 $$; exit 7"),
        Status::Code(7),
        "the first process has no default signals"
    );
    assert_eq!(status(ground, "(kill -9 $(sh -c 'echo $PPID'))"), Status::Code(137));
    assert_eq!(ground.sh("trap 'echo caught' TERM; kill $$; echo; (yes | head -n 1)"), "caught\n\ny\n");
}

fn what_is_written_comes_in_order(ground: &Ground) {
    let script = "for i in 1 2 3; do echo out$i; sleep 0.05; echo err$i >&2; sleep 0.05; done";
    let mut seen = Vec::new();
    let exit = ground.sandbox.run(&ground.script(script), &mut |stream, bytes| {
        seen.push((stream, String::from_utf8_lossy(bytes).trim().to_owned()));
    });
    assert!(exit.unwrap().success());
    let expected: Vec<_> = (1..=3)
        .flat_map(|i| [(Stream::Stdout, format!("out{i}")), (Stream::Stderr, format!("err{i}"))])
        .collect();
    assert_eq!(seen, expected);
}

fn much_output_is_whole(ground: &Ground) {
    assert_eq!(ground.sh("yes 0123456789abcde | head -c 20000000").len(), 20_000_000);
    assert_eq!(ground.sh("printf 'no newline'"), "no newline");
}

fn background_processes_end(ground: &Ground) {
    let start = Instant::now();
    assert_eq!(ground.sh("(sleep 1000; echo late) & setsid sleep 1001 & echo done"), "done\n");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(!is_running("1001") && !is_running("1000"));
}

/// Whether a `sleep` with that argument runs on the machine.
fn is_running(argument: &str) -> bool {
    let mut found = false;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        found |= line == format!("sleep\0{argument}\0").as_bytes();
    }
    found
}

fn a_step_that_takes_too_long(ground: &Ground) {
    let mut step = ground.script("echo begun; trap '' TERM INT; sleep 1002 & sleep 1002");
    step.limits.timeout = Some(Duration::from_millis(300));
    let start = Instant::now();
    let ran = ground.run(&step);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!((ran.exit.status, ran.exit.timed_out, &*ran.out), (Status::Signal(9), true, "begun\n"));
    assert!(!ran.exit.success() && !is_running("1002"));
}

fn a_program_that_is_not_there(ground: &Ground) {
    let error = |args: &[&str]| ground.try_run(&ground.step(args)).unwrap_err().to_string();
    assert_eq!(error(&["no-such"]), "`no-such` is not in the root file system");
    assert_eq!(error(&["./no-such"]), "`./no-such` is not in the root file system");
    assert_eq!(error(&[""]), "`` is not in the root file system");
    std::fs::write(ground.root().join("plain"), "text").unwrap();
    assert_eq!(error(&["/plain"]), "`/plain` can't be run: Permission denied (os error 13)");
    for (name, text, why) in [
        ("script", "#!/no/interpreter\n", "No such file or directory (os error 2)"),
        ("nonsense", "\x01\x02", "Exec format error (os error 8)"),
    ] {
        let path = ground.root().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(error(&[&format!("/{name}")]), format!("`/{name}` can't be run: {why}"));
    }
    let mut step = ground.step(&["busybox", "echo", "found"]);
    step.env.clear();
    assert_eq!(ground.ok(&step), "found\n", "there is a path without one");
}

fn a_working_directory_that_is_not_there(ground: &Ground) {
    let error = |cwd: &str| {
        let step = Step { cwd: cwd.into(), ..ground.script("pwd") };
        ground.try_run(&step).unwrap_err().to_string()
    };
    assert_eq!(error("/no/such"), "the working directory `/no/such`: No such file or directory (os error 2)");
    assert_eq!(error("/bin/busybox"), "the working directory `/bin/busybox`: Not a directory (os error 20)");
    // A link leads where it leads inside.
    std::os::unix::fs::symlink("/../../../work", ground.root().join("link")).unwrap();
    let step = Step { cwd: "/link".into(), ..ground.script("pwd -P; cat below") };
    assert_eq!(ground.ok(&step), "/work\nbelow\n");
}

fn memory_has_a_bound(ground: &Ground) {
    let mut step = ground.script("head -c 300m /dev/zero | tail -c 290m | wc -c; exit ${PIPESTATUS:-0}");
    step.limits.memory = Some(64 << 20);
    let ran = ground.run(&step);
    if ran.exit.unapplied.contains(&Limit::Memory) {
        // Then each process has the bound to itself.
        assert!(!ran.out.contains("304087040"), "{ran:?}");
    } else {
        assert!(ran.exit.out_of_memory, "{ran:?}");
    }
    assert_eq!(groups(), Vec::<String>::new());
}

fn processes_have_a_bound(ground: &Ground) {
    let mut step =
        ground.script("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1 & done; wait");
    step.limits.pids = Some(8);
    let ran = ground.run(&step);
    let bounded = ran.err.contains("can't fork");
    assert!(bounded || ran.exit.unapplied.contains(&Limit::Pids), "{ran:?}");
    step = Step { limits: lith::sandbox::Limits::default(), ..ground.script("true") };
    assert_eq!(ground.run(&step).exit.unapplied, []);
    assert_eq!(groups(), Vec::<String>::new());
}

/// The control groups of this process's steps that are there.
fn groups() -> Vec<String> {
    let find = programs::run(std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", "lith-*"]));
    let alive = |line: &&str| {
        let pid = line.rsplit('/').next().unwrap().split('-').nth(1).unwrap();
        // Other tests have theirs at the same time.
        !std::path::Path::new("/proc").join(pid).exists()
    };
    find.lines().filter(alive).map(str::to_owned).collect()
}

fn who_listens_may_give_up(ground: &Ground) {
    let step = ground.script("echo x; sleep 1003");
    let gave_up = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ground.sandbox.run(&step, &mut |_, _| panic!("enough"))
    }));
    assert!(gave_up.is_err());
    let until = Instant::now() + Duration::from_secs(10);
    while is_running("1003") {
        assert!(Instant::now() < until, "it runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_worker_by_hand_does_nothing() {
    let run = crate::support::Run::of(
        std::process::Command::new(lith()).arg("sandbox-worker").stdin(std::process::Stdio::null()),
    );
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(1), "", ""));
}
