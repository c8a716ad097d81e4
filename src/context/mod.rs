//! Build contexts: a folder, an archive, a git repository or a file from the network becomes a
//! [`crate::tree::Tree`].
//!
//! Here is all that reads what a user or a stranger has put together for COPY and ADD. Nothing that stands in
//! a context is ever run, opened (but for regular files) or followed out of it, and what is not asked for is not
//! read: contents stay on disk until a layer wants them. The network is asked by [`git`] and [`url`] alone.

mod credentials;
pub mod folder;
pub mod ignore_file;
pub mod inside;
mod modes;
pub mod url;

pub use folder::{Needed, Options};
pub use modes::{Modes, ParseModesError};

use std::io;
use std::path::PathBuf;

use crate::tree::pattern::{Ignore, IgnoreError};
use crate::tree::{Fingerprint, ImagePath, PathError, Source, Stat, Tree};

/// A context that has been looked at.
#[derive(Debug, Default)]
pub struct Context {
    pub tree: Tree,
    /// What was left out, and by which pattern.
    pub ignore: Ignore,
    pub notes: Notes,
}

/// What was noticed on the way, for warnings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Left out, as no image can hold them.
    pub sockets: Vec<ImagePath>,
    /// Files that only their owner (and group) could read, which everyone can in the image.
    pub opened: Vec<ImagePath>,
}

/// Why a context can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    #[error("reading `{}`: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("`{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("`{}`: {error}", .path.display())]
    Path { path: PathBuf, error: PathError },
    #[error("`{}`: {error}", .path.display())]
    Ignore { path: PathBuf, error: IgnoreError },
    #[error("`{}` is larger than {limit} bytes", .path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
}

impl Context {
    /// What is known of the files on disk by now, for a later build's [`Options::known`].
    pub fn fingerprints(&self) -> impl Iterator<Item = (&ImagePath, &Stat, Fingerprint)> {
        self.tree.iter().filter_map(|(path, node)| {
            let content = node.content()?;
            match content.source() {
                Source::File { seen, .. } => Some((path, seen, content.known_fingerprint()?)),
                Source::Slice { .. } | Source::Bytes(_) => None,
            }
        })
    }
}
