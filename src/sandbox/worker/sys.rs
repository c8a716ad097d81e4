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

/// Keeps this process, and all that it starts, from sockets of the network's names (`unix(7)`: abstract) that others
/// made. Kernels before 6.12 can't; nothing is done there.
pub(super) fn only_own_abstract_sockets() -> io::Result<()> {
    /// `struct landlock_ruleset_attr`, of which all else is left free.
    #[repr(C)]
    struct Rules {
        files: u64,
        network: u64,
        scoped: u64,
    }
    const ABSTRACT_SOCKETS: u64 = 1;
    let rules = Rules { files: 0, network: 0, scoped: ABSTRACT_SOCKETS };
    let (size, none) = (size_of::<Rules>(), 0);
    // SAFETY: the structure is of the size that is said, and lives until the call returns.
    let made = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, size, none) };
    if made < 0 {
        // Unknown, switched off, or too old for this structure.
        let error = io::Error::last_os_error();
        let expected = [libc::ENOSYS, libc::EOPNOTSUPP, libc::E2BIG, libc::EINVAL];
        return if error.raw_os_error().is_some_and(|n| expected.contains(&n)) { Ok(()) } else { Err(error) };
    }
    // SAFETY: the descriptor was just made, and is not used again; it is closed when the process becomes another.
    checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, made, none) })
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
