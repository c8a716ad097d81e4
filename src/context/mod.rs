//! Build contexts: a folder, an archive, a git repository or a file from the network becomes a
//! [`crate::tree::Tree`].
//!
//! Here is all that reads what a user or a stranger has put together for COPY and ADD. Nothing that stands in
//! a context is ever run, opened (but for regular files) or followed out of it, and what is not asked for is not
//! read: contents stay on disk until a layer wants them. The network is asked by [`git`] and [`url`] alone.

pub mod archive;
pub mod folder;
pub mod git;
pub mod ignore_file;
pub mod inside;
mod modes;
mod spec;
pub mod url;

pub use folder::{Known, Needed, Options};
pub use modes::{Modes, ParseModesError};
pub use spec::{ContextSpec, ParseContextError};

use std::io;
use std::path::PathBuf;

use crate::layer::{ListingError, ReadError};
use crate::tree::pattern::{Ignore, IgnoreError};
use crate::tree::{ContentError, Fingerprint, ImagePath, PathError, Source, Stat, Tree};

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
    /// Left out, as it is another after each build.
    pub store: Option<ImagePath>,
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
    #[error("`{}` is a folder, not a file", .0.display())]
    Folder(PathBuf),
    #[error("`{path}` of the archive: {why}")]
    InArchive { path: String, why: &'static str },
    #[error(transparent)]
    Archive(#[from] ReadError),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("what is compressed is not a tar")]
    NotATar,
    #[error("neither a tar nor a Buildfile: it is no tar, and more than {limit} bytes")]
    NotABuildFile { limit: u64 },
}

impl Notes {
    /// A sentence for each kind of thing that was noticed, if it was.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let some = |paths: &[ImagePath], what: &str| {
            let (first, more) = paths.split_first()?;
            let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            Some(format!("`{first}`{more}: {what}"))
        };
        [
            some(self.store.as_slice(), "lith's own store is left out of the context"),
            some(&self.sockets, "sockets can't be in an image, and are left out"),
            some(
                &self.opened,
                "not everyone may read it here, but everyone may in the image (mode 0644 or 0755)",
            ),
        ]
        .into_iter()
        .flatten()
    }
}

impl Context {
    /// What a context makes of files that were read before it was known what to ignore and how to see them: an
    /// archive's, or those of a checkout that was read with [`Modes::Keep`].
    pub fn of(whole: &Tree, ignore: Ignore, modes: Modes) -> Self {
        let (tree, opened) = modes.view(folder::filter(whole, &ignore));
        Self { tree, ignore, notes: Notes { opened, ..Notes::default() } }
    }
}

/// What is known of the files on disk by now, for a later build's [`Options::known`].
pub fn fingerprints(tree: &Tree) -> impl Iterator<Item = (&ImagePath, &Stat, Fingerprint)> {
    tree.iter().filter_map(|(path, node)| {
        let content = node.content()?;
        match content.source() {
            Source::File { seen, .. } => Some((path, seen, content.known_fingerprint()?)),
            Source::Slice { .. } | Source::Bytes(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_name_one_and_count_the_rest() {
        let path = |name: &str| ImagePath::new(name.as_bytes()).unwrap();
        let notes =
            Notes { sockets: vec![path("s")], opened: vec![path("a"), path("b"), path("c")], store: None };
        let texts: Vec<String> = notes.warnings().collect();
        assert!(texts[0].starts_with("`s`: ") && texts[1].starts_with("`a` and 2 more: "), "{texts:?}");
        assert_eq!(Notes::default().warnings().count(), 0);
    }
}
