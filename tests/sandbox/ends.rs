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
    assert_eq!(status(ground, "sh -c 'kill -9 $$'; exit $?"), Status::Code(137));
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
    let (one, two) = (long(1), long(2));
    let start = Instant::now();
    assert_eq!(ground.sh(&format!("(sleep {one}; echo late) & setsid sleep {two} & echo done")), "done\n");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(!is_running(&one) && !is_running(&two));
}

/// Seconds that no other test's `sleep` has.
fn long(number: u32) -> String {
    format!("{}{number}", std::process::id())
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
    let mut step = ground.script(&format!("echo begun; trap '' TERM INT; sleep {0} & sleep {0}", long(3)));
    step.limits.timeout = Some(Duration::from_millis(300));
    let start = Instant::now();
    let ran = ground.run(&step);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!((ran.exit.status, ran.exit.timed_out, &*ran.out), (Status::Signal(9), true, "begun\n"));
    assert!(!ran.exit.success() && !is_running(&long(3)));
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
pub(crate) fn groups() -> Vec<String> {
    let find = programs::run(std::process::Command::new("find").args(["/sys/fs/cgroup", "-name", "lith-*"]));
    let alive = |line: &&str| {
        let pid = line.rsplit('/').next().unwrap().split('-').nth(1).unwrap();
        // Other tests have theirs at the same time.
        !std::path::Path::new("/proc").join(pid).exists()
    };
    find.lines().filter(alive).map(str::to_owned).collect()
}

fn who_listens_may_give_up(ground: &Ground) {
    let step = ground.script(&format!("echo x; sleep {}", long(4)));
    let gave_up = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ground.sandbox.run(&step, &mut |_, _| panic!("enough"))
    }));
    assert!(gave_up.is_err());
    let until = Instant::now() + Duration::from_secs(10);
    while is_running(&long(4)) {
        assert!(Instant::now() < until, "it runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `a_killed_lith_leaves_nothing` kills.
#[test]
#[ignore = "started by a test"]
fn a_step_that_does_not_end() {
    let Some(ground) = Ground::new("a killed lith") else { return };
    let mut step =
        ground.script(&format!("echo; trap '' TERM HUP INT; setsid sleep {0} & sleep {0}", long(5)));
    step.limits.pids = Some(1000);
    let seen = ground.sandbox.run(&step, &mut |_, _| println!("ready {}", ground.path("").display()));
    panic!("it ended: {seen:?}");
}

#[test]
fn a_killed_lith_leaves_nothing() {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};
    if programs::find("busybox", "a killed lith").is_none() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sandbox::ends::a_step_that_does_not_end", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.filter_map(|line| Some(line.split_once("ready ")?.1.to_owned())).next();
    let folder = ready.expect("the step to start");
    let sleeping = format!("{}5", child.id());
    let until = Instant::now() + Duration::from_secs(10);
    while !is_running(&sleeping) {
        assert!(Instant::now() < until, "it does not run");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while is_running(&sleeping) || !groups().is_empty() {
        assert!(Instant::now() < until, "something is left: {:?}", groups());
        std::thread::sleep(Duration::from_millis(10));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*folder), "{mounts}");
    lith::sandbox::rootfs::remove(std::path::Path::new(&folder)).unwrap();
}

/// What `a_terminal_is_the_steps` types into.
#[test]
#[ignore = "started by a test"]
fn a_shell() {
    let Some(ground) = Ground::new("a terminal") else { return };
    let step = Step { terminal: true, limits: lith::sandbox::Limits::default(), ..ground.step(&["sh"]) };
    let exit = ground.sandbox.run(&step, &mut |_, _| panic!("the step has the terminal itself"));
    println!("ended {:?}", exit.unwrap().status);
}

#[test]
fn a_terminal_is_the_steps() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let Some(script) = programs::find("script", "a terminal") else { return };
    if programs::find("busybox", "a terminal").is_none() {
        return;
    }
    let tests = std::env::current_exe().unwrap();
    let shell = format!("{} --exact sandbox::ends::a_shell --ignored --nocapture", tests.display());
    let mut child = Command::new(script)
        .args(["-qec", &shell, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typing = child.stdin.take().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    typing
        .write_all(b"test -t 0 && test -t 1 && echo on-a-tty\nsleep 1 &\nwait\necho id-$(id -u)\nexit 3\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    for line in ["\non-a-tty\n", "\nid-0\n", "ended Code(3)\n"] {
        assert!(seen.contains(line), "{line:?} is not in:\n{seen}");
    }
    assert!(!seen.contains("job control turned off"), "{seen}");
    drop(typing);
}

/// The time that it takes is printed, as machines differ; it is bounded for what is out of all proportion.
#[test]
fn a_step_costs_little() {
    let Some(ground) = Ground::new("a step's cost") else { return };
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let step = ground.step(&["true"]);
            let start = Instant::now();
            assert!(ground.run(&step).exit.success());
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("a step takes {:?}", times[times.len() / 2]);
    assert!(times[0] < Duration::from_millis(500), "{times:?}");
}

#[test]
fn a_worker_by_hand_does_nothing() {
    let run = crate::support::Run::of(
        std::process::Command::new(lith()).arg("sandbox-worker").stdin(std::process::Stdio::null()),
    );
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (Some(1), "", ""));
}
