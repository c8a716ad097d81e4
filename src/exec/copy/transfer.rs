//! One source's nodes into the root.

use std::collections::{BTreeMap, BTreeSet};

use super::CopyError;
use super::filter::Filter;
use crate::exec::owner::Ids;
use crate::exec::resolve_path::Names as _;
use crate::exec::root::Root;
use crate::plan::ModeChange;
use crate::tree::{ImagePath, Inode, Kind, Meta, Node, Tree};

/// Copies out of one source. Names of one file in it become names of one new file.
pub(super) struct Transfer<'a, 'b> {
    root: &'a mut Root<'b>,
    from: &'a Tree,
    mode: Option<&'a ModeChange>,
    ids: Option<&'a Ids>,
    inodes: Inodes,
}

impl<'a, 'b> Transfer<'a, 'b> {
    pub(super) fn new(
        root: &'a mut Root<'b>,
        from: &'a Tree,
        mode: Option<&'a ModeChange>,
        ids: Option<&'a Ids>,
    ) -> Self {
        Self { root, from, mode, ids, inodes: Inodes::default() }
    }

    /// Copies what is no folder.
    pub(super) fn file(&mut self, source: &ImagePath, dest: ImagePath) -> Result<(), CopyError> {
        let Some(node) = self.from.get(source) else { return Ok(()) };
        if let Some(Kind::Dir) = self.root.kind(&dest) {
            return Err(CopyError::OverFolder { path: source.clone(), dest });
        }
        let mut node = self.changed(node);
        self.inodes.renew(&mut node);
        self.root.put_file(dest, node);
        Ok(())
    }

    /// Makes a folder like `source`.
    pub(super) fn new_folder(&mut self, source: &ImagePath, dest: ImagePath) {
        let implicit = Node::implicit_dir();
        let node = self.changed(self.from.get(source).unwrap_or(&implicit));
        self.root.put(dest, node);
    }

    /// Copies what is wanted of what is in a folder, into the folder `dest`. Says how much that was.
    pub(super) fn folder(
        &mut self,
        source: &ImagePath,
        dest: ImagePath,
        filter: &Filter,
    ) -> Result<usize, CopyError> {
        if !matches!(self.root.kind(&dest), Some(Kind::Dir)) {
            return Err(CopyError::OverFile { path: source.clone(), dest });
        }
        let mut walk = filter.walk();
        let mut wanted = 0;
        let mut made = BTreeSet::from([source.clone()]);
        let mut last: &[u8] = &[];
        let from = self.from;
        for (path, node) in from.below(source) {
            let relative = path.strip_prefix(source).expect("it is below");
            if !walk.wants(&relative) {
                continue;
            }
            wanted += 1;
            if path.folder() != std::mem::replace(&mut last, path.folder()) {
                self.parents(path, source, &dest, &mut made)?;
            }
            let target = dest.join(&relative);
            if node.is_dir() {
                self.subfolder(path, node, target)?;
                made.insert(path.clone());
            } else {
                self.file(path, target)?;
            }
        }
        Ok(wanted)
    }

    /// Makes the folders above a wanted path that were not wanted for themselves.
    fn parents(
        &mut self,
        path: &ImagePath,
        source: &ImagePath,
        dest: &ImagePath,
        made: &mut BTreeSet<ImagePath>,
    ) -> Result<(), CopyError> {
        if path.parent().is_some_and(|parent| made.contains(&parent)) {
            return Ok(());
        }
        for folder in path.ancestors().filter(|folder| folder.starts_with(source)) {
            if !made.insert(folder.clone()) {
                continue;
            }
            let target = dest.join(&folder.strip_prefix(source).expect("it is below"));
            let node = self.from.get(&folder);
            match (self.root.kind(&target), node) {
                // What was there stays, but for the mode: an oddity of the main implementation.
                (Some(Kind::Dir), Some(node)) => {
                    let mut there = self.root.folder(&target).expect("it is a folder");
                    there.meta.mode = node.meta.mode;
                    self.root.put(target, there);
                }
                (Some(Kind::Dir), None) => {}
                (Some(_), _) => return Err(CopyError::OverFile { path: folder, dest: target }),
                (None, node) => {
                    let implicit = Node::implicit_dir();
                    let node = self.changed(node.unwrap_or(&implicit));
                    self.root.put(target, node);
                }
            }
        }
        Ok(())
    }

    /// A folder gets its source's attributes, whether it was there or not.
    fn subfolder(&mut self, path: &ImagePath, node: &Node, target: ImagePath) -> Result<(), CopyError> {
        let mut node = self.changed(node);
        if let Some(there) = self.root.folder(&target) {
            let added = std::mem::replace(&mut node.meta.xattrs, there.meta.xattrs);
            node.meta.xattrs.extend(added);
        } else if self.root.kind(&target).is_some() {
            return Err(CopyError::OverFile { path: path.clone(), dest: target });
        }
        self.root.put(target, node);
        Ok(())
    }

    /// The node with `--chown` and `--chmod` done to it.
    fn changed(&self, node: &Node) -> Node {
        let mut node = node.clone();
        own(&mut node.meta, self.ids);
        if let Some(mode) = self.mode
            && !matches!(node.kind, Kind::Symlink(_))
        {
            node.meta.mode = mode.apply(node.meta.mode, node.is_dir());
        }
        node
    }
}

pub(super) fn own(meta: &mut Meta, ids: Option<&Ids>) {
    if let Some(ids) = ids {
        (meta.uid, meta.gid) = (ids.uid, ids.gid);
    }
}

/// New inodes for old ones: a copy is never another name of what it was copied from.
#[derive(Debug, Default)]
pub(super) struct Inodes(BTreeMap<Inode, Inode>);

impl Inodes {
    pub(super) fn renew(&mut self, node: &mut Node) {
        if let Kind::File { inode: Some(inode), .. } = &mut node.kind {
            *inode = *self.0.entry(*inode).or_insert_with(Inode::fresh);
        }
    }
}
