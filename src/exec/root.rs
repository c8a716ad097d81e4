//! A root file system while a step changes it.
//!
//! The base stays as it is; what the step puts is kept beside it, so that no large tree is cloned for a small
//! step, and what is left at the end is the step's changes.

use std::collections::{BTreeMap, BTreeSet};

use super::resolve_path::{IMPLICIT, Names, ResolveError};
use crate::tree::{Changes, ImagePath, Kind, Meta, Node, Tree};

/// A base with what was put over it.
#[derive(Debug)]
pub(super) struct Root<'a> {
    base: &'a Tree,
    puts: BTreeMap<ImagePath, Node>,
    /// Folders of the base that something else took the place of: nothing at or below them is seen any more.
    cut: BTreeSet<ImagePath>,
}

impl Names for Root<'_> {
    fn kind(&self, path: &ImagePath) -> Option<&Kind> {
        match self.puts.get(path) {
            Some(node) => Some(&node.kind),
            None if path.is_root() => Some(&IMPLICIT),
            None if self.base.is_empty() || self.is_cut(path) => None,
            None => self.base.kind(path),
        }
    }
}

impl<'a> Root<'a> {
    pub(super) fn new(base: &'a Tree) -> Self {
        Self { base, puts: BTreeMap::new(), cut: BTreeSet::new() }
    }

    /// What is known of the folder at `path`: its own node, or the implicit one; `None` if none is there.
    pub(super) fn folder(&self, path: &ImagePath) -> Option<Node> {
        if !matches!(self.kind(path)?, Kind::Dir) {
            return None;
        }
        let known = self.puts.get(path).or_else(|| self.base.get(path).filter(|_| !self.is_cut(path)));
        Some(known.filter(|node| node.is_dir()).cloned().unwrap_or_else(Node::implicit_dir))
    }

    /// Puts what is no folder where none is: who asks has looked.
    pub(super) fn put_file(&mut self, path: ImagePath, node: Node) {
        self.puts.insert(path, node);
    }

    /// Puts a node. What stood there goes, with all below it, unless both are folders.
    pub(super) fn put(&mut self, path: ImagePath, node: Node) {
        if !node.is_dir() && matches!(self.kind(&path), Some(Kind::Dir)) {
            self.puts.retain(|put, _| put == &path || !put.starts_with(&path));
            if !self.is_cut(&path) && self.base.below(&path).next().is_some() {
                self.cut.insert(path.clone());
            }
        }
        self.puts.insert(path, node);
    }

    /// Makes a folder and those above it; what is there already stays as it is.
    pub(super) fn make_dirs(&mut self, path: &ImagePath, meta: &Meta) -> Result<(), ResolveError> {
        for folder in path.ancestors().chain([path.clone()]) {
            match self.kind(&folder) {
                Some(Kind::Dir) => {}
                Some(_) => return Err(ResolveError::NotAFolder(folder)),
                None => {
                    self.puts.insert(folder, Node::new(meta.clone(), Kind::Dir));
                }
            }
        }
        Ok(())
    }

    /// What the step did, without the folders that the base has just so.
    pub(super) fn into_changes(mut self) -> Changes {
        let mut puts = std::mem::take(&mut self.puts);
        puts.retain(|path, node| !self.base_has_folder(path, node));
        for folder in self.implied(&puts) {
            puts.insert(folder, Node::implicit_dir());
        }
        let is_folder = |path: &ImagePath| puts.get(path).is_some_and(Node::is_dir);
        let opaques = self.cut.iter().filter(|path| is_folder(path)).cloned().collect();
        Changes { puts, opaques, whiteouts: BTreeSet::new() }
    }

    fn base_has_folder(&self, path: &ImagePath, node: &Node) -> bool {
        if !node.is_dir() || self.is_cut(path) {
            return false;
        }
        let implicit = Node::implicit_dir();
        let old = self.base.get(path).or_else(|| path.is_root().then_some(&implicit));
        old.is_some_and(|old| old.is_dir() && old.meta == node.meta)
    }

    /// Folders on the way to what was put that no layer says anything of: what they are like would be left to
    /// whoever unpacks them.
    fn implied(&self, puts: &BTreeMap<ImagePath, Node>) -> BTreeSet<ImagePath> {
        // What stands beside the one before has the same.
        let mut last: &[u8] = &[];
        let others = puts.keys().filter(|path| path.folder() != std::mem::replace(&mut last, path.folder()));
        let folders = others.flat_map(ImagePath::ancestors);
        folders.filter(|folder| !puts.contains_key(folder) && !self.base.contains(folder)).collect()
    }

    fn is_cut(&self, path: &ImagePath) -> bool {
        !self.cut.is_empty() && (self.cut.contains(path) || path.ancestors().any(|a| self.cut.contains(&a)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::copy::testing::{listing, path, tree};
    use super::*;

    fn file() -> Node {
        tree("f = new").get(&path("f")).unwrap().clone()
    }

    fn meta() -> Meta {
        Meta::root_owned(0o700)
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let base = tree("a/ 0700\nb/c");
        let mut root = Root::new(&base);
        for name in ["a", "b", "new/deep", ""] {
            root.make_dirs(&path(name), &meta()).unwrap();
        }
        for name in ["a", ""] {
            let same = root.folder(&path(name)).unwrap();
            root.put(path(name), same);
        }
        assert_eq!(listing(&root.into_changes()), "/new/ 700\n/new/deep/ 700\n");
    }

    #[test]
    fn folders_that_the_base_only_implies_are_said() {
        let base = tree("a/b/c\nd/ 0700");
        let mut root = Root::new(&base);
        root.make_dirs(&path("a/b"), &meta()).unwrap();
        root.put(path("a/b/f"), file());
        root.put(path("d/f"), file());
        assert_eq!(listing(&root.into_changes()), "/a/ 755\n/a/b/ 755\n/a/b/f 644 `new`\n/d/f 644 `new`\n");
        assert!(Root::new(&base).into_changes().is_empty());
    }

    #[test]
    fn a_folder_that_came_back_is_opaque() {
        let base = tree("d/ 0755\nd/sub/old\nother");
        let mut root = Root::new(&base);
        root.put(path("d"), file());
        assert!(root.kind(&path("d/sub")).is_none() && root.kind(&path("d/sub/old")).is_none());
        root.put(path("d"), Node::implicit_dir());
        root.put(path("d/sub"), Node::implicit_dir());
        assert!(root.kind(&path("d/sub/old")).is_none());
        let changes = root.into_changes();
        assert_eq!(listing(&changes), "/d/ 755 opaque\n/d/sub/ 755\n");
        let mut after = base;
        after.apply(&changes);
        assert!(!after.contains(&path("d/sub/old")) && after.contains(&path("other")));
    }

    #[test]
    fn what_was_put_below_goes_with_its_folder() {
        let base = tree("keep");
        let mut root = Root::new(&base);
        root.make_dirs(&path("d"), &meta()).unwrap();
        root.put(path("d/f"), file());
        root.put(path("d-e"), file());
        root.put(path("d"), file());
        assert_eq!(listing(&root.into_changes()), "/d 644 `new`\n/d-e 644 `new`\n");
    }

    #[test]
    fn no_folder_is_made_below_a_file() {
        let base = tree("f");
        let mut root = Root::new(&base);
        assert_eq!(root.make_dirs(&path("f/x"), &meta()), Err(ResolveError::NotAFolder(path("f"))));
        assert!(root.into_changes().is_empty());
    }
}
