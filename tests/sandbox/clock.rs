//! A wall clock that stands still, and all else of a step as it is without.

use std::process::Command;
use std::time::{Duration, Instant};

use lith::sandbox::{Status, Step};

use super::ground::{Ground, Ran};
use crate::support::programs;

super::cases! {
    the_clock_stands_still it_stands_still_for_all_that_is_started intervals_are_real
    a_traced_step_ends_as_any signals_reach_programs stopped_programs_go_on a_traced_step_that_takes_too_long
    a_trusted_step_has_the_clock other_users_have_the_clock threads_have_the_clock
    without_it_the_clock_is_real
}

const TIME: u64 = 1_234_567_890;

fn still(ground: &Ground, script: &str) -> Step {
    Step { clock: Some(TIME), ..ground.script(script) }
}

fn run(ground: &Ground, script: &str) -> Ran {
    ground.run(&still(ground, script))
}

fn the_clock_stands_still(ground: &Ground) {
    assert_eq!(ground.ok(&still(ground, "date +%s; sleep 0.1; exec date +%s")), "1234567890\n1234567890\n");
    for seconds in [0, 1, u64::from(u32::MAX) + 1] {
        let step = Step { clock: Some(seconds), ..ground.step(&["date", "+%s"]) };
        assert_eq!(ground.ok(&step), format!("{seconds}\n"));
    }
    assert_eq!(ground.ok(&still(ground, "echo | awk '{ srand(); srand(); print srand() }'")), "1234567890\n");
}

fn it_stands_still_for_all_that_is_started(ground: &Ground) {
    let script = "for i in $(seq 100); do (date +%s) & done | sort | uniq -c; wait; \
                  date +%s | cat; sh -c 'setsid date +%s'; seq 20 | xargs -I {} -P 5 date +%s | uniq -c";
    let lines = ground.ok(&still(ground, script));
    let lines: Vec<&str> = lines.lines().map(str::trim).collect();
    assert_eq!(lines, ["100 1234567890", "1234567890", "1234567890", "20 1234567890"]);
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

/// Asks for the time in all ways from several threads at once, and waits until a time of day in all ways.
const THREADS: &str = r#"
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static time_t still;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static double real(void) {
    struct timespec t;
    assert(!clock_gettime(CLOCK_MONOTONIC, &t));
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void ask(void) {
    int clocks[] = {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI, 8};
    for (int i = 0; i < 4; i++) {
        struct timespec t = {1, 1};
        assert(!clock_gettime(clocks[i], &t) && t.tv_sec == still && !t.tv_nsec);
        t.tv_sec = 1;
        assert(!syscall(SYS_clock_gettime, clocks[i], &t) && t.tv_sec == still);
    }
    struct timeval v = {1, 1};
    struct timezone z = {1, 1};
    assert(!gettimeofday(&v, 0) && v.tv_sec == still && !v.tv_usec);
    assert(!syscall(SYS_gettimeofday, &v, &z) && !z.tz_minuteswest && !z.tz_dsttime);
    assert(!syscall(SYS_gettimeofday, 0, 0));
    assert(time(0) == still);
#ifdef SYS_time
    time_t now = 1;
    assert(syscall(SYS_time, &now) == still && now == still && syscall(SYS_time, 0) == still);
    assert(syscall(SYS_time, 8) == -1 && errno == EFAULT);
#endif
    assert(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8) == -1 && errno == EFAULT);
    assert(syscall(SYS_clock_gettime, CLOCK_REALTIME, "constant") == -1 && errno == EFAULT);
    struct timex x = {0};
    assert(adjtimex(&x) == -1 && errno == EPERM);
}

static void took(double since, double least) {
    double seconds = real() - since;
    assert(seconds >= least && seconds < least + 20);
}

static void *work(void *number) {
    for (int i = 0; i < 50; i++) ask();
    struct timespec until = {still, 300000000};
    const struct timespec over = {still - 1, 0};
    double begun = real();
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    assert(!pthread_mutex_lock(&mutex));
    assert(pthread_cond_timedwait(&cond, &mutex, &until) == ETIMEDOUT);
    assert(!pthread_mutex_unlock(&mutex));
    took(begun, 0.3);
    begun = real();
    sem_t sem;
    assert(!sem_init(&sem, 0, 0));
    assert(sem_timedwait(&sem, &until) == -1 && errno == ETIMEDOUT);
    took(begun, 0.3);
    begun = real();
    assert(sem_timedwait(&sem, &over) == -1 && errno == ETIMEDOUT);
    assert(!clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &over, 0));
    took(begun, 0);
    begun = real();
    assert(!clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, 0));
    took(begun, 0.3);
    begun = real();
    until.tv_sec = 0;
    assert(!clock_nanosleep(CLOCK_REALTIME, 0, &until, 0));
    took(begun, 0.3);
    assert(until.tv_nsec == 300000000);
    ask();
    return number;
}

/// The kernel gives back the registers of a call's arguments.
static void registers(void) {
#ifdef __x86_64__
    struct timespec until = {still, 1000000};
    int word = 0;
    long op = 9 | 128 | 256, result = SYS_futex;
    register long timeout __asm__("r10") = (long)&until;
    register long second __asm__("r8") = 0;
    register long mask __asm__("r9") = -1;
    long first = (long)&word, value = 0;
    __asm__ volatile("syscall" : "+a"(result), "+D"(first), "+S"(op), "+d"(value), "+r"(timeout), "+r"(second), "+r"(mask)
                     : : "rcx", "r11", "memory");
    assert(result == -ETIMEDOUT && first == (long)&word && op == (9 | 128 | 256) && timeout == (long)&until);
#endif
}

int main(int argc, char **argv) {
    still = atol(argv[1]);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) assert(!pthread_create(&threads[i], 0, work, 0));
    registers();
    for (int i = 0; i < 8; i++) assert(!pthread_join(threads[i], 0));
    if (argc > 2) return 0;
    /* A thread that becomes another program. */
    char *again[] = {argv[0], argv[1], "again", 0};
    pthread_create(&threads[0], 0, (void *(*)(void *))sleep, (void *)100);
    execv("/proc/self/exe", again);
    return 1;
}
"#;

fn threads_have_the_clock(ground: &Ground) {
    let Some(cc) = programs::find("cc", "threads under a clock that stands still") else { return };
    let source = ground.path("threads.c");
    std::fs::write(&source, THREADS).unwrap();
    let mut compile = Command::new(cc);
    compile.args(["-static", "-pthread", "-O1", "-o"]).arg(ground.root().join("threads")).arg(&source);
    if !compile.output().unwrap().status.success() {
        eprintln!("warning: no static C library: threads under a clock that stands still were NOT tested");
        return;
    }
    let ran = run(ground, &format!("/threads {TIME}"));
    assert_eq!((ran.exit.status, &*ran.err), (Status::Code(0), ""));
}

fn without_it_the_clock_is_real(ground: &Ground) {
    let seconds: u64 = ground.sh("date +%s").trim().parse().unwrap();
    assert!(seconds > 1_700_000_000);
    assert_eq!(ground.sh("grep TracerPid /proc/self/status"), "TracerPid:\t0\n");
}
