//! The system calls that a step may make: docker's default profile.
//!
//! Two filters. The first lets the calls of a list through and answers all others, those of kernels to come among
//! them, as a kernel does that has not heard of them: programs then fall back to what they did before. The second
//! refuses, as not permitted, what is known and would lead out of the sandbox. Each has a part for the 32-bit programs
//! of the same processor where lith knows their calls; other architectures' calls end a process.

#[cfg(target_arch = "x86_64")]
mod i386;
mod ranges;

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::sandbox::{Fault, Network};

/// A call's name and number.
type Call = (&'static str, libc::c_long);

/// A name of a list for each number, with what the architecture alone has.
macro_rules! numbers {
    ($($name:ident)*) => { &[$((stringify!($name).split_at(4).1, libc::$name)),*] };
}

#[rustfmt::skip]
const ALLOWED: &[Call] = numbers!(
    SYS_accept SYS_accept4 SYS_adjtimex SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_chroot
    SYS_clock_adjtime SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_clone SYS_close SYS_close_range
    SYS_connect SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait
    SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2
    SYS_fadvise64 SYS_fallocate SYS_fanotify_mark SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat
    SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock SYS_fremovexattr SYS_fsetxattr SYS_fstat
    SYS_newfstatat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_futex_waitv SYS_getcpu SYS_getcwd
    SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer SYS_getpeername SYS_getpgid
    SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid
    SYS_get_robust_list SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday
    SYS_getuid SYS_getxattr SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel SYS_ioctl
    SYS_io_destroy SYS_io_getevents SYS_ioprio_get SYS_ioprio_set SYS_io_setup SYS_io_submit
    SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat
    SYS_listen SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_membarrier
    SYS_memfd_create SYS_memfd_secret SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall
    SYS_mmap SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend
    SYS_mq_unlink SYS_mremap SYS_mseal SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock
    SYS_munlockall SYS_munmap SYS_name_to_handle_at SYS_nanosleep SYS_openat SYS_openat2 SYS_personality
    SYS_pidfd_open SYS_pidfd_send_signal SYS_pipe2 SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_ppoll
    SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64 SYS_process_mrelease SYS_process_vm_readv
    SYS_process_vm_writev SYS_pselect6 SYS_ptrace SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead
    SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_remap_file_pages SYS_removexattr
    SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigpending
    SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait
    SYS_rt_tgsigqueueinfo SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_sched_getscheduler SYS_sched_rr_get_interval SYS_sched_setaffinity
    SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget
    SYS_semop SYS_semtimedop SYS_sendfile SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_setfsgid SYS_setfsuid
    SYS_setgid SYS_setgroups SYS_setitimer SYS_setpgid SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid
    SYS_setreuid  SYS_set_robust_list SYS_setsid SYS_setsockopt SYS_set_tid_address SYS_setuid
    SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket
    SYS_socketpair SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync SYS_syncfs
    SYS_sysinfo SYS_tee SYS_tgkill SYS_timer_create SYS_timer_delete SYS_timer_getoverrun SYS_timer_gettime
    SYS_timer_settime SYS_timerfd_create SYS_timerfd_gettime SYS_timerfd_settime SYS_times SYS_tkill
    SYS_truncate SYS_umask SYS_uname SYS_unlinkat SYS_utimensat SYS_vmsplice SYS_wait4 SYS_waitid SYS_write
    SYS_writev
);

/// The calls that newer architectures have left out.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALLOWED_HERE: &[Call] = numbers!(
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create SYS_epoll_ctl_old
    SYS_epoll_wait SYS_epoll_wait_old SYS_eventfd SYS_fork SYS_futimesat SYS_getdents SYS_getpgrp SYS_getrlimit SYS_renameat SYS_setrlimit SYS_sync_file_range
    SYS_get_thread_area SYS_inotify_init SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_modify_ldt
    SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename SYS_rmdir SYS_select SYS_set_thread_area
    SYS_signalfd SYS_stat SYS_symlink SYS_time SYS_unlink SYS_utime SYS_utimes SYS_vfork
);
/// `renameat`, `sync_file_range`, `getrlimit` and `setrlimit`, which libc does not name there.
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[Call] =
    &[("renameat", 38), ("sync_file_range", 84), ("getrlimit", 163), ("setrlimit", 164)];

/// `io_pgetevents`, which libc does not name.
const IO_PGETEVENTS: libc::c_long = if cfg!(target_arch = "x86_64") { 333 } else { 292 };

/// Those that libc does not name for all architectures, with numbers that all have in common.
const ALLOWED_BY_NUMBER: &[Call] = &[
    ("io_pgetevents", IO_PGETEVENTS),
    ("cachestat", 451),
    ("fchmodat2", 452),
    ("map_shadow_stack", 453),
    ("futex_wake", 454),
    ("futex_wait", 455),
    ("futex_requeue", 456),
    ("statmount", 457),
    ("listmount", 458),
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
];

#[rustfmt::skip]
const REFUSED: &[Call] = numbers!(
    SYS_acct SYS_add_key SYS_bpf SYS_clock_settime SYS_delete_module SYS_fanotify_init SYS_finit_module
    SYS_fsconfig SYS_fsmount SYS_fsopen SYS_fspick SYS_get_mempolicy SYS_init_module SYS_io_uring_enter
    SYS_io_uring_register SYS_io_uring_setup SYS_kcmp SYS_kexec_load SYS_keyctl
    SYS_lookup_dcookie SYS_mbind SYS_migrate_pages SYS_mount SYS_mount_setattr SYS_move_mount SYS_move_pages
    SYS_nfsservctl SYS_open_by_handle_at SYS_open_tree SYS_perf_event_open SYS_pidfd_getfd SYS_pivot_root
    SYS_process_madvise SYS_quotactl SYS_quotactl_fd SYS_reboot SYS_request_key SYS_setdomainname SYS_sethostname
    SYS_set_mempolicy SYS_setns SYS_settimeofday SYS_swapoff SYS_swapon SYS_syslog SYS_umount2 SYS_unshare
    SYS_userfaultfd SYS_vhangup
);

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const REFUSED_HERE: &[Call] = numbers!(
    SYS_ioperm SYS_iopl SYS_kexec_file_load SYS__sysctl SYS_sysfs SYS_uselib
    SYS_ustat
);
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[Call] = &[];

/// A call that is refused by what it is given.
struct Unless {
    call: Call,
    /// The index of the argument, of which 32 bits count.
    argument: u8,
    conditions: Vec<(SeccompCmpOp, u64)>,
}

// As numbers, whose types in libc differ from one C library to another.
const AF_VSOCK: u64 = 40;
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;

/// The bits of `clone` that make namespaces: time has no bit there that is not also an exit signal's.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

fn refused_by_argument() -> Vec<Unless> {
    // Linux, Linux32, both with the release number of old kernels, and the question.
    let personalities = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    let is = |value: u64| vec![(SeccompCmpOp::Eq, value)];
    let ioctl =
        |request: u64| Unless { call: ("ioctl", libc::SYS_ioctl), argument: 1, conditions: is(request) };
    let mut refused = vec![
        Unless {
            call: ("personality", libc::SYS_personality),
            argument: 0,
            conditions: personalities.map(|allowed| (SeccompCmpOp::Ne, allowed)).to_vec(),
        },
        // The host of a virtual machine.
        Unless { call: ("socket", libc::SYS_socket), argument: 0, conditions: is(AF_VSOCK) },
        // Typing into the terminal that lith was called from.
        ioctl(TIOCSTI),
        ioctl(TIOCLINUX),
    ];
    refused.extend(NAMESPACES.map(|bit| {
        let bit = u64::from(bit.cast_unsigned());
        let conditions = vec![(SeccompCmpOp::MaskedEq(bit), bit)];
        Unless { call: ("clone", libc::SYS_clone), argument: 0, conditions }
    }));
    refused
}

/// The filters, to be applied in this order: where both refuse, the last one's answer counts.
pub(super) fn filters(network: Network) -> Result<[BpfProgram; 2], Fault> {
    let allowed = [ALLOWED, ALLOWED_HERE, ALLOWED_BY_NUMBER].concat();
    let refused = [REFUSED, REFUSED_HERE].concat();
    let whole = |calls: &[Call]| calls.iter().map(|(_, number)| (*number, Vec::new())).collect();
    let filters = [
        compile_allowed(allowed.iter().map(|(_, number)| *number))?,
        compile_refused(with_arguments(whole(&refused), |c| Some(c.1))?)?,
    ];
    with_32_bits(filters, &allowed, &refused, network)
}

fn with_arguments(mut rules: Rules, number: impl Fn(Call) -> Option<i64>) -> Result<Rules, Fault> {
    for unless in refused_by_argument() {
        if let Some(number) = number(unless.call) {
            rules.entry(number).or_default().push(rule(&unless).map_err(fault)?);
        }
    }
    Ok(rules)
}

#[cfg(target_arch = "x86_64")]
fn with_32_bits(
    [first, second]: [BpfProgram; 2],
    allowed: &[Call],
    refused: &[Call],
    network: Network,
) -> Result<[BpfProgram; 2], Fault> {
    let whole = |number: i64| (number, Vec::new());
    let allowed = compile_allowed(i386::allowed(allowed))?;
    let refused: Rules = i386::refused(refused).into_iter().map(whole).collect();
    let mut refused = with_arguments(refused, |(name, _)| i386::number(name))?;
    if network == Network::None {
        // What family a socket is of can't be seen there, and one of them leads to the host of a virtual machine.
        let conditions = vec![(SeccompCmpOp::Eq, i386::SOCKETCALL_SOCKET)];
        let unless = Unless { call: ("socketcall", 0), argument: 0, conditions };
        refused.insert(i386::SOCKETCALL, vec![rule(&unless).map_err(fault)?]);
    }
    Ok([i386::beside(first, &allowed)?, i386::beside(second, &compile_refused(refused)?)?])
}

#[cfg(not(target_arch = "x86_64"))]
#[expect(clippy::unnecessary_wraps, reason = "as where there are 32 bits")]
fn with_32_bits(
    filters: [BpfProgram; 2],
    _: &[Call],
    _: &[Call],
    _: Network,
) -> Result<[BpfProgram; 2], Fault> {
    Ok(filters)
}

/// Lets those calls through.
fn compile_allowed(calls: impl IntoIterator<Item = i64>) -> Result<BpfProgram, Fault> {
    let unknown = || SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let calls: Result<BTreeSet<u32>, _> = calls.into_iter().map(u32::try_from).collect();
    let calls = calls.map_err(|_| Fault::System {
        doing: "making the system call filter: a call without a number".into(),
        errno: libc::EINVAL,
    })?;
    // Without rules, what it has is the look at the architecture, and the answer to all.
    let mut program = compile(Rules::new(), unknown(), SeccompAction::Allow)?;
    program.pop();
    ranges::append(&mut program, &calls, SeccompAction::Allow, unknown());
    Ok(program)
}

/// Refuses those calls.
fn compile_refused(rules: Rules) -> Result<BpfProgram, Fault> {
    compile(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
}

/// The clocks that tell the time of day; the last one may differ from the others by leap seconds.
const WALL_CLOCKS: [i32; 4] =
    [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE, libc::CLOCK_REALTIME_ALARM, libc::CLOCK_TAI];

/// The calls whose answer is the time of day, or has it in it.
const CLOCK_CALLS: [libc::c_long; 3] = [libc::SYS_gettimeofday, libc::SYS_adjtimex, libc::SYS_clock_adjtime];

/// Stops a thread for its tracer before it is told the time of day, or waits for one.
pub(super) fn clock_filter() -> Result<BpfProgram, Fault> {
    let mut traced: Rules = CLOCK_CALLS.map(|call| (call, Vec::new())).into_iter().collect();
    #[cfg(target_arch = "x86_64")]
    traced.insert(libc::SYS_time, Vec::new());
    let condition = |argument, operator, value: i32| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.cast_unsigned().into())
    };
    let has =
        |argument, bit: i32| condition(argument, SeccompCmpOp::MaskedEq(bit.cast_unsigned().into()), bit);
    for clock in WALL_CLOCKS {
        let told = [condition(0, SeccompCmpOp::Eq, clock)];
        let sleeps = [condition(0, SeccompCmpOp::Eq, clock), has(1, libc::TIMER_ABSTIME)];
        add_rule(&mut traced, libc::SYS_clock_gettime, told)?;
        add_rule(&mut traced, libc::SYS_clock_nanosleep, sleeps)?;
    }
    // Many waits have no deadline.
    let deadline = SeccompCondition::new(3, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0);
    add_rule(&mut traced, libc::SYS_futex, [has(1, libc::FUTEX_CLOCK_REALTIME), deadline])?;
    compile(traced, SeccompAction::Allow, SeccompAction::Trace(0))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn add_rule<const N: usize>(
    rules: &mut Rules,
    call: libc::c_long,
    conditions: [Result<SeccompCondition, seccompiler::BackendError>; N],
) -> Result<(), Fault> {
    let conditions = conditions.into_iter().collect::<Result<_, _>>().map_err(fault)?;
    rules.entry(call).or_default().push(SeccompRule::new(conditions).map_err(fault)?);
    Ok(())
}

fn rule(unless: &Unless) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |(operator, value): &(SeccompCmpOp, u64)| {
        SeccompCondition::new(unless.argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    };
    SeccompRule::new(unless.conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

fn compile(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> Result<BpfProgram, Fault> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(fault)?;
    let filter = SeccompFilter::new(rules, otherwise, matching, arch).map_err(fault)?;
    filter.try_into().map_err(fault)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn fault(error: seccompiler::BackendError) -> Fault {
    Fault::System { doing: format!("making the system call filter: {error}"), errno: libc::EINVAL }
}

/// Adds a filter while the process may, and so without giving up new privileges.
pub(super) fn add(filter: &BpfProgram) -> Result<(), Fault> {
    super::sys::add_filter(filter).map_err(Fault::doing("applying the filter of the clock"))
}

pub(super) fn apply(filters: &[BpfProgram; 2]) -> Result<(), Fault> {
    for filter in filters {
        seccompiler::apply_filter(filter).map_err(|error| Fault::System {
            doing: format!("applying the system call filter: {error}"),
            errno: rustix::io::Errno::PERM.raw_os_error(),
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        let allowed = [ALLOWED, ALLOWED_HERE, ALLOWED_BY_NUMBER].concat();
        for call in [REFUSED, REFUSED_HERE].concat() {
            assert!(allowed.iter().all(|other| other.1 != call.1), "{call:?}");
        }
        assert!(allowed.iter().all(|call| call.1 != libc::SYS_clone3), "its flags can't be looked at");
    }

    #[test]
    fn the_filters_fit_the_kernels_bound() {
        for filter in filters(Network::None).unwrap() {
            assert!((100..4096).contains(&filter.len()), "{}", filter.len());
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_first_filter_lets_the_calls_of_the_list_through_and_no_others() {
        const AMD64: u32 = 0xc000_003e;
        const I386: u32 = 0x4000_0003;
        let list = [ALLOWED, ALLOWED_HERE, ALLOWED_BY_NUMBER].concat();
        let here: BTreeSet<i64> = list.iter().map(|call| call.1).collect();
        let [first, _] = filters(Network::None).unwrap();
        let allow = u32::from(SeccompAction::Allow);
        let unknown = u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs()));
        for (architecture, calls) in [(AMD64, here), (I386, i386::allowed(&list))] {
            // With the bit of x32 they are other calls.
            for number in (0..2048).chain(0x4000_0000..0x4000_0800).chain([u32::MAX]) {
                let expected = if calls.contains(&i64::from(number)) { allow } else { unknown };
                assert_eq!(ranges::run(&first, architecture, number), expected, "{architecture:#x} {number}");
            }
        }
        let kill = u32::from(SeccompAction::KillProcess);
        assert_eq!(ranges::run(&first, 0xc000_00b7, 0), kill, "of ARM");
        assert!(first.len() < 800, "the kernel translates it for each step: {}", first.len());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn programs_of_32_bits_have_the_same_calls() {
        let allowed = i386::allowed(&[ALLOWED, ALLOWED_HERE, ALLOWED_BY_NUMBER].concat());
        let refused = i386::refused(&[REFUSED, REFUSED_HERE].concat());
        assert_eq!(allowed.intersection(&refused).count(), 0);
        // `exit`, `openat`, `clone`, `setgroups32`, `cachestat`; and `mount`, `unshare`, `setns`, `open_tree`.
        assert!([1, 295, 120, 206, 451].iter().all(|call| allowed.contains(call)));
        assert!([21, 310, 346, 428].iter().all(|call| refused.contains(call)));
        // `clone3`, and `vserver`, which no kernel has.
        assert!([435, 273].iter().all(|call| !allowed.contains(call) && !refused.contains(call)));
        for unless in refused_by_argument() {
            assert!(allowed.contains(&i386::number(unless.call.0).unwrap()), "{:?}", unless.call);
        }
        assert!(allowed.contains(&i386::SOCKETCALL));
    }
}
