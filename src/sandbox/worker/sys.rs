//! The system calls that rustix has not, or can't offer safely. All of the project's `unsafe` stands here.

#![expect(unsafe_code, reason = "system calls of a process that has one thread")]

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// Which side of a [`fork`] one is on.
pub(super) enum Fork {
    Parent(Pid),
    Child,
}

/// The worker has one thread, so that its child may do all that it may.
pub(super) fn fork() -> io::Result<Fork> {
    // SAFETY: the worker never starts a thread, so no lock is held by one that the child has not.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid).map_or(Fork::Child, Fork::Parent)),
    }
}

pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: `FILES` is never among the flags, so descriptors mean what they meant.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Sets attributes of a mount, or of the whole tree of them.
pub(super) fn mount_setattr(mount: BorrowedFd<'_>, set: u64, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a string, and the structure is of the size that is said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    checked(result)
}

/// Brings the loopback device up; the kernel then gives it its addresses.
pub(super) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an `ifreq` of zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed() as c_char;
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(up).expect("two low bits");
    let (socket, call) = (socket.as_raw_fd(), libc::SIOCSIFFLAGS);
    // SAFETY: the request is an `ifreq` that lives until the call returns. (The type of a call's number differs from
    // one C library to another.)
    checked(unsafe { libc::syscall(libc::SYS_ioctl, socket, call, &raw const request) })
}

/// Every signal as it is by default, and none held back.
pub(super) fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default disposition runs no code of ours. Those that can't be set say so, and stay.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the set is initialised by `sigemptyset` before it is used.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// The execution domain that programs expect, with addresses at random.
pub(super) fn default_personality() {
    // SAFETY: it changes this process alone, which is about to become another program.
    unsafe { libc::personality(0) };
}

/// All descriptors from 3 on end with this program.
pub(super) fn close_on_exec_from_3() -> io::Result<()> {
    // SAFETY: nothing is closed yet.
    checked(unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) })
}

pub(super) fn dup2(from: impl AsFd, to: i32) -> io::Result<()> {
    // SAFETY: the standard streams are owned by nobody, so that nothing is closed behind an owner's back.
    checked(unsafe { libc::dup2(from.as_fd().as_raw_fd(), to) }.into())
}

/// Becomes another program; returns only if that fails.
pub(super) fn execve(program: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<*const c_char>>()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both are lists of strings that live on, ended by a null pointer.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes every descriptor but one, in a process that will end without giving any back.
pub(super) fn close_all_but(kept: BorrowedFd<'_>) -> io::Result<()> {
    let kept = kept.as_raw_fd().cast_unsigned();
    for (first, last) in [(0, kept.wrapping_sub(1)), (kept + 1, libc::c_uint::MAX)] {
        if first <= last && (kept, first) != (0, 0) {
            // SAFETY: the caller uses none of them any more, and ends without closing one.
            checked(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) })?;
        }
    }
    Ok(())
}

/// Adds a filter of system calls, without giving up new privileges: for that, one has to be root.
pub(super) fn add_filter(filter: &[seccompiler::sock_filter]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(filter.len()).map_err(io::Error::other)?;
    let program =
        libc::sock_fprog { len: length, filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: both types of an instruction are the kernel's, which reads as many of them as are said.
    checked(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
}

/// Why a thread stopped for its tracer.
pub(super) struct Stop {
    pub(super) thread: Pid,
    pub(super) signal: i32,
    /// One of `PTRACE_EVENT_*`; 0 if the signal is about to be delivered.
    pub(super) event: i32,
}

/// Begins to trace a process, and with it whatever it starts; all of them end when the caller does.
pub(super) fn seize(process: Pid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: nothing of this process's memory is read or written.
    unsafe { ptrace(libc::PTRACE_SEIZE.into(), process, 0, options.into()) }
}

/// Waits for a traced thread to stop; nothing, when all of them have ended.
pub(super) fn next_stop() -> io::Result<Option<Stop>> {
    loop {
        let mut status = 0;
        // SAFETY: the status is an integer that lives until the call returns.
        match unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) } {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                error => return Err(error),
            },
            thread if libc::WIFSTOPPED(status) => {
                let thread = Pid::from_raw(thread).ok_or(io::ErrorKind::InvalidData)?;
                return Ok(Some(Stop { thread, signal: libc::WSTOPSIG(status), event: status >> 16 }));
            }
            _ => {}
        }
    }
}

/// Lets a stopped thread go on, and delivers a signal to it, if there is one.
pub(super) fn go_on(thread: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: nothing of this process's memory is read or written.
    unsafe { ptrace(libc::PTRACE_CONT.into(), thread, 0, signal.into()) }
}

/// Lets a thread that is about to make a call go on until that returns: it stops again, with [`RETURNED`].
pub(super) fn go_on_until_return(thread: Pid) -> io::Result<()> {
    // SAFETY: nothing of this process's memory is read or written.
    unsafe { ptrace(libc::PTRACE_SYSCALL.into(), thread, 0, 0) }
}

/// The signal of a stop, without an event, where a call returns.
pub(super) const RETURNED: i32 = libc::SIGTRAP | 0x80;

/// Leaves a thread stopped, as its process is, until that is continued.
pub(super) fn stay_stopped(thread: Pid) -> io::Result<()> {
    // SAFETY: nothing of this process's memory is read or written.
    unsafe { ptrace(libc::PTRACE_LISTEN.into(), thread, 0, 0) }
}

/// What a stopped thread has in its registers.
pub(super) struct Registers(libc::user_regs_struct);

impl Registers {
    pub(super) fn of(thread: Pid) -> io::Result<Self> {
        // SAFETY: registers are integers.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is the kernel's, and as large as is said.
        unsafe {
            register_set(libc::PTRACE_GETREGSET.into(), thread, libc::NT_PRSTATUS, &raw mut registers)
        }?;
        Ok(Self(registers))
    }

    pub(super) fn set(&mut self, thread: Pid) -> io::Result<()> {
        // SAFETY: as above; nothing is written to it.
        unsafe { register_set(libc::PTRACE_SETREGSET.into(), thread, libc::NT_PRSTATUS, &raw mut self.0) }
    }

    /// Makes the thread, which is about to make a call, go on as if that had been made and answered.
    pub(super) fn answer(mut self, thread: Pid, answer: i64) -> io::Result<()> {
        self.set_answer(answer);
        self.set(thread)?;
        Self::skip(thread)
    }
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    pub(super) fn stack(&self) -> u64 {
        self.0.rsp
    }

    /// The system call that is about to be made.
    pub(super) fn call(&self) -> i64 {
        self.0.orig_rax.cast_signed()
    }

    pub(super) fn arguments(&self) -> [u64; 4] {
        [self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10]
    }

    pub(super) fn set_arguments(&mut self, arguments: [u64; 4]) {
        [self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10] = arguments;
    }

    /// As it was, where a call has returned: the kernel gives all registers back but the answer's.
    pub(super) fn restore_arguments(&mut self, arguments: [u64; 4]) {
        self.set_arguments(arguments);
    }

    fn set_answer(&mut self, answer: i64) {
        self.0.orig_rax = u64::MAX;
        self.0.rax = answer.cast_unsigned();
    }

    /// The number of the call is among the registers.
    #[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
    fn skip(_: Pid) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    pub(super) fn stack(&self) -> u64 {
        self.0.sp
    }

    /// The system call that is about to be made.
    pub(super) fn call(&self) -> i64 {
        self.0.regs[8].cast_signed()
    }

    pub(super) fn arguments(&self) -> [u64; 4] {
        [self.0.regs[0], self.0.regs[1], self.0.regs[2], self.0.regs[3]]
    }

    pub(super) fn set_arguments(&mut self, arguments: [u64; 4]) {
        self.0.regs[..4].copy_from_slice(&arguments);
    }

    /// As it was, where a call has returned: the kernel gives all registers back but the answer's, which is the first.
    pub(super) fn restore_arguments(&mut self, arguments: [u64; 4]) {
        self.0.regs[1..4].copy_from_slice(&arguments[1..]);
    }

    fn set_answer(&mut self, answer: i64) {
        self.0.regs[0] = answer.cast_unsigned();
    }

    /// The number of the call has a set of its own.
    fn skip(thread: Pid) -> io::Result<()> {
        const NT_ARM_SYSTEM_CALL: libc::c_int = 0x404;
        let mut none: libc::c_int = -1;
        // SAFETY: the set is an integer; nothing is written to it.
        unsafe { register_set(libc::PTRACE_SETREGSET.into(), thread, NT_ARM_SYSTEM_CALL, &raw mut none) }
    }
}

/// # Safety
/// As the request has it, `set` must be readable, or may be written to.
unsafe fn register_set<T>(request: i64, thread: Pid, kind: libc::c_int, set: *mut T) -> io::Result<()> {
    let mut vector = libc::iovec { iov_base: set.cast(), iov_len: size_of::<T>() };
    // SAFETY: the vector says how large the set is, and lives until the call returns.
    unsafe {
        ptrace(request, thread, kind.into(), (&raw mut vector).expose_provenance().cast_signed() as i64)
    }
}

/// # Safety
/// As the request has it, `data` must be the address of something of its kind.
unsafe fn ptrace(request: i64, thread: Pid, address: i64, data: i64) -> io::Result<()> {
    let thread = i64::from(thread.as_raw_pid());
    // SAFETY: the caller's.
    checked(unsafe { libc::syscall(libc::SYS_ptrace, request, thread, address, data) })
}

/// Reads the memory of a traced thread, as far as there is some.
pub(super) fn read_memory(thread: Pid, from: u64, into: &mut [u8]) -> io::Result<usize> {
    let here = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let there = libc::iovec { iov_base: there(from), iov_len: into.len() };
    // SAFETY: only `into` is written to, and it is as long as is said.
    let read =
        unsafe { libc::process_vm_readv(thread.as_raw_pid(), &raw const here, 1, &raw const there, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Writes to the memory of a traced thread where it could itself.
pub(super) fn write_memory(thread: Pid, to: u64, bytes: &[u8]) -> io::Result<()> {
    let here = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let there = libc::iovec { iov_base: there(to), iov_len: bytes.len() };
    // SAFETY: `bytes` are read only, and are as long as is said.
    let wrote =
        unsafe { libc::process_vm_writev(thread.as_raw_pid(), &raw const here, 1, &raw const there, 1, 0) };
    match usize::try_from(wrote) {
        Ok(wrote) if wrote == bytes.len() => Ok(()),
        Ok(_) => Err(io::Error::from_raw_os_error(libc::EFAULT)),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// An address in another process.
fn there(address: u64) -> *mut libc::c_void {
    std::ptr::without_provenance_mut(usize::try_from(address).unwrap_or(usize::MAX))
}

/// Ends this process at once, without running what others registered.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: nothing that the process holds needs to be given back.
    unsafe { libc::_exit(code) }
}

/// Makes a process group the one that the terminal listens to. It is no matter if there is no terminal.
pub(in crate::sandbox) fn take_terminal(terminal: BorrowedFd<'_>, group: Pid) {
    // SAFETY: ignoring a signal runs no code of ours; without it, who is not in that group yet would be stopped.
    unsafe {
        let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        libc::tcsetpgrp(terminal.as_raw_fd(), group.as_raw_pid());
        libc::signal(libc::SIGTTOU, before);
    }
}

/// How a child ended.
pub(super) fn wait(pid: Pid) -> io::Result<ExitStatus> {
    loop {
        let mut status = 0;
        // SAFETY: the status is an integer that lives until the call returns.
        match unsafe { libc::waitpid(pid.as_raw_pid(), &raw mut status, 0) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok(ExitStatus::from_raw(status)),
        }
    }
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
