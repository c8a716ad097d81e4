//! A wall clock that stands still, and all else of a step as it is without.

use std::time::{Duration, Instant};

use lith::sandbox::{Status, Step};

use super::ground::{Ground, Ran};

super::cases! {
    the_clock_stands_still it_stands_still_for_all_that_is_started intervals_are_real
    a_traced_step_ends_as_any signals_reach_programs stopped_programs_go_on a_traced_step_that_takes_too_long
    a_trusted_step_has_the_clock other_users_have_the_clock without_it_the_clock_is_real
}

const TIME: u64 = 1_234_567_890;

fn still(ground: &Ground, script: &str) -> Step {
    Step { clock: Some(TIME), ..ground.script(script) }
}

fn run(ground: &Ground, script: &str) -> Ran {
    ground.run(&still(ground, script))
}

fn the_clock_stands_still(ground: &Ground) {
    assert_eq!(
        ground.ok(&still(ground, "date +%s; sleep 0.1; exec date +%s.%N")),
        "1234567890\n1234567890.000000000\n"
    );
    for seconds in [0, 1, u64::from(u32::MAX) + 1] {
        let step = Step { clock: Some(seconds), ..ground.step(&["date", "+%s"]) };
        assert_eq!(ground.ok(&step), format!("{seconds}\n"));
    }
    assert_eq!(ground.ok(&still(ground, "echo | awk '{ srand(); srand(); print srand() }'")), "1234567890\n");
}

fn it_stands_still_for_all_that_is_started(ground: &Ground) {
    let script = "for i in $(seq 100); do (date +%s) & done | sort | uniq -c; wait; \
                  date +%s | cat; sh -c 'setsid date +%s'; seq 20 | xargs -n 1 -P 5 date -u +%s -d | wc -l";
    let lines = ground.ok(&still(ground, script));
    let lines: Vec<&str> = lines.lines().map(str::trim).collect();
    assert_eq!(lines, ["100 1234567890", "1234567890", "1234567890", "20"]);
}

fn intervals_are_real(ground: &Ground) {
    let start = Instant::now();
    ground.ok(&still(ground, "sleep 0.3"));
    assert!(start.elapsed() >= Duration::from_millis(300));
    let start = Instant::now();
    let ran = run(
        ground,
        "timeout 1 sleep 100; echo $?; read x < /proc/uptime; sleep 1; read y < /proc/uptime; [ \"$x\" != \"$y\" ]",
    );
    assert!(ran.exit.success() && ["143\n", "124\n"].contains(&&*ran.out), "{ran:?}");
    assert!((Duration::from_secs(1)..Duration::from_secs(50)).contains(&start.elapsed()));
}

fn a_traced_step_ends_as_any(ground: &Ground) {
    let status = |script: &str| run(ground, script).exit.status;
    assert_eq!(status("exit 0"), Status::Code(0));
    assert_eq!(status("exit 255"), Status::Code(255));
    assert_eq!(status("sh -c 'exit 3' | true; sh -c 'exit 4'"), Status::Code(4));
    assert_eq!(status("kill -9 $$; kill -TERM $$; kill -STOP $$; exit 7"), Status::Code(7));
    assert_eq!(status("sh -c 'kill -9 $$'; exit $?"), Status::Code(137));
    assert_eq!(status("sh -c 'kill -SEGV $$'; exit $?"), Status::Code(139));
    let error = ground.try_run(&Step { clock: Some(0), ..ground.step(&["no-such"]) }).unwrap_err();
    assert_eq!(error.to_string(), "`no-such` is not in the root file system");
    let left = run(ground, "(sleep 100; echo late) & setsid sleep 100 & echo done");
    assert_eq!((left.exit.status, &*left.out), (Status::Code(0), "done\n"));
}

fn signals_reach_programs(ground: &Ground) {
    assert_eq!(
        ground.ok(&still(ground, "trap 'echo caught' TERM; kill $$; echo; (yes | head -n 1)")),
        "caught\n\ny\n"
    );
    let script = "trap 'echo one' USR1; (sleep 0.2; kill -USR1 $$) & wait; echo two; \
                  sh -c 'trap \"echo int; exit 5\" INT; kill -INT $$'; echo $?; trap '' HUP; kill -HUP $$; echo on";
    assert_eq!(ground.ok(&still(ground, script)), "one\ntwo\nint\n5\non\n");
}

fn stopped_programs_go_on(ground: &Ground) {
    let script = "(i=0; while [ $i -lt 3 ]; do sleep 0.1; i=$((i+1)); done; echo end) & \
                  kill -STOP $!; sleep 0.6; grep State /proc/$!/status; kill -CONT $!; wait $!; echo $?";
    let out = ground.ok(&still(ground, script));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains("T (stopped)") || lines[0].contains("t (tracing stop)"), "{out}");
    assert_eq!(lines[1..], ["end", "0"]);
    assert_eq!(
        ground.ok(&still(ground, "sleep 100 & kill -STOP $!; kill -KILL $!; wait $!; echo $?")),
        "137\n"
    );
}

fn a_traced_step_that_takes_too_long(ground: &Ground) {
    let mut step =
        still(ground, "echo begun; trap '' TERM INT; while :; do date; done >/dev/null & sleep 100");
    step.limits.timeout = Some(Duration::from_millis(300));
    let start = Instant::now();
    let ran = ground.run(&step);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!((ran.exit.status, ran.exit.timed_out, &*ran.out), (Status::Signal(9), true, "begun\n"));
}

fn a_trusted_step_has_the_clock(ground: &Ground) {
    let step = Step { insecure: true, ..still(ground, "date +%s; grep NoNewPrivs /proc/self/status") };
    assert_eq!(ground.ok(&step), "1234567890\nNoNewPrivs:\t0\n");
}

fn other_users_have_the_clock(ground: &Ground) {
    if ground.is_single() {
        return;
    }
    for insecure in [false, true] {
        let mut step = Step { insecure, ..still(ground, "id -u; date +%s") };
        step.user = lith::sandbox::User { uid: 1000, gid: 1000, groups: Vec::new() };
        assert_eq!(ground.ok(&step), "1000\n1234567890\n");
    }
    // A program that changes its ids, or that nobody may read.
    assert_eq!(ground.ok(&still(ground, "su app -c 'id -u; date +%s'")), "1000\n1234567890\n");
    let hidden =
        "cp /bin/busybox /date && chmod 711 /date && su app -c '/date +%s; cat /date >&- || echo unread'";
    assert_eq!(run(ground, hidden).out, "1234567890\nunread\n");
}

fn without_it_the_clock_is_real(ground: &Ground) {
    let seconds: u64 = ground.sh("date +%s").trim().parse().unwrap();
    assert!(seconds > 1_700_000_000);
    assert_eq!(ground.sh("grep TracerPid /proc/self/status"), "TracerPid:\t0\n");
}
