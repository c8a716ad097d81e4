//! A wall clock that stands still for the programs of a step.
//!
//! A process beside the worker, the keeper, traces every thread of the step. Programs are told the time by the kernel
//! without a system call, by code that it maps into them (the vDSO); the keeper takes the notice of that code out of
//! what a program is started with, so that it makes system calls. A filter stops the thread at these, and the keeper
//! answers. That needs nothing in the root file system and serves static programs as others. A time namespace would not
//! do: it shifts the monotonic clocks alone.
//!
//! Invariants: no program of the step runs untraced, as all end with the keeper; the keeper has the worker's
//! privileges and no descriptor but its socket.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, Signal, dumpable_behavior, set_dumpable_behavior};

use super::deadline::Waiting;
use super::sys::{self, Fork, Registers, Stop};
use crate::sandbox::Fault;
use crate::sandbox::wire;

/// Of the auxiliary vector: its end, what programs pass over, and where the code for telling the time is.
const AT_NULL: u64 = 0;
const AT_IGNORE: u64 = 1;
const AT_SYSINFO_EHDR: u64 = 33;

/// Memory is there in whole pages, which are no smaller than this.
const PAGE: usize = 4096;

/// The keeper of a step's clock, as the worker sees it. It ends with the step.
pub(super) struct Keeper {
    pid: Pid,
    socket: UnixStream,
}

impl Keeper {
    /// To be called while the worker's next child is still in the worker's own process namespace.
    pub(super) fn start(seconds: u64) -> Result<Self, Fault> {
        let doing = || Fault::doing("starting the clock's keeper");
        let (socket, theirs) = UnixStream::pair().map_err(doing())?;
        match sys::fork().map_err(doing())? {
            Fork::Parent(pid) => Ok(Self { pid, socket }),
            Fork::Child => {
                let last = keep(&theirs, Time(seconds));
                // A worker that is gone needs no word.
                drop(wire::send(&mut &theirs, &last));
                sys::exit(0)
            }
        }
    }

    /// Has the keeper trace a process that waits.
    pub(super) fn trace(&self, process: Pid) -> Result<(), Fault> {
        let sent = wire::send(&mut &self.socket, &process.as_raw_pid());
        sent.map_err(Fault::doing("talking to the clock's keeper"))?;
        self.word()
    }

    /// Whether the clock stood still to the end. To be called when the step has ended.
    pub(super) fn end(self) -> Result<(), Fault> {
        self.word()
    }

    fn word(&self) -> Result<(), Fault> {
        match wire::receive(&mut &self.socket) {
            Ok(word) => word,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Fault::Clock { why: "the process that traces it was killed".into() })
            }
            Err(error) => Err(Fault::doing("waiting for the clock's keeper")(error)),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.socket.shutdown(std::net::Shutdown::Both));
        drop(sys::wait(self.pid));
    }
}

/// Does `start`, which makes a child that can be traced: a process that has changed its ids can't be.
pub(super) fn traceable<T>(start: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let doing = || Fault::doing("letting a process be traced");
    let before = dumpable_behavior().map_err(doing())?;
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(doing())?;
    let started = start();
    if before != DumpableBehavior::Dumpable {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(doing())?;
    }
    started
}

/// The keeper's whole life.
fn keep(socket: &UnixStream, time: Time) -> Result<(), Fault> {
    const STARTING: &str = "starting the clock's keeper";
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(Fault::doing(STARTING))?;
    sys::close_all_but(socket.as_fd()).map_err(Fault::doing(STARTING))?;
    let mut socket = socket;
    // Nothing comes where the step could not be started.
    let Ok(first) = wire::receive::<i32>(&mut socket) else { return Ok(()) };
    let first = Pid::from_raw(first).ok_or(Errno::SRCH).map_err(Fault::doing(STARTING))?;
    sys::seize(first).map_err(|error| Fault::Clock { why: format!("tracing it: {error}") })?;
    wire::send(&mut socket, &Ok::<(), Fault>(())).map_err(Fault::doing(STARTING))?;
    let mut waiting = Waiting::default();
    while let Some(stop) = sys::next_stop().map_err(Fault::doing("tracing the step"))? {
        match handle(&stop, first, time, &mut waiting) {
            // It was killed meanwhile, which is told next.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            handled => handled.map_err(Fault::doing("stopping the clock of a program"))?,
        }
    }
    Ok(())
}

/// Does what a stop asks for, and lets the thread go on.
fn handle(stop: &Stop, first: Pid, time: Time, waiting: &mut Waiting) -> io::Result<()> {
    let thread = stop.thread;
    match (stop.event, stop.signal) {
        // Untraced, the first process of a namespace could not be stopped from within.
        (0, libc::SIGSTOP) if thread == first => sys::go_on(thread, 0),
        (0, sys::RETURNED) => waiting.end(thread),
        (0, signal) => sys::go_on(thread, signal),
        (libc::PTRACE_EVENT_STOP, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) => {
            sys::stay_stopped(thread)
        }
        (libc::PTRACE_EVENT_EXEC, _) => {
            hide_vdso(thread, Registers::of(thread)?.stack())?;
            sys::go_on(thread, 0)
        }
        (libc::PTRACE_EVENT_SECCOMP, _) => {
            let registers = Registers::of(thread)?;
            if [libc::SYS_futex, libc::SYS_clock_nanosleep].contains(&registers.call()) {
                return waiting.begin(thread, registers, time.0);
            }
            let answer = time.tell(thread, registers.call(), registers.arguments())?;
            registers.answer(thread, answer)?;
            sys::go_on(thread, 0)
        }
        _ => sys::go_on(thread, 0),
    }
}

/// Takes the notice of the vDSO out of what a new program finds on its stack: the number of arguments, these, a null,
/// the environment, a null, and pairs of a type and a value.
fn hide_vdso(thread: Pid, stack: u64) -> io::Result<()> {
    let Some(arguments) = Words::new(thread, stack).next()? else { return Ok(()) };
    // Past their number and the null.
    let environment = arguments.checked_add(2).and_then(|words| words.checked_mul(8)?.checked_add(stack));
    let Some(environment) = environment else { return Ok(()) };
    let mut words = Words::new(thread, environment);
    while words.next()?.is_some_and(|variable| variable != 0) {}
    loop {
        let at = words.at;
        match (words.next()?, words.next()?) {
            (Some(AT_SYSINFO_EHDR), _) => return sys::write_memory(thread, at, &AT_IGNORE.to_ne_bytes()),
            (None | Some(AT_NULL), _) | (_, None) => return Ok(()),
            _ => {}
        }
    }
}

/// The words of a thread's memory, one after another.
struct Words {
    thread: Pid,
    at: u64,
    /// What is left of the page that `at` is in.
    page: std::vec::IntoIter<u64>,
}

impl Words {
    fn new(thread: Pid, at: u64) -> Self {
        Self { thread, at, page: Vec::new().into_iter() }
    }

    /// None where there is no memory.
    fn next(&mut self) -> io::Result<Option<u64>> {
        if self.page.as_slice().is_empty() {
            self.page = self.read()?.into_iter();
        }
        self.at += 8;
        Ok(self.page.next())
    }

    fn read(&self) -> io::Result<Vec<u64>> {
        let mut page = [0; PAGE];
        let into = &mut page[usize::try_from(self.at).unwrap_or_default() % PAGE..];
        match sys::read_memory(self.thread, self.at, into) {
            Ok(read) => {
                let (words, _) = into[..read].as_chunks();
                Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
            }
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// The second since 1970 at which the clock stands.
#[derive(Clone, Copy)]
struct Time(u64);

impl Time {
    /// What a call for the time gives; the time itself is written to where it is asked for.
    fn tell(self, thread: Pid, call: i64, arguments: [u64; 4]) -> io::Result<i64> {
        let seconds = self.0.to_ne_bytes();
        let time = [seconds, [0; 8]].concat();
        let unless_null = |to: u64, bytes: &[u8]| match to {
            0 => Ok(()),
            to => sys::write_memory(thread, to, bytes),
        };
        match call {
            libc::SYS_clock_gettime => answer(sys::write_memory(thread, arguments[1], &time), 0),
            libc::SYS_gettimeofday => {
                let written = unless_null(arguments[0], &time);
                answer(written.and_then(|()| unless_null(arguments[1], &[0; 8])), 0)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_time => answer(unless_null(arguments[0], &seconds), self.0.cast_signed()),
            // Setting the clock, which is not permitted anyway, tells it too.
            _ => Ok((-libc::EPERM).into()),
        }
    }
}

fn answer(written: io::Result<()>, answer: i64) -> io::Result<i64> {
    match written {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok((-libc::EFAULT).into()),
        written => written.map(|()| answer),
    }
}
