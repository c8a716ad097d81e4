//! What a step is, and how it ended.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::wire;

/// One program to run in one root file system.
///
/// Paths in the root file system are bytes, absolute and normal; paths of the machine are absolute [`PathBuf`]s.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// The root file system: unpacked layers in overlayfs's format, the bottom one first.
    #[serde(with = "wire::paths")]
    pub lowers: Vec<PathBuf>,
    /// The folder that takes what the step changes: empty, or what an earlier run of the same state left.
    #[serde(with = "wire::path")]
    pub upper: PathBuf,
    /// An empty folder on `upper`'s file system, for overlayfs and for mounts that are thrown away. To be
    /// removed with [`super::Sandbox::remove`].
    #[serde(with = "wire::path")]
    pub scratch: PathBuf,
    /// The program, looked for in the `PATH` of `env` if it has no slash, and its arguments.
    pub args: Vec<Vec<u8>>,
    /// The whole environment.
    pub env: Vec<(Vec<u8>, Hidden)>,
    /// Must be a folder in the root file system.
    pub cwd: Vec<u8>,
    pub user: User,
    pub hostname: String,
    pub network: Network,
    /// Lifts the masks, the bounds on capabilities and the system call filter.
    pub insecure: bool,
    /// One over another's folder is mounted after it, whatever their order here.
    pub mounts: Vec<Mount>,
    pub limits: Limits,
    /// The wall clock stands still at that many seconds since 1970.
    pub clock: Option<u64>,
    /// The step has the terminal of the calling process: nothing is given to the callback.
    pub terminal: bool,
    /// `upper` is the whole root file system and there are no `lowers`: for where overlayfs is refused. The trees
    /// of mounts are one folder each, too, and what is written to them stays.
    pub flat: bool,
    /// All that a step can see of the machine without being told is other than usual: fewer processors, higher process
    /// ids, folders read in the reverse order, variables in the reverse order.
    pub varied: bool,
}

/// Bytes that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub Vec<u8>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Whom a step runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What of the network a step sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// A loopback device of its own.
    #[default]
    None,
    /// A loopback device of its own, where a TCP socket listens that is handed to lith.
    Served { port: u16 },
    /// The machine's.
    Host,
}

impl Network {
    /// Whether the step has a network namespace of its own.
    pub(super) fn is_own(self) -> bool {
        !matches!(self, Self::Host)
    }
}

/// Something that is seen at a path of the root file system while the step runs, and is no part of its layer.
/// The mount point is made where it is missing, and leaves no trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Mount {
    /// A path in another tree: layers as in [`Step::lowers`], or one plain folder. Links in `source` are followed
    /// inside of that tree. What is written to it is thrown away.
    Tree {
        #[serde(with = "wire::paths")]
        lowers: Vec<PathBuf>,
        source: Vec<u8>,
        target: Vec<u8>,
        read_only: bool,
    },
    /// A folder that keeps what is written to it.
    Cache {
        #[serde(with = "wire::path")]
        folder: PathBuf,
        target: Vec<u8>,
        read_only: bool,
        /// Given to the folder where it is empty.
        owner: (u32, u32),
        mode: u32,
    },
    Tmpfs {
        target: Vec<u8>,
        size: Option<u64>,
    },
    /// A file that is in memory only: a secret.
    File {
        target: Vec<u8>,
        bytes: Hidden,
        owner: (u32, u32),
        mode: u32,
    },
    /// A socket of the machine's that was made for this step: it is given that owner and mode.
    Socket {
        #[serde(with = "wire::path")]
        socket: PathBuf,
        target: Vec<u8>,
        owner: (u32, u32),
        mode: u32,
    },
}

impl Mount {
    pub fn target(&self) -> &[u8] {
        match self {
            Self::Tree { target, .. }
            | Self::Cache { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::File { target, .. }
            | Self::Socket { target, .. } => target,
        }
    }
}

/// What a step may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    pub pids: Option<u64>,
    pub timeout: Option<Duration>,
    /// Bytes that `/dev/shm` may hold, where it isn't docker's 64 MiB.
    pub shm: Option<u64>,
}

/// A limit that the system does not let lith apply as asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Limit {
    Memory,
    Pids,
}

/// Where a step wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub status: Status,
    /// The kernel killed one of its processes at the memory limit.
    pub out_of_memory: bool,
    /// It was ended at [`Limits::timeout`].
    pub timed_out: bool,
    /// The limits that could not be applied, or to each process alone only.
    pub unapplied: Vec<Limit>,
    /// The mount points that the root file system lacked, with the folders above them, absolute: no work of the
    /// step's.
    pub mount_points: Vec<Vec<u8>>,
}

/// How the step's program ended. All that it started ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Code(i32),
    Signal(i32),
}

impl Step {
    /// One that does nothing, to find out whether steps can be run.
    pub(super) fn trial(folder: &Path, flat: bool) -> Self {
        Self {
            lowers: Vec::new(),
            upper: folder.join("upper"),
            scratch: folder.join("scratch"),
            args: Vec::new(),
            env: Vec::new(),
            cwd: b"/".to_vec(),
            user: User::default(),
            hostname: "lith".into(),
            network: Network::None,
            insecure: false,
            mounts: Vec::new(),
            limits: Limits::default(),
            clock: None,
            terminal: false,
            flat,
            varied: false,
        }
    }
}

impl Exit {
    pub fn success(&self) -> bool {
        self.status == Status::Code(0) && !self.timed_out
    }
}

impl Status {
    /// As a shell tells it: 128 and the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}
