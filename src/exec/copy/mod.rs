//! COPY and ADD, as a function on trees.
//!
//! [`changes`] says what a copy does to a base: which nodes it puts, from which sources, with which owners and
//! modes. Nothing is read or written here but the names in the image's own passwd and group; bytes stay behind
//! their [`Content`]. What comes from the network, and looking into archives, is the caller's.
//!
//! The rules are the main implementation's, down to the oddities, as existing build files rely on them:
//!
//! - Links in a source's path are followed inside its tree, the last one too; links in a copied folder are copied.
//! - A folder as a source copies what is in it. The destination folder keeps its attributes, or is made like a
//!   missing parent; folders further down are given those of their source, whether they were there or not.
//! - Missing parents are made 0755 (or `--chmod`'s number) and belong to root or `--chown`'s owner.
//! - Links in the destination's path are followed inside the root; no link below the destination is.
//! - A file replaces a file or link; it never replaces a folder, nor a folder anything but a folder.
//!
//! An unpacked archive has rules of its own: see `archive`.

mod archive;
mod filter;
mod job;
mod missing;
mod select;
#[cfg(test)]
pub(in crate::exec) mod testing;
mod transfer;

use std::fmt;
use std::sync::Arc;

pub use self::missing::{DeadLink, Missing, missing_sources};

use self::job::Job;
use super::owner::{self, OwnerError, Unknown};
use super::resolve_path::ResolveError;
use super::root::Root;
use crate::plan::{self, ContextName, CopySource, TreeRef};
use crate::tree::pattern::{GlobError, IgnoreError};
use crate::tree::{Changes, Content, ImagePath, PathError, Tree};

/// What a copy reads.
pub struct CopyInputs<'a, E> {
    /// The tree of [`plan::Copy::from`].
    pub from: &'a Tree,
    /// What people call that tree, if it is a stage with a name.
    pub stage: Option<&'a str>,
    /// For each of [`plan::Copy::sources`] its tree, if it is a URL (one file, in the root) or git.
    pub others: &'a [Option<Arc<Tree>>],
    /// What of the ignore file took this path away from `from`.
    pub ignored: &'a dyn Fn(&ImagePath) -> Option<String>,
    /// The tree in a file, if that is an archive.
    pub unpack: &'a dyn Fn(&Content) -> Result<Option<Tree>, E>,
}

impl<E> fmt::Debug for CopyInputs<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyInputs").field("from", self.from).finish_non_exhaustive()
    }
}

/// What a copy did.
#[derive(Debug, Default)]
pub struct Copied {
    pub changes: Changes,
    pub warnings: Vec<Warning>,
    pub placed: Vec<Placed>,
}

/// What of the source went where: for saying of a path in the image which path it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Of the tree of [`plan::Copy::from`].
    pub from: ImagePath,
    pub to: ImagePath,
    /// It was an archive, of which everything below `to` came.
    pub archive: bool,
}

impl Placed {
    /// The path in the source that `path` was made of, if it was made by this.
    pub fn source(&self, path: &ImagePath) -> Option<ImagePath> {
        let below = path.strip_prefix(&self.to)?;
        Some(if self.archive { self.from.clone() } else { self.from.join(&below) })
    }
}

/// What was done, but may not be what was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    #[error("nothing in {from} matches `{}`", .pattern.escape_debug())]
    NoMatch { pattern: String, from: Origin },
    #[error(transparent)]
    Unknown(Unknown),
}

/// Why a copy can't be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    #[error(transparent)]
    NotFound(Box<Missing>),
    #[error("`{}` can't be copied to `{}`: that is a folder", .path.display(), .dest.display())]
    OverFolder { path: ImagePath, dest: ImagePath },
    #[error("the folder `{}` can't be copied to `{}`: that is no folder", .path.display(), .dest.display())]
    OverFile { path: ImagePath, dest: ImagePath },
    #[error("copying to `{dest}`: {source}")]
    Dest { dest: String, source: ResolveError },
    #[error("copying `{}`: {source}", .pattern.escape_debug())]
    Source { pattern: String, source: ResolveError },
    #[error("copying `{}`: {source}", .pattern.escape_debug())]
    Path { pattern: String, source: PathError },
    #[error(transparent)]
    Glob(#[from] GlobError),
    #[error("`--exclude` or `--parents`: {0}")]
    Filter(#[from] IgnoreError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error("source {0} has no files at hand")]
    NoFiles(usize),
}

impl From<Missing> for CopyError {
    fn from(missing: Missing) -> Self {
        Self::NotFound(Box::new(missing))
    }
}

impl CopyError {
    /// The source that it is about, as in the plan.
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Self::NotFound(missing) => Some(&missing.pattern),
            Self::Source { pattern, .. } | Self::Path { pattern, .. } => Some(pattern),
            _ => None,
        }
    }
}

/// The tree that patterns select from, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    tree: TreeRef,
    /// Of a stage, if it has one.
    name: Option<String>,
}

impl Origin {
    pub(super) fn new(tree: TreeRef, name: Option<&str>) -> Self {
        Self { tree, name: name.map(str::to_owned) }
    }

    pub fn tree(&self) -> &TreeRef {
        &self.tree
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tree {
            TreeRef::Context(ContextName::Main) => write!(f, "the build context"),
            TreeRef::Context(ContextName::Named(name)) => write!(f, "the context `{name}`"),
            TreeRef::Stage(id) => match &self.name {
                Some(name) => write!(f, "the stage `{name}`"),
                None => write!(f, "stage {}", id.0),
            },
            TreeRef::Image(image) => write!(f, "the image `{}`", image.name),
            TreeRef::Empty => write!(f, "`scratch`"),
        }
    }
}

/// Whether the result depends on the base: a `--link` copy is made as if onto nothing. One with `--chmod` isn't,
/// as the folders it makes on its way would take their mode to those below.
pub fn reads_base(copy: &plan::Copy) -> bool {
    !copy.link || copy.mode.is_some()
}

/// What `copy` changes in `base`.
pub fn changes<E: From<CopyError>>(
    copy: &plan::Copy,
    inputs: &CopyInputs<'_, E>,
    base: &Tree,
) -> Result<Copied, E> {
    let nothing = Tree::default();
    let (base, ids) = if reads_base(copy) {
        (base, copy.owner.as_ref().map(|owner| owner::ids(owner, base)))
    } else {
        (&nothing, copy.owner.as_ref().map(owner::ids_without_root))
    };
    let mut ids = ids.transpose().map_err(CopyError::from)?;
    let unknown = ids.iter_mut().flat_map(|ids| std::mem::take(&mut ids.unknown));
    let warnings = unknown.map(Warning::Unknown).collect();
    let mut job = Job { copy, ids, root: Root::new(base), warnings, placed: Vec::new() };
    for (index, source) in copy.sources.iter().enumerate() {
        let other = || {
            let tree = inputs.others.get(index).and_then(Option::as_deref);
            tree.ok_or(CopyError::NoFiles(index + 1))
        };
        match source {
            CopySource::Pattern(pattern) => job.pattern(pattern, inputs)?,
            CopySource::Inline { name, content } => job.inline(name, content)?,
            CopySource::Url(_) => {
                let tree = other()?;
                let file = tree.iter().find(|(_, node)| !node.is_dir());
                let (path, _) = file.ok_or(CopyError::NoFiles(index + 1))?;
                job.file(tree, path, inputs)?;
            }
            CopySource::Git(_) => job.whole(other()?)?,
        }
    }
    Ok(Copied { changes: job.root.into_changes(), warnings: job.warnings, placed: job.placed })
}

#[cfg(test)]
mod tests;
