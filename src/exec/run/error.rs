//! Why a step could not be run, or failed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::options::Entitlement;
use crate::layer::LayerError;
use crate::oci::Platform;
use crate::proxy::{ProxyError, Refusal, Why};
use crate::sandbox::rootfs::RootfsError;
use crate::sandbox::{Exit, Fault, Limit, SandboxError, Status};
use crate::store::StoreError;
use crate::text::{shown, shown_up_to};
use crate::tree::ContentError;

use super::super::owner::OwnerError;
use super::super::resolve_path::ResolveError;

/// Why there is nothing that a RUN changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The program ran, and failed.
    #[error(transparent)]
    Failed(#[from] Box<Failure>),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Files(#[from] RootfsError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error("the image has no user `{}`", shown(.0))]
    NoUser(String),
    #[error("the image has no group `{}`", shown(.0))]
    NoGroup(String),
    #[error("`{}` is beyond the numbers of users and groups", shown(.0))]
    NoSuchId(String),
    #[error("the step needs the secret `{}`, which was not given", shown(.id))]
    NoSecret { id: String },
    #[error("reading the secret `{}` from `{}`: {error}", shown(.id), .path.display())]
    ReadSecret { id: String, path: PathBuf, error: io::Error },
    #[error("the secret `{}` has more than {limit} bytes", shown(.id))]
    SecretTooLarge { id: String, limit: u64 },
    #[error("the secret `{}` can't be the variable `{}`: it holds a NUL byte", shown(.id), shown(.name))]
    SecretNul { id: String, name: String },
    #[error("the step needs the ssh agent `{}`, which was not given", shown(.id))]
    NoSsh { id: String },
    #[error("the ssh agent `{}`: `{}` is not a socket", shown(.id), .path.display())]
    NotASocket { id: String, path: PathBuf },
    #[error("the step's network is what a lock file has of it, and this build has none")]
    NoLock,
    /// Of a step that succeeded without it.
    #[error("the step's request {0}, and the lock has to have all that a step asks for")]
    NotLocked(Refusal),
    /// Of a step that is not to count, whether its program failed or not.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("the step asks for `{0}`, which this build does not allow")]
    NotAllowed(Entitlement),
    #[error("the step wants a network, which this build refuses, and it is not in the cache")]
    NoNetwork,
    #[error("this machine can't run programs for {wanted}")]
    Foreign { wanted: Platform },
    #[error("mounting `{}`: there is no such file or folder in {from}", shown(.path))]
    NoMountSource { path: String, from: String },
    #[error("what is mounted holds what no layer can")]
    OddMount,
    #[error("mounting `{}`: {error}", shown(.path))]
    MountSource { path: String, error: ResolveError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error("making `{}`: {error}", .path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("passing on the ssh agent: {0}")]
    Agent(io::Error),
    /// The exec form names a program that is not there.
    #[error(transparent)]
    NoProgram(Fault),
    #[error("writing the step's log `{}`: {error}", .path.display())]
    Log { path: PathBuf, error: io::Error },
}

/// How a step's program failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// As it was written.
    pub command: String,
    pub exit: Exit,
    /// The end of what it wrote, line by line, as it may be shown.
    pub tail: Vec<String>,
    /// All that it wrote.
    pub log: Option<PathBuf>,
    /// It had no network, and complained of what looks like that.
    pub offline: bool,
    /// It had one id, and complained of what looks like that.
    pub one_id: bool,
    /// What it asked for of a locked network, in vain.
    pub refused: Vec<Refusal>,
    /// What it was started in is kept for a look inside.
    pub kept: bool,
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ", shown_up_to(200, &self.command))?;
        if self.exit.timed_out {
            return write!(f, "was ended as its time was up");
        }
        if self.exit.out_of_memory {
            return write!(f, "ran out of memory ({})", status(self.exit.status));
        }
        write!(f, "failed: {}", status(self.exit.status))?;
        self.headline().map_or(Ok(()), |refusal| write!(f, "; {refusal}"))
    }
}

impl Failure {
    /// The request that most likely made it fail.
    pub(crate) fn headline(&self) -> Option<&Refusal> {
        if self.exit.timed_out || self.exit.out_of_memory {
            return None;
        }
        self.refused.iter().find(|refusal| refusal.why == Why::NotLocked).or(self.refused.first())
    }
}

fn status(status: Status) -> String {
    match status {
        Status::Code(code) => format!("exit code {code}"),
        Status::Signal(signal) => match signal_name(signal) {
            Some(name) => format!("killed by signal {signal} ({name})"),
            None => format!("killed by signal {signal}"),
        },
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// What to say of limits that were asked for and are not kept.
pub(super) fn unapplied(limits: &[Limit]) -> Option<String> {
    let name = |limit: &Limit| match limit {
        Limit::Memory => "memory",
        Limit::Pids => "processes",
    };
    let names: Vec<&str> = limits.iter().map(name).collect();
    (!names.is_empty())
        .then(|| format!("the limit of {} can't be applied to the step as a whole here", names.join(" and ")))
}
