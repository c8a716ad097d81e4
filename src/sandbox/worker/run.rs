//! A step from its start to its end: its first process, what it writes, its time.

use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::thread::UnshareFlags;

use super::clock::{self, Keeper};
use super::sys::{self, Fork};
use super::{exec, seccomp, varied, world};
use crate::sandbox::cgroup::Cgroup;
use crate::sandbox::wire::{self, Event, Hello};
use crate::sandbox::{Exit, Fault, Limit, Network, Status, Step, Stream};

/// What the step's first process needs to have from the worker.
pub(super) struct Given {
    /// Its standard streams; `None` is the worker's own.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    /// Whether overlayfs keeps its marks where users may set them.
    pub(super) user_marks: bool,
    /// Whether a user namespace with one id is all there is.
    pub(super) single: bool,
    pub(super) filters: [seccompiler::BpfProgram; 2],
    /// For a step whose clock stands still.
    pub(super) clock_filter: Option<seccompiler::BpfProgram>,
    /// Limits that each process has to itself.
    pub(super) own_limits: Vec<(Limit, u64)>,
    /// The way to lith, for a step whose network lith serves. Nobody else speaks there before the step has begun.
    pub(super) lith: Option<UnixStream>,
}

/// What the first process tells before it becomes the step's program.
pub(super) type Told = Result<Vec<Vec<u8>>, Fault>;

/// Does everything but the step.
pub(super) fn probe(step: &Step, hello: &Hello) -> Result<(), Fault> {
    let given = given(step, hello, None, [None, None])?;
    let mut child = Child::start(step, given, true)?;
    drop(child.go.take());
    child.told.read().map_err(Fault::doing("starting a process"))??;
    sys::wait(child.pid).map_err(Fault::doing("waiting for a process"))?;
    Ok(())
}

/// Runs a step. The outer error is that of the socket: lith is gone.
pub(super) fn run(step: &Step, hello: &Hello, socket: &UnixStream) -> io::Result<Result<Exit, Fault>> {
    let stdin = if step.terminal { Some(wire::receive_descriptor(socket)?) } else { None };
    // Whoever ends lith is noticed at the socket, and there is something to be tidied up then.
    rustix::process::set_parent_process_death_signal(None)?;
    if step.varied {
        varied::one_processor();
    }
    let mut cgroup = Cgroup::new(&step.limits);
    let lith = match step.network {
        Network::Served { .. } => Some(socket.try_clone()?),
        Network::None | Network::Host => None,
    };
    let result = started(step, hello, (stdin, lith), &mut cgroup).and_then(|mut running| {
        let keeper = running.keeper.take();
        let ended = supervise(step, running, socket, &cgroup);
        keeper.map_or(Ok(()), Keeper::end)?;
        Ok(ended)
    });
    let out_of_memory = cgroup.remove();
    Ok(match result {
        Err(fault) => Err(fault),
        Ok(ended) => {
            let (status, timed_out, mount_points) = ended?;
            Ok(Exit { status, out_of_memory, timed_out, unapplied: cgroup.unapplied(), mount_points })
        }
    })
}

struct Running {
    pid: Pid,
    streams: Vec<(Stream, OwnedFd)>,
    mount_points: Vec<Vec<u8>>,
    keeper: Option<Keeper>,
}

fn started(
    step: &Step,
    hello: &Hello,
    (stdin, lith): (Option<OwnedFd>, Option<UnixStream>),
    cgroup: &mut Cgroup,
) -> Result<Running, Fault> {
    let keeper = step.clock.map(Keeper::start).transpose()?;
    let mut streams = Vec::new();
    let mut ends = [None, None];
    if !step.terminal {
        for (stream, end) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&mut ends) {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(Fault::doing("making a pipe"))?;
            rustix::io::ioctl_fionbio(&read, true).map_err(Fault::doing("making a pipe"))?;
            streams.push((stream, read));
            *end = Some(write);
        }
    }
    let mut given = given(step, hello, stdin, ends)?;
    given.lith = lith;
    given.own_limits = cgroup.own_limits(&step.limits, hello.user_namespace);
    let start = || Child::start(step, given, false);
    let mut child = if keeper.is_some() { clock::traceable(start) } else { start() }?;
    let bound = cgroup.add(child.pid);
    let traced = bound.and_then(|()| keeper.as_ref().map_or(Ok(()), |keeper| keeper.trace(child.pid)));
    if let Err(fault) = traced {
        // It waits still, and is not to run without its bounds.
        rustix::process::kill_process(child.pid, Signal::KILL).map_err(Fault::doing("ending a process"))?;
        return Err(fault);
    }
    drop(child.go.take());
    let told = child.told.read().map_err(Fault::doing("starting a process"))?;
    match told {
        Ok(mount_points) => Ok(Running { pid: child.pid, streams, mount_points, keeper }),
        Err(fault) => {
            // It says why, and ends.
            sys::wait(child.pid).map_err(Fault::doing("waiting for a process"))?;
            Err(fault)
        }
    }
}

fn given(
    step: &Step,
    hello: &Hello,
    stdin: Option<OwnedFd>,
    ends: [Option<OwnedFd>; 2],
) -> Result<Given, Fault> {
    let [stdout, stderr] = ends;
    Ok(Given {
        stdin,
        stdout,
        stderr,
        user_marks: hello.user_marks,
        single: hello.own_map.is_some(),
        filters: seccomp::filters(step.network)?,
        clock_filter: step.clock.map(|_| seccomp::clock_filter()).transpose()?,
        own_limits: Vec::new(),
        lith: None,
    })
}

/// The first process of a new pid namespace, on its way to the step's program.
struct Child {
    pid: Pid,
    /// Until this is closed it waits.
    go: Option<OwnedFd>,
    told: Words,
}

/// The pipe that the program's start closes.
struct Words(OwnedFd);

impl Child {
    fn start(step: &Step, given: Given, probe: bool) -> Result<Self, Fault> {
        let doing = || Fault::doing("starting a process");
        let (wait, go) = pipe_with(PipeFlags::CLOEXEC).map_err(Fault::doing("making a pipe"))?;
        let (listen, tell) = pipe_with(PipeFlags::CLOEXEC).map_err(Fault::doing("making a pipe"))?;
        sys::unshare(UnshareFlags::NEWPID).map_err(Fault::doing("making a process namespace"))?;
        match sys::fork().map_err(doing())? {
            Fork::Parent(pid) => {
                // The ends of the pipes that are the step's: without it, nobody is to write there.
                drop(given);
                Ok(Self { pid, go: Some(go), told: Words(listen) })
            }
            Fork::Child => {
                drop((listen, go));
                let fault = first_process(step, &given, probe, &wait, &tell);
                if let Some(fault) = fault {
                    tell_worker(&tell, &Err(fault));
                }
                sys::exit(0)
            }
        }
    }
}

/// Gives what went wrong; nothing, if it was a trial and all went well.
fn first_process(step: &Step, given: &Given, probe: bool, wait: &OwnedFd, tell: &OwnedFd) -> Option<Fault> {
    let start = || -> Result<exec::Program, Fault> {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(Fault::doing("binding a process to its parent"))?;
        // Nothing is written: the end of the pipe is the word. A worker that is gone ended it, too.
        std::fs::File::from(wait.try_clone().map_err(Fault::doing("waiting"))?)
            .read_to_end(&mut Vec::new())
            .map_err(Fault::doing("waiting"))?;
        let mount_points = world::enter(step, given)?;
        let program = exec::Program::new(step)?;
        if step.varied {
            varied::use_up_ids();
        }
        if !probe {
            tell_worker(tell, &Ok(mount_points.clone()));
        }
        exec::become_step(step, given)?;
        if probe {
            tell_worker(tell, &Ok(mount_points));
        }
        Ok(program)
    };
    match start() {
        Err(fault) => Some(fault),
        Ok(_) if probe => None,
        Ok(program) => Some(program.run()),
    }
}

fn tell_worker(tell: &OwnedFd, told: &Told) {
    if let Ok(file) = tell.try_clone() {
        // A worker that is gone needs no word.
        drop(wire::send(&mut std::fs::File::from(file), told));
    }
}

impl Words {
    /// What the first process tells until it is the step's program, or gone: the last word counts.
    fn read(&self) -> io::Result<Told> {
        let mut file = std::fs::File::from(self.0.try_clone()?);
        let mut told = Err(Fault::System { doing: "starting a process".into(), errno: libc::ECHILD });
        loop {
            match wire::receive(&mut file) {
                Ok(word) => told = word,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(told),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Passes on what the step writes until its first process ends, its time is over, or lith is gone.
fn supervise(
    step: &Step,
    mut running: Running,
    socket: &UnixStream,
    cgroup: &Cgroup,
) -> io::Result<(Status, bool, Vec<Vec<u8>>)> {
    let process = pidfd_open(running.pid, PidfdFlags::empty())?;
    let deadline = step.limits.timeout.map(|timeout| Instant::now() + timeout);
    let mut timed_out = false;
    let passed = loop {
        let left = deadline.filter(|_| !timed_out).map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            timed_out = true;
            pidfd_send_signal(&process, Signal::KILL)?;
        }
        match pass(&process, &mut running.streams, socket, left) {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(error),
        }
    };
    if passed.is_err() {
        _ = pidfd_send_signal(&process, Signal::KILL);
        cgroup.kill();
    }
    // All other processes of the namespace are gone when the first one is.
    let status = sys::wait(running.pid)?;
    passed?;
    for (stream, pipe) in &running.streams {
        while pass_one(*stream, pipe.as_fd(), socket)? == Read::Some {}
    }
    Ok((told_status(status), timed_out, running.mount_points))
}

fn told_status(status: ExitStatus) -> Status {
    match (status.code(), status.signal()) {
        (Some(code), _) => Status::Code(code),
        (None, signal) => Status::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}

/// Waits for one thing to happen; whether it was the end of the first process.
fn pass(
    process: &OwnedFd,
    streams: &mut Vec<(Stream, OwnedFd)>,
    socket: &UnixStream,
    left: Option<std::time::Duration>,
) -> io::Result<bool> {
    let mut wanted = vec![PollFd::new(process, PollFlags::IN), PollFd::new(socket, PollFlags::empty())];
    wanted.extend(streams.iter().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)));
    let left = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut wanted, left.as_ref()) {
        Err(Errno::INTR) => return Ok(false),
        polled => polled?,
    };
    let events: Vec<PollFlags> = wanted.iter().map(PollFd::revents).collect();
    drop(wanted);
    if !events[1].is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut open = Vec::with_capacity(streams.len());
    for ((stream, pipe), events) in streams.iter().zip(&events[2..]) {
        open.push(events.is_empty() || pass_one(*stream, pipe.as_fd(), socket)? != Read::End);
    }
    let mut open = open.into_iter();
    streams.retain(|_| open.next().unwrap_or(true));
    Ok(!events[0].is_empty())
}

/// What there was in a pipe.
#[derive(PartialEq, Eq)]
enum Read {
    Some,
    Nothing,
    End,
}

/// Passes on what is there.
fn pass_one(stream: Stream, pipe: BorrowedFd<'_>, mut socket: &UnixStream) -> io::Result<Read> {
    let mut buffer = vec![0; 1 << 16];
    match rustix::io::read(pipe, &mut buffer[..]) {
        Ok(0) => Ok(Read::End),
        Ok(read) => {
            buffer.truncate(read);
            wire::send(&mut socket, &Event::Output(stream, buffer))?;
            Ok(Read::Some)
        }
        Err(Errno::INTR) => Ok(Read::Some),
        Err(Errno::AGAIN) => Ok(Read::Nothing),
        Err(error) => Err(error.into()),
    }
}
