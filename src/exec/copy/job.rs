//! A copy under way: one source after the other into the root.

use super::filter::Filter;
use super::transfer::Transfer;
use super::{CopyError, CopyInputs, Missing, Origin, Placed, Warning, archive, select};
use crate::exec::owner::Ids;
use crate::exec::resolve_path::{Names as _, resolve};
use crate::exec::root::Root;
use crate::plan::{self, Unpack};
use crate::tree::{Content, ImagePath, Kind, Meta, Node, Tree};

/// Which attributes the destination gets, if a folder is copied and none is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Top {
    /// A missing parent's, as only what is in the folder is copied.
    Contents,
    /// The source folder's own.
    Itself,
}

/// A copy under way.
pub(super) struct Job<'a> {
    pub(super) copy: &'a plan::Copy,
    pub(super) ids: Option<Ids>,
    pub(super) root: Root<'a>,
    pub(super) warnings: Vec<Warning>,
    pub(super) placed: Vec<Placed>,
}

impl Job<'_> {
    pub(super) fn pattern<E: From<CopyError>>(
        &mut self,
        text: &str,
        inputs: &CopyInputs<'_, E>,
    ) -> Result<(), E> {
        let source = select::Source::new(text, self.copy.parents);
        let filter = Filter::new(source.below.as_deref(), &self.copy.exclude).map_err(CopyError::from)?;
        let from = || Origin::new(self.copy.from.clone(), inputs.stage);
        let missing = |path: &ImagePath| {
            let ignored = (inputs.ignored)(path);
            CopyError::from(Missing::new(text, from(), inputs.from, path, ignored))
        };
        let selected = source.select(inputs.from, &missing)?;
        let mut copied = 0;
        for named in &selected {
            let real = source.follow(inputs.from, &named.path, &missing)?;
            let is_dir = matches!(inputs.from.kind(&real), Some(Kind::Dir));
            // Nothing is below a file that a wildcard before the pivot met.
            if named.is_left_out(is_dir, &filter) || (source.below.is_some() && !is_dir) {
                continue;
            }
            let content = inputs.from.get(&real).and_then(Node::content);
            if self.copy.unpack != Unpack::Never
                && let Some(content) = content
                && let Some(tree) = (inputs.unpack)(content)?
            {
                let to = archive::unpack(self, &tree)?;
                self.placed.push(Placed { from: real, to, archive: true });
                copied += 1;
            } else {
                let (count, to) =
                    self.place(inputs.from, &real, named.path.name(), &filter, Top::Contents)?;
                self.placed.push(Placed { from: real, to, archive: false });
                copied += count;
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
    pub(super) fn inline(&mut self, name: &str, content: &[u8]) -> Result<(), CopyError> {
        let path = ImagePath::clamped(name.as_bytes())
            .map_err(|source| CopyError::Path { pattern: name.to_owned(), source })?;
        let kind = Kind::File { content: Content::from_bytes(content), inode: None };
        let tree = [(path.clone(), Node::new(Meta::root_owned(0o644), kind))].into_iter().collect();
        self.place(&tree, &path, path.name(), &Filter::default(), Top::Contents)?;
        Ok(())
    }

    /// A file from the network.
    pub(super) fn file<E: From<CopyError>>(
        &mut self,
        tree: &Tree,
        path: &ImagePath,
        inputs: &CopyInputs<'_, E>,
    ) -> Result<(), E> {
        if self.copy.unpack == Unpack::Always
            && let Some(content) = tree.get(path).and_then(Node::content)
            && let Some(archive) = (inputs.unpack)(content)?
        {
            archive::unpack(self, &archive)?;
        } else {
            self.place(tree, path, path.name(), &Filter::default(), Top::Contents)?;
        }
        Ok(())
    }

    /// All of a git tree.
    pub(super) fn whole(&mut self, tree: &Tree) -> Result<(), CopyError> {
        let filter = Filter::new(None, &self.copy.exclude)?;
        self.place(tree, &ImagePath::root(), b"", &filter, Top::Itself)?;
        Ok(())
    }

    /// Copies the file at `real`, or what is in the folder there, to the destination. Says how many nodes that
    /// were, and where it is now.
    fn place(
        &mut self,
        from: &Tree,
        real: &ImagePath,
        name: &[u8],
        filter: &Filter,
        top: Top,
    ) -> Result<(usize, ImagePath), CopyError> {
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
            return transfer.file(real, dest.clone()).map(|()| (1, dest));
        }
        if is_new && top == Top::Itself {
            transfer.new_folder(real, dest.clone());
        }
        Ok((transfer.folder(real, dest.clone(), filter)?, dest))
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

    pub(super) fn dest_path(&self) -> Result<ImagePath, CopyError> {
        let dest = &self.copy.dest;
        ImagePath::clamped(dest.as_bytes())
            .map_err(|source| CopyError::Dest { dest: dest.clone(), source: source.into() })
    }

    /// What folders get that are made on the way, but for `--chmod`.
    pub(super) fn parent_meta(&self) -> Meta {
        let (uid, gid) = self.ids.as_ref().map_or((0, 0), |ids| (ids.uid, ids.gid));
        Meta { uid, gid, ..Meta::root_owned(0o755) }
    }

    /// Only a number counts, and of that not the set-id and sticky bits.
    fn parent_mode(&self) -> u16 {
        self.copy.mode.as_ref().and_then(|mode| mode.absolute()).map_or(0o755, |mode| mode & 0o777)
    }
}
