//! RUN: the only place that starts a step's processes, and the only one that may hold `unsafe`.
//!
//! A step runs in a **worker**: lith itself, started again with a hidden first argument, single-threaded, which
//! takes its job from an inherited socket and never looks at the environment. All namespaces, mounts and
//! privileges belong to the worker and its child, the step; nothing of the calling process changes, and nothing
//! is left of them when they end. What a step means, and what becomes of what it changed, is `exec`'s matter.
//!
//! Invariant: what a step can see is decided by its [`Step`] alone; where the system forces a difference (the
//! kernel, a limit that can't be applied), it is named in [`Mode`] or [`Exit`].

mod error;
pub mod rootfs;
mod step;
mod wire;

pub use error::{Fault, SandboxError};
pub use step::{Exit, Hidden, Limit, Limits, Mount, Network, Status, Step, Stream, User};

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// What a sandbox is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program that hands over to [`worker_main`]: lith itself, as `/proc/self/exe`.
    pub program: PathBuf,
    /// A folder for what is needed while the machine is asked what it can do.
    pub temp: PathBuf,
}

/// How steps are kept apart on this machine. Decided once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// As root, without a user namespace.
    Root,
    /// In a user namespace with that many ids.
    Subordinate { ids: u64 },
    /// In a user namespace where there is no user but root: `chown` to others, and `USER`, fail in it.
    Single { why: String },
}

/// Runs steps.
#[derive(Debug)]
pub struct Sandbox {
    mode: Mode,
}

impl Sandbox {
    /// Finds out what the machine can do.
    pub fn new(_options: Options) -> Result<Self, SandboxError> {
        Ok(Self { mode: Mode::Root })
    }

    pub fn mode(&self) -> &Mode {
        &self.mode
    }

    /// Runs a step to its end.
    pub fn run(&self, _: &Step, _: &mut dyn FnMut(Stream, &[u8])) -> Result<Exit, SandboxError> {
        Err(SandboxError::Died(String::new()))
    }

    pub fn unpack(&self, _: &Path, _: &mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>) -> Result<(), SandboxError> {
        Err(SandboxError::Died(String::new()))
    }

    pub fn collect(&self, _: &Path, _: &mut dyn Write) -> Result<(), SandboxError> {
        Err(SandboxError::Died(String::new()))
    }

    pub fn remove(&self, _: &Path) -> Result<(), SandboxError> {
        Err(SandboxError::Died(String::new()))
    }
}
