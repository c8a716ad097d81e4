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
//! An unpacked archive has rules of its own: see [`archive`].

mod archive;
mod filter;
mod select;
#[cfg(test)]
pub(in crate::exec) mod testing;
mod transfer;

use std::fmt;
use std::sync::Arc;

use self::filter::Filter;
use self::transfer::Transfer;
use super::owner::{self, Ids, OwnerError, Unknown};
use super::resolve_path::{Names as _, ResolveError, resolve};
use super::root::Root;
use crate::plan::{self, ContextName, CopySource, TreeRef, Unpack};
use crate::tree::pattern::{GlobError, IgnoreError};
use crate::tree::{Changes, Content, ImagePath, Kind, Meta, Node, PathError, Tree};

/// What a copy reads.
pub struct CopyInputs<'a, E> {
    /// The tree of [`plan::Copy::from`].
    pub from: &'a Tree,
    /// For each of [`plan::Copy::sources`] its tree, if it is a URL (one file, in the root) or git.
    pub others: &'a [Option<Arc<Tree>>],
    /// Whether the ignore file took this path away from `from`.
    pub ignored: &'a dyn Fn(&ImagePath) -> bool,
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
    #[error(
        "`{}` is not in {from}{}",
        .pattern.escape_debug(),
        if *.ignored { ", as the ignore file leaves it out" } else { "" }
    )]
    NotFound { pattern: String, from: Origin, ignored: bool },
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
    #[error("{0} has no tree at hand")]
    NoTree(String),
}

/// The tree that patterns select from, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(TreeRef);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            TreeRef::Context(ContextName::Main) => write!(f, "the build context"),
            TreeRef::Context(ContextName::Named(name)) => write!(f, "the context `{name}`"),
            TreeRef::Stage(id) => write!(f, "stage {}", id.0),
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
    let mut job = Job { copy, ids, root: Root::new(base), warnings };
    for (index, source) in copy.sources.iter().enumerate() {
        let other = || {
            let tree = inputs.others.get(index).and_then(Option::as_deref);
            tree.ok_or_else(|| CopyError::NoTree(format!("source {}", index + 1)))
        };
        match source {
            CopySource::Pattern(pattern) => job.pattern(pattern, inputs)?,
            CopySource::Inline { name, content } => job.inline(name, content)?,
            CopySource::Url(_) => job.url(other()?, inputs)?,
            CopySource::Git(_) => job.whole(other()?)?,
        }
    }
    Ok(Copied { changes: job.root.into_changes(), warnings: job.warnings })
}

/// Which attributes the destination gets, if a folder is copied and none is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Top {
    /// A missing parent's, as only what is in the folder is copied.
    Contents,
    /// The source folder's own.
    Itself,
}

/// A copy under way.
struct Job<'a> {
    copy: &'a plan::Copy,
    ids: Option<Ids>,
    root: Root<'a>,
    warnings: Vec<Warning>,
}

impl Job<'_> {
    fn pattern<E: From<CopyError>>(&mut self, text: &str, inputs: &CopyInputs<'_, E>) -> Result<(), E> {
        let source = select::Source::new(text, self.copy.parents);
        let filter = Filter::new(source.below.as_deref(), &self.copy.exclude).map_err(CopyError::from)?;
        let from = || Origin(self.copy.from.clone());
        let missing = |path: &ImagePath| CopyError::NotFound {
            pattern: text.to_owned(),
            from: from(),
            ignored: (inputs.ignored)(path),
        };
        let selected = source.select(inputs.from, &missing)?;
        let mut copied = 0;
        for named in &selected {
            let real = source.follow(inputs.from, &named.path, &missing)?;
            if named.is_left_out(&real, inputs.from, &filter) {
                continue;
            }
            let content = inputs.from.get(&real).and_then(Node::content);
            if self.copy.unpack != Unpack::Never
                && let Some(content) = content
                && let Some(tree) = (inputs.unpack)(content)?
            {
                archive::unpack(self, &tree)?;
                copied += 1;
            } else {
                copied += self.place(inputs.from, &real, named.path.name(), &filter, Top::Contents)?;
            }
        }
        if let Some(path) = source.required()
            && copied == 0
        {
            return Err(missing(&path).into());
        }
        if selected.is_empty() || (source.below.is_some() && copied == 0) {
            self.warnings.push(Warning::NoMatch { pattern: text.to_owned(), from: from() });
        }
        Ok(())
    }

    /// A heredoc.
    fn inline(&mut self, name: &str, content: &[u8]) -> Result<(), CopyError> {
        let path = ImagePath::clamped(name.as_bytes())
            .map_err(|source| CopyError::Path { pattern: name.to_owned(), source })?;
        let kind = Kind::File { content: Content::from_bytes(content), inode: None };
        let tree = [(path.clone(), Node::new(Meta::root_owned(0o644), kind))].into_iter().collect();
        self.place(&tree, &path, path.name(), &Filter::default(), Top::Contents)?;
        Ok(())
    }

    fn url<E: From<CopyError>>(&mut self, tree: &Tree, inputs: &CopyInputs<'_, E>) -> Result<(), E> {
        let Some((path, node)) = tree.iter().find(|(_, node)| !node.is_dir()) else { return Ok(()) };
        if self.copy.unpack == Unpack::Always
            && let Some(content) = node.content()
            && let Some(archive) = (inputs.unpack)(content)?
        {
            archive::unpack(self, &archive)?;
        } else {
            self.place(tree, path, path.name(), &Filter::default(), Top::Contents)?;
        }
        Ok(())
    }

    /// All of a git tree.
    fn whole(&mut self, tree: &Tree) -> Result<(), CopyError> {
        let filter = Filter::new(None, &self.copy.exclude)?;
        self.place(tree, &ImagePath::root(), b"", &filter, Top::Itself)?;
        Ok(())
    }

    /// Copies the file at `real`, or what is in the folder there, to the destination. Says how many nodes that
    /// were.
    fn place(
        &mut self,
        from: &Tree,
        real: &ImagePath,
        name: &[u8],
        filter: &Filter,
        top: Top,
    ) -> Result<usize, CopyError> {
        let folder = Meta { mode: self.parent_mode(), ..self.parent_meta() };
        let mut dest = self.dest(&folder)?;
        let is_dir = matches!(from.kind(real), Some(Kind::Dir));
        let fail = |source| CopyError::Dest { dest: self.copy.dest.clone(), source };
        if !is_dir && matches!(self.root.kind(&dest), Some(Kind::Dir)) {
            dest = dest.join_bytes(name).map_err(|e| fail(e.into()))?;
        }
        let is_new = self.root.kind(&dest).is_none();
        let made = if is_dir && is_new && top == Top::Contents { Some(dest.clone()) } else { dest.parent() };
        if let Some(made) = made {
            self.root.make_dirs(&made, &folder).map_err(fail)?;
        }
        let mut transfer = Transfer::new(&mut self.root, from, self.copy.mode.as_ref(), self.ids.as_ref());
        if !is_dir {
            return transfer.file(real, dest).map(|()| 1);
        }
        if is_new && top == Top::Itself {
            transfer.new_folder(real, dest.clone());
        }
        transfer.folder(real, dest, filter)
    }

    /// Where the destination is, once the folders that lead to it were made.
    fn dest(&mut self, folder: &Meta) -> Result<ImagePath, CopyError> {
        let fail = |source| CopyError::Dest { dest: self.copy.dest.clone(), source };
        let path = self.dest_path()?;
        let made = if self.copy.into_folder { Some(path.clone()) } else { path.parent() };
        if let Some(made) = made {
            let made = resolve(&self.root, &ImagePath::root(), &made).map_err(fail)?;
            self.root.make_dirs(&made, folder).map_err(fail)?;
        }
        resolve(&self.root, &ImagePath::root(), &path).map_err(fail)
    }

    fn dest_path(&self) -> Result<ImagePath, CopyError> {
        let dest = &self.copy.dest;
        ImagePath::clamped(dest.as_bytes())
            .map_err(|source| CopyError::Dest { dest: dest.clone(), source: source.into() })
    }

    /// What folders get that are made on the way, but for `--chmod`.
    fn parent_meta(&self) -> Meta {
        let (uid, gid) = self.ids.as_ref().map_or((0, 0), |ids| (ids.uid, ids.gid));
        Meta { uid, gid, ..Meta::root_owned(0o755) }
    }

    /// Only a number counts, and of that not the set-id and sticky bits.
    fn parent_mode(&self) -> u16 {
        self.copy.mode.as_ref().and_then(|mode| mode.absolute()).map_or(0o755, |mode| mode & 0o777)
    }
}

#[cfg(test)]
mod tests;
