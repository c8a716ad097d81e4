//! RUN: the only place that starts a step's processes, and the only one that may hold `unsafe`.
//!
//! A step runs in a **worker**: lith itself, started again with a hidden first argument, single-threaded, which
//! takes its job from an inherited socket and never looks at the environment. All namespaces, mounts and
//! privileges belong to the worker and its child, the step; nothing of the calling process changes, and nothing
//! is left of them when they end. What a step means, and what becomes of what it changed, is `exec`'s matter.
//!
//! Invariant: what a step can see is decided by its [`Step`] alone; where the system forces a difference (the
//! kernel, a limit that can't be applied), it is named in [`Mode`] or [`Exit`].

mod cgroup;
mod choose;
mod error;
mod files;
mod ids;
pub mod rootfs;
mod start;
mod step;
mod wire;
mod worker;

pub use error::{Fault, SandboxError};
pub use step::{Exit, Hidden, Limit, Limits, Mount, Network, Status, Step, Stream, User};
pub use worker::worker_main;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use self::ids::Start;
use self::rootfs::Disk;
use self::start::{Program, Worker};
use self::wire::{Event, Job};

/// What a sandbox is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that hands over to [`worker_main`]: lith itself, as `/proc/self/exe`.
    pub program: PathBuf,
    /// A folder on the file system where steps will run, for trying out what the machine allows.
    pub temp: PathBuf,
}

/// How steps are kept apart on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// As root, without a user namespace.
    Root,
    /// In a user namespace with that many ids.
    Subordinate { ids: u64 },
    /// In a user namespace where there is no user but root: `chown` to others, and `USER`, fail in it.
    Single { why: String },
}

/// The means to run steps on this machine, found out once.
#[derive(Debug)]
pub struct Sandbox {
    program: Program,
    start: Start,
    mode: Mode,
    overlay: bool,
}

impl Sandbox {
    /// Finds out what the machine allows, by trying it.
    pub fn new(options: &Options) -> Result<Self, SandboxError> {
        cgroup::sweep();
        choose::choose(Program::sealed(&options.program)?, &options.temp)
    }

    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// How root file systems stand on the disk for it.
    pub fn disk(&self) -> Disk {
        self.start.disk()
    }

    /// Which of the store's unpacked root file systems it can use.
    pub fn roots(&self) -> crate::store::roots::Mode {
        let roots = self.start.roots();
        if self.overlay { roots } else { roots.flat() }
    }

    /// Whether layers can be laid over each other. If not, a step's root file system is a copy: [`Step::flat`].
    pub fn has_overlay(&self) -> bool {
        self.overlay
    }

    /// Runs a step to its end. What it writes is given to `output` as it comes.
    pub fn run(&self, step: &Step, output: &mut dyn FnMut(Stream, &[u8])) -> Result<Exit, SandboxError> {
        self.run_served(step, output, &mut drop)
    }

    /// As [`Sandbox::run`]; `serve` gets the socket that listens in a step's network ([`Network::Served`]), before its
    /// program is started.
    pub fn run_served(
        &self,
        step: &Step,
        output: &mut dyn FnMut(Stream, &[u8]),
        serve: &mut dyn FnMut(TcpListener),
    ) -> Result<Exit, SandboxError> {
        let mut worker = Worker::start(&self.program, &self.start, step.terminal)?;
        let job = Job::Run(Box::new(step.clone()));
        worker.send(&job)?;
        if step.terminal {
            worker.send_stdin()?;
        }
        let ended = loop {
            match worker.event() {
                Ok(Event::Output(stream, bytes)) => output(stream, &bytes),
                Ok(Event::Listening) => match worker.listener() {
                    Ok(listener) => serve(listener),
                    Err(error) => break Err(error),
                },
                Ok(Event::Done(result)) => break result.map_err(SandboxError::from),
                Ok(Event::Unmapped | Event::Noted(_)) => {}
                Err(error) => break Err(error),
            }
        };
        if step.terminal {
            start::take_terminal_back();
        }
        let exit = ended?;
        exit.ok_or_else(|| SandboxError::Died("it said nothing of how the step ended".into()))
    }

    /// Everything that a step needs, but the step.
    fn probe(program: &Program, start: &Start, temp: &Path, flat: bool) -> Result<(), SandboxError> {
        let folder = tempfile::Builder::new().prefix("probe").tempdir_in(temp);
        let folder =
            folder.map_err(|source| SandboxError::Start { program: "a trial step".into(), source })?;
        let step = Step::trial(folder.path(), flat);
        for folder in [&step.upper, &step.scratch] {
            std::fs::create_dir(folder)
                .map_err(|source| SandboxError::Start { program: "a trial step".into(), source })?;
        }
        let mut worker = Worker::start(program, start, false)?;
        worker.send(&Job::Probe(Box::new(step)))?;
        let result = worker.done();
        drop(worker);
        // Overlayfs's work folder may be closed to who made it.
        let mut worker = Worker::start(program, start, false)?;
        worker.send(&Job::Remove { path: folder.path().to_owned() })?;
        worker.done()?;
        result
    }
}
