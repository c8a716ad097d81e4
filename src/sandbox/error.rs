//! Why a step could not be run. A step that ran and failed is no error but an [`Exit`](super::Exit).

use std::io;

use serde::{Deserialize, Serialize};

use super::rootfs::RootfsError;
use crate::text::shown;

/// Why a sandbox can't be had, or a step not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The machine does not let steps be run at all.
    #[error("steps can't be run here: {why}")]
    Unavailable {
        why: String,
        /// What would change that.
        advice: Vec<String>,
    },
    #[error("starting `{program}`")]
    Start { program: String, source: io::Error },
    #[error("talking to the sandbox's worker")]
    Talk(#[source] io::Error),
    /// The worker ended without an answer.
    #[error("the sandbox's worker ended: {0}")]
    Died(String),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error(transparent)]
    Files(#[from] RootfsError),
}

/// What went wrong in the worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fault {
    #[error("{doing}: {}", os(*.errno))]
    System { doing: String, errno: i32 },
    #[error("becoming {uid}:{gid}: {}", os(*.errno))]
    User { uid: u32, gid: u32, errno: i32 },
    /// As a shell's 127: there is no such program.
    #[error("`{}` is not in the root file system", shown(.program))]
    ProgramNotFound { program: String },
    /// As a shell's 126: it is there, but can't be run.
    #[error("`{}` can't be run: {}", shown(.program), os(*.errno))]
    ProgramNotRun { program: String, errno: i32 },
    #[error("the working directory `{}`: {}", shown(.path), os(*.errno))]
    Workdir { path: String, errno: i32 },
    #[error("the mount's source `{}` is not there", shown(.path))]
    NoSource { path: String },
    #[error("nothing can be mounted at `{}`: {why}", shown(.path))]
    Target { path: String, why: String },
    /// The machine does not let the step be traced, or the tracer was killed.
    #[error("the step's clock can't be stopped: {why}")]
    Clock { why: String },
    /// A folder could not be unpacked, collected or removed.
    #[error("{0}")]
    Files(String),
}

fn os(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl Fault {
    /// Whether the sandbox does not have the user's ids.
    pub fn lacks_ids(&self) -> bool {
        matches!(self, Self::User { errno: libc::EINVAL, .. })
    }

    /// For `map_err`: what was being done.
    pub(super) fn doing<E: Into<io::Error>>(doing: impl Into<String>) -> impl FnOnce(E) -> Self {
        let doing = doing.into();
        move |error| Self::System { doing, errno: error.into().raw_os_error().unwrap_or(libc::EIO) }
    }
}

/// Says of an error what was being done.
pub(super) trait Doing<T> {
    fn doing(self, what: &str) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, Fault> {
        self.map_err(Fault::doing(what))
    }
}
