//! Ways out of the sandbox, each of which must be shut. hostile-input's rows on RUN.

use std::process::Command;

use super::ground::Ground;
use crate::support::{lith, programs};

super::cases! {
    no_mounts_no_namespaces no_devices no_way_through_proc no_way_to_the_worker chroots_end_at_the_root
    kernel_doors_are_shut no_call_leads_out the_workers_program_is_out_of_reach whiteouts_can_not_be_made
    setuid_gives_nothing programs_of_32_bits
}

fn no_mounts_no_namespaces(ground: &Ground) {
    for script in [
        "mount -t tmpfs none /tmp",
        "mount --bind / /tmp",
        "mount -o remount,rw /sys",
        "mount -o remount,rw /proc/sys",
        "umount /proc/kcore",
        "umount -l /proc",
        "umount /etc/hosts",
        "unshare -m true",
        "unshare -U true",
        "unshare -r true",
        "unshare -n true",
        "nsenter -t 1 -m true",
        "pivot_root /tmp /tmp",
        "hostname other",
        "ip link set lo down",
        "swapon /work/below",
        "sysctl -w kernel.core_pattern=x",
    ] {
        ground.fails(script);
    }
}

fn no_devices(ground: &Ground) {
    for script in [
        "mknod /tmp/disk b 254 0",
        "mknod /tmp/disk b 8 0",
        "mknod /tmp/mem c 1 1",
        "mknod /dev/mem c 1 1",
        "mknod /dev/shm/null c 1 3",
        "cat /dev/vda",
        "cat /dev/kmsg",
        "losetup -f /work/below",
    ] {
        ground.fails(script);
    }
    assert_eq!(ground.sh("mkfifo /tmp/fifo && (echo through > /tmp/fifo & cat /tmp/fifo)"), "through\n");
    // A device that is in a layer can't be opened.
    if rustix::process::geteuid().is_root() {
        let zero = ground.root().join("zero");
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        let device = rustix::fs::makedev(1, 5);
        rustix::fs::mknodat(rustix::fs::CWD, &zero, rustix::fs::FileType::CharacterDevice, mode, device)
            .unwrap();
        let ran = ground.fails("head -c 1 /zero");
        assert!(ran.err.contains("Permission denied"), "{ran:?}");
    }
}

fn no_way_through_proc(ground: &Ground) {
    std::fs::write(ground.path("outside"), "outside").unwrap();
    let outside = ground.path("outside");
    for script in [
        format!("cat /proc/1/root{}", outside.display()),
        format!("cat /proc/self/cwd/../../../../../..{}", outside.display()),
        format!(
            "for n in 0 1 2 3 4 5 6 7 8 9 10; do cat /proc/self/fd/$n/..{0} /proc/1/fd/$n{0} && exit 0; done; exit 1",
            outside.display()
        ),
        "echo b > /proc/sysrq-trigger".into(),
        "echo x > /proc/sys/kernel/core_pattern".into(),
        "echo -1000 > /proc/1/oom_score_adj && [ -e /proc/2 ]".into(),
        "cat /proc/kcore | head -c 1 | grep .".into(),
        "echo 1 > /proc/1/attr/current".into(),
        "ls /proc/1/map_files/../../2".into(),
        "echo '0 0 1' > /proc/self/uid_map".into(),
    ] {
        ground.fails(&script);
    }
    assert_eq!(ground.sh("ls /proc/1/root | tr '\\n' ' '"), ground.sh("ls / | tr '\\n' ' '"));
}

fn no_way_to_the_worker(ground: &Ground) {
    // Its parent is in a namespace that it does not see.
    assert_eq!(ground.sh("awk '{print $4}' /proc/1/stat"), "0\n");
    let pid = std::process::id();
    for script in [format!("kill -0 {pid}"), format!("ls /proc/{pid}"), "kill -9 -1 ; ls /proc/2".into()] {
        ground.fails(&script);
    }
    assert_eq!(ground.sh("tr '\\0' ' ' < /proc/1/cmdline | head -c 6"), "sh -c ");
    let environment = ground.sh("tr '\\0' '\\n' < /proc/1/environ; true");
    assert!(environment.is_empty() || environment == "PATH=/bin\n", "{environment}");
}

fn chroots_end_at_the_root(ground: &Ground) {
    std::fs::write(ground.path("outside"), "outside").unwrap();
    let up = "../".repeat(40);
    let script = format!(
        "mkdir /tmp/j; cp /bin/busybox /tmp/j/; chroot /tmp/j /busybox cat {up}{}",
        ground.path("outside").display()
    );
    ground.fails(&script);
}

fn kernel_doors_are_shut(ground: &Ground) {
    for script in [
        "dmesg",
        "insmod /work/below",
        "rmmod x",
        "reboot -f",
        "poweroff -f",
        "! date -s 2000-01-01 2>&1 | grep 'not permitted'",
        "adjtimex -f 100",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "mkdir /sys/fs/cgroup/x",
        "ls /sys/fs/cgroup/memory/x",
        "nice -n -5 true && renice -n -10 1",
    ] {
        ground.fails(script);
    }
}

/// A program that makes one system call and says what came of it.
const CALL: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    static char page[4096];
    long a[7] = {0};
    for (int i = 0; i < 7 && i + 1 < argc; i++)
        a[i] = argv[i + 1][0] == '@' ? (long)page : strtol(argv[i + 1], 0, 0);
    long r = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
    printf("%d\n", r < 0 ? errno : 0);
    return 0;
}
"#;

fn no_call_leads_out(ground: &Ground) {
    if !compile(ground, "call", CALL, &["-static"]) {
        return;
    }
    let call = |number: i64, args: &str| -> i32 {
        ground.sh(&format!("/call {number} {args}")).trim().parse().unwrap()
    };
    let (permission, no_such) = (1, 38);
    for number in [
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_open_by_handle_at,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_mount,
        libc::SYS_fsopen,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_init_module,
        libc::SYS_kexec_load,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_pidfd_getfd,
        libc::SYS_syslog,
        libc::SYS_settimeofday,
    ] {
        assert_eq!(call(number, "@ @ @ @"), permission, "{number}");
    }
    assert_eq!(call(libc::SYS_clone3, "@ 64"), no_such);
    assert_eq!(call(1000, ""), no_such);
    for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWPID, libc::CLONE_NEWNET] {
        assert_eq!(call(libc::SYS_clone, &flag.to_string()), permission, "{flag:#x}");
    }
    assert_eq!(call(libc::SYS_personality, "0x40000"), permission, "addresses that are not random");
    assert_eq!(call(libc::SYS_personality, "0xffffffff"), 0);
    assert_eq!(call(libc::SYS_socket, "40 1 0"), permission, "the host of a virtual machine");
    assert_eq!(call(libc::SYS_socket, "1 1 0"), 0);
    assert_eq!(call(libc::SYS_ioctl, "0 0x5412 @"), permission, "typing into a terminal");
    assert_eq!(call(libc::SYS_getpid, ""), 0);
    let outside = i64::from(std::process::id());
    assert_ne!(call(libc::SYS_ptrace, &format!("16 {outside}")), 0);
    assert_eq!(call(libc::SYS_kill, &format!("{outside} 0")), libc::ESRCH);
}

/// The same by the door of 32-bit programs, which those of 64 bits may use, too. It says -1 where there is none.
#[cfg(target_arch = "x86_64")]
const CALL_32: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
static void none(int signal) { (void)signal; puts("-1"); fflush(stdout); _Exit(0); }
int main(int argc, char **argv) {
    long a[5] = {0}, r;
    signal(SIGSEGV, none);
    for (int i = 0; i < 5 && i + 1 < argc; i++) a[i] = strtol(argv[i + 1], 0, 0);
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(a[0]), "b"(a[1]), "c"(a[2]), "d"(a[3]), "S"(a[4]) : "memory");
    printf("%d\n", (int)r < 0 ? -(int)r : 0);
    return 0;
}
"#;

/// A program of 32 bits, without any C library.
#[cfg(target_arch = "x86_64")]
const HELLO_32: &str = r#"
static int call(int n, int a, const void *b, int c) {
    int r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
    return r;
}
void _start(void) {
    call(4, 1, "32 bits\n", 8);
    call(1, 0, 0, 0);
}
"#;

#[cfg(not(target_arch = "x86_64"))]
fn programs_of_32_bits(_: &Ground) {}

#[cfg(target_arch = "x86_64")]
fn programs_of_32_bits(ground: &Ground) {
    if !compile(ground, "call32", CALL_32, &["-static"]) {
        return;
    }
    let call = |number: i64, args: &str| -> i32 {
        ground.sh(&format!("/call32 {number} {args}")).trim().parse().unwrap()
    };
    if call(20, "") == -1 {
        eprintln!("warning: the kernel runs no programs of 32 bits: their system calls were NOT tested");
        return;
    }
    let (permission, no_such) = (1, 38);
    assert_eq!(call(20, ""), 0, "getpid");
    // mount, umount, ptrace's kin, setns, unshare, keyctl, bpf, open_tree, open_by_handle_at, vm86, stime.
    for number in [21, 22, 52, 346, 310, 288, 357, 428, 342, 166, 25, 336, 103, 217, 425] {
        assert_eq!(call(number, "0 0 0 0"), permission, "{number}");
    }
    assert_eq!((call(435, "0 64"), call(1000, "")), (no_such, no_such), "clone3, and none");
    assert_eq!(call(120, "0x10000000"), permission, "a user namespace");
    assert_eq!((call(359, "40 1 0"), call(359, "1 1 0")), (permission, 0), "sockets");
    assert_eq!((call(102, "1 0"), call(102, "2 0")), (permission, libc::EFAULT), "sockets by another call");
    assert_eq!((call(136, "0x40000"), call(136, "0xffffffff")), (permission, 0), "personalities");
    assert_eq!(call(54, "0 0x5412 0"), permission, "typing into a terminal");
    if compile(ground, "hello32", HELLO_32, &["-m32", "-nostdlib", "-static", "-fno-pie", "-no-pie"]) {
        assert_eq!(ground.sh("/hello32"), "32 bits\n");
    }
}

/// Makes a program of the root file system's; `false` after saying so where that can't be done.
fn compile(ground: &Ground, name: &str, source: &str, args: &[&str]) -> bool {
    let Some(cc) = programs::find("cc", "system calls") else { return false };
    let file = ground.path("source.c");
    std::fs::write(&file, source).unwrap();
    let output =
        Command::new(cc).args(args).arg("-o").arg(ground.root().join(name)).arg(&file).output().unwrap();
    if !output.status.success() {
        eprintln!("warning: `{name}` can't be compiled here: system calls were NOT tested");
    }
    output.status.success()
}

fn the_workers_program_is_out_of_reach(ground: &Ground) {
    // A script whose interpreter is the worker itself, which would hold lith's own file open.
    let script = ground.root().join("trap");
    std::fs::write(&script, "#!/proc/self/exe sandbox-worker\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let before = std::fs::metadata(lith()).unwrap();
    for args in [&["/trap"][..], &["/proc/self/exe"], &["/proc/self/exe", "sandbox-worker"]] {
        match ground.try_run(&ground.step(args)) {
            Ok(ran) => assert!(!ran.exit.success(), "{ran:?}"),
            Err(error) => assert!(error.to_string().contains("can't be run"), "{error}"),
        }
    }
    let after = std::fs::metadata(lith()).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

fn whiteouts_can_not_be_made(ground: &Ground) {
    // One in the upper folder would hide what is below from the next step, and is none of overlayfs's own.
    ground.fails("mknod /work/below2 c 0 0");
    ground.fails("mknod /tmp/w c 0 0");
}

fn setuid_gives_nothing(ground: &Ground) {
    if ground.is_single() {
        return;
    }
    let mut step =
        ground.script("mkdir /tmp/s; cp /bin/busybox /tmp/s/busybox; chmod 4755 /tmp/s/busybox; exec setpriv --help >/dev/null 2>&1");
    let upper = step.upper.clone();
    ground.run(&step);
    step = lith::sandbox::Step {
        upper,
        ..ground.script("/tmp/s/busybox id -u; grep -c 'CapEff.*0000000000000000' /proc/self/status")
    };
    step.user = lith::sandbox::User { uid: 1000, gid: 1000, groups: Vec::new() };
    assert_eq!(ground.ok(&step), "1000\n1\n");
}
