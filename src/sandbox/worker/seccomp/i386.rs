//! The system calls of 32-bit x86, whose programs the kernels of 64-bit machines run: the same calls under other
//! numbers, and those that only 32 bits need. The numbers are the kernel's, which libc has for one architecture alone.

use std::collections::BTreeSet;

use seccompiler::{BpfProgram, sock_filter};

use crate::sandbox::Fault;

/// A call's name and number.
macro_rules! calls {
    ($($name:ident $number:literal)*) => { &[$((stringify!($name), $number)),*] };
}

/// The numbers of the calls that the lists of 64 bits name.
#[rustfmt::skip]
const NUMBERS: &[(&str, i64)] = calls!(
    restart_syscall 0 exit 1 fork 2 read 3 write 4 open 5 close 6 creat 8 link 9 unlink 10 execve 11
    chdir 12 time 13 mknod 14 chmod 15 lchown 16 lseek 19 getpid 20 mount 21 setuid 23 getuid 24 ptrace 26
    alarm 27 pause 29 utime 30 access 33 sync 36 kill 37 rename 38 mkdir 39 rmdir 40 dup 41 pipe 42 times 43
    brk 45 setgid 46 getgid 47 geteuid 49 getegid 50 acct 51 umount2 52 ioctl 54 fcntl 55 setpgid 57
    umask 60 chroot 61 ustat 62 dup2 63 getppid 64 getpgrp 65 setsid 66 setreuid 70 setregid 71
    sethostname 74 setrlimit 75 getrlimit 76 getrusage 77 gettimeofday 78 settimeofday 79 getgroups 80
    setgroups 81 select 82 symlink 83 readlink 85 uselib 86 swapon 87 reboot 88 mmap 90 munmap 91
    truncate 92 ftruncate 93 fchmod 94 fchown 95 getpriority 96 setpriority 97 statfs 99 fstatfs 100
    ioperm 101 syslog 103 setitimer 104 getitimer 105 stat 106 lstat 107 fstat 108 iopl 110 vhangup 111
    wait4 114 swapoff 115 sysinfo 116 fsync 118 clone 120 setdomainname 121 uname 122 modify_ldt 123
    adjtimex 124 mprotect 125 init_module 128 delete_module 129 quotactl 131 getpgid 132 fchdir 133
    sysfs 135 personality 136 setfsuid 138 setfsgid 139 getdents 141 flock 143 msync 144 readv 145
    writev 146 getsid 147 fdatasync 148 _sysctl 149 mlock 150 munlock 151 mlockall 152 munlockall 153
    sched_setparam 154 sched_getparam 155 sched_setscheduler 156 sched_getscheduler 157 sched_yield 158
    sched_get_priority_max 159 sched_get_priority_min 160 sched_rr_get_interval 161 nanosleep 162 mremap 163
    setresuid 164 getresuid 165 poll 168 nfsservctl 169 setresgid 170 getresgid 171 prctl 172
    rt_sigreturn 173 rt_sigaction 174 rt_sigprocmask 175 rt_sigpending 176 rt_sigtimedwait 177
    rt_sigqueueinfo 178 rt_sigsuspend 179 pread64 180 pwrite64 181 chown 182 getcwd 183 capget 184
    capset 185 sigaltstack 186 sendfile 187 vfork 190 pivot_root 217 mincore 218 madvise 219 getdents64 220
    gettid 224 readahead 225 setxattr 226 lsetxattr 227 fsetxattr 228 getxattr 229 lgetxattr 230
    fgetxattr 231 listxattr 232 llistxattr 233 flistxattr 234 removexattr 235 lremovexattr 236
    fremovexattr 237 tkill 238 futex 240 sched_setaffinity 241 sched_getaffinity 242 set_thread_area 243
    get_thread_area 244 io_setup 245 io_destroy 246 io_getevents 247 io_submit 248 io_cancel 249
    fadvise64 250 exit_group 252 lookup_dcookie 253 epoll_create 254 epoll_ctl 255 epoll_wait 256
    remap_file_pages 257 set_tid_address 258 timer_create 259 timer_settime 260 timer_gettime 261
    timer_getoverrun 262 timer_delete 263 clock_settime 264 clock_gettime 265 clock_getres 266
    clock_nanosleep 267 tgkill 270 utimes 271 mbind 274 get_mempolicy 275 set_mempolicy 276 mq_open 277
    mq_unlink 278 mq_timedsend 279 mq_timedreceive 280 mq_notify 281 mq_getsetattr 282 kexec_load 283
    waitid 284 add_key 286 request_key 287 keyctl 288 ioprio_set 289 ioprio_get 290 inotify_init 291
    inotify_add_watch 292 inotify_rm_watch 293 migrate_pages 294 openat 295 mkdirat 296 mknodat 297
    fchownat 298 futimesat 299 unlinkat 301 renameat 302 linkat 303 symlinkat 304 readlinkat 305
    fchmodat 306 faccessat 307 pselect6 308 ppoll 309 unshare 310 set_robust_list 311 get_robust_list 312
    splice 313 sync_file_range 314 tee 315 vmsplice 316 move_pages 317 getcpu 318 epoll_pwait 319
    utimensat 320 signalfd 321 timerfd_create 322 eventfd 323 fallocate 324 timerfd_settime 325
    timerfd_gettime 326 signalfd4 327 eventfd2 328 epoll_create1 329 dup3 330 pipe2 331 inotify_init1 332
    preadv 333 pwritev 334 rt_tgsigqueueinfo 335 perf_event_open 336 recvmmsg 337 fanotify_init 338
    fanotify_mark 339 prlimit64 340 name_to_handle_at 341 open_by_handle_at 342 clock_adjtime 343 syncfs 344
    sendmmsg 345 setns 346 process_vm_readv 347 process_vm_writev 348 kcmp 349 finit_module 350
    sched_setattr 351 sched_getattr 352 renameat2 353 seccomp 354 getrandom 355 memfd_create 356 bpf 357
    execveat 358 socket 359 socketpair 360 bind 361 connect 362 listen 363 accept4 364 getsockopt 365
    setsockopt 366 getsockname 367 getpeername 368 sendto 369 sendmsg 370 recvfrom 371 recvmsg 372
    shutdown 373 userfaultfd 374 membarrier 375 mlock2 376 copy_file_range 377 preadv2 378 pwritev2 379
    pkey_mprotect 380 pkey_alloc 381 pkey_free 382 statx 383 arch_prctl 384 rseq 386 semget 393 semctl 394
    shmget 395 shmctl 396 shmat 397 shmdt 398 msgget 399 msgsnd 400 msgrcv 401 msgctl 402
);

/// What 64 bits have no need of: wide numbers, ids, times and offsets, and calls that lead to several others.
#[rustfmt::skip]
const ALLOWED: &[(&str, i64)] = calls!(
    waitpid 7 socketcall 102 ipc 117 sigreturn 119 sigprocmask 126 _llseek 140 _newselect 142 ugetrlimit 191
    mmap2 192 truncate64 193 ftruncate64 194 stat64 195 lstat64 196 fstat64 197 lchown32 198 getuid32 199
    getgid32 200 geteuid32 201 getegid32 202 setreuid32 203 setregid32 204 getgroups32 205 setgroups32 206
    fchown32 207 setresuid32 208 getresuid32 209 setresgid32 210 getresgid32 211 chown32 212 setuid32 213
    setgid32 214 setfsuid32 215 setfsgid32 216 fcntl64 221 sendfile64 239 statfs64 268 fstatfs64 269
    fadvise64_64 272 fstatat64 300 io_pgetevents 385 clock_gettime64 403 clock_adjtime64 405
    clock_getres_time64 406 clock_nanosleep_time64 407 timer_gettime64 408 timer_settime64 409
    timerfd_gettime64 410 timerfd_settime64 411 utimensat_time64 412 pselect6_time64 413 ppoll_time64 414
    io_pgetevents_time64 416 recvmmsg_time64 417 mq_timedsend_time64 418 mq_timedreceive_time64 419
    semtimedop_time64 420 rt_sigtimedwait_time64 421 futex_time64 422 sched_rr_get_interval_time64 423
);

#[rustfmt::skip]
const REFUSED: &[(&str, i64)] = calls!(
    umount 22 stime 25 vm86old 113 vm86 166 clock_settime64 404
);

/// Since 5.1 the calls of all architectures have the same numbers, but for those that were there before.
const FIRST_COMMON: i64 = 424;

/// By whose first argument it is known which call it leads to. What that is given is out of a filter's reach.
pub(super) const SOCKETCALL: i64 = 102;
pub(super) const SOCKETCALL_SOCKET: u64 = 1;

/// The number of a call.
pub(super) fn number(name: &str) -> Option<i64> {
    NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The numbers of the calls of a list of 64 bits, with those that 32 bits alone have.
pub(super) fn allowed(list: &[super::Call]) -> BTreeSet<i64> {
    these(list).chain(ALLOWED.iter().map(|(_, number)| *number)).collect()
}

/// As [`allowed`].
pub(super) fn refused(list: &[super::Call]) -> BTreeSet<i64> {
    these(list).chain(REFUSED.iter().map(|(_, number)| *number)).collect()
}

fn these(list: &[super::Call]) -> impl Iterator<Item = i64> {
    list.iter().filter_map(|(name, there)| {
        number(name).or_else(|| Some(i64::from(*there)).filter(|common| *common >= FIRST_COMMON))
    })
}

/// What a program begins with: it loads the architecture, and ends the process if that is another than its own.
const PROLOGUE: usize = 3;
const LOAD_ARCHITECTURE: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 4 };
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP: u16 = 0x05;
/// `AUDIT_ARCH_I386`
const I386: u32 = 0x4000_0003;

/// One program that does as `whole` does, and for calls of 32 bits as `other`, which was compiled for 64.
pub(super) fn beside(whole: BpfProgram, other: BpfProgram) -> Result<BpfProgram, Fault> {
    let unknown =
        || Fault::System { doing: "making the system call filter for 32 bits".into(), errno: libc::EINVAL };
    let (prologue, other) = other.split_at_checked(PROLOGUE).ok_or_else(unknown)?;
    if prologue[0] != LOAD_ARCHITECTURE || (prologue[1].code, prologue[1].jt) != (JUMP_IF_EQUAL, 1) {
        return Err(unknown());
    }
    let over = u32::try_from(whole.len()).map_err(|_| unknown())?;
    let mut both = vec![
        LOAD_ARCHITECTURE,
        sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: I386 },
        sock_filter { code: JUMP, jt: 0, jf: 0, k: over },
    ];
    both.extend(whole);
    both.extend_from_slice(other);
    Ok(both)
}
