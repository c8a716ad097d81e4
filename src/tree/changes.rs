//! Trees, what a layer changes in them, and the way from one to the other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{ImagePath, Inode, Kind, Meta, Node};

/// A whole root file system or build context: every path once, in order.
///
/// The root itself may stand in it, for its attributes; where it doesn't, it is an implicit folder. So is each
/// folder above a path that stands in it alone.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<ImagePath, Node>,
}

/// What one layer does: puts nodes, hides paths of the layers below (whiteouts), or hides all that was in a
/// folder below (opaque). Hiding never touches what the same layer puts (image-spec, layer.md "Whiteouts").
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub puts: BTreeMap<ImagePath, Node>,
    pub whiteouts: BTreeSet<ImagePath>,
    pub opaques: BTreeSet<ImagePath>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.whiteouts.is_empty() && self.opaques.is_empty()
    }
}

impl Tree {
    pub fn get(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub fn contains(&self, path: &ImagePath) -> bool {
        self.nodes.contains_key(path)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Every path with its node, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.nodes.iter()
    }

    /// What is below `folder`, at any depth, in order; not `folder` itself.
    pub fn below<'a>(
        &'a self,
        folder: &ImagePath,
    ) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> + use<'a> {
        self.nodes.range::<[u8], _>(bounds(folder).as_ref())
    }

    /// What stands directly in `folder`.
    pub fn children<'a>(
        &'a self,
        folder: &ImagePath,
    ) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> + use<'a> {
        let depth = folder.parts().count() + 1;
        self.below(folder).filter(move |(path, _)| path.parts().count() == depth)
    }

    /// Puts a node. What stood there goes, with all below it, unless both are folders.
    pub fn put(&mut self, path: ImagePath, node: Node) {
        if !node.is_dir() {
            self.remove_below(&path);
        }
        self.nodes.insert(path, node);
    }

    /// Removes a path and all below it.
    pub fn remove(&mut self, path: &ImagePath) {
        self.remove_below(path);
        self.nodes.remove(path);
    }

    fn remove_below(&mut self, path: &ImagePath) {
        let doomed: Vec<ImagePath> = self.below(path).map(|(p, _)| p.clone()).collect();
        for path in doomed {
            self.nodes.remove(&path);
        }
    }

    /// Lays a layer over the tree.
    ///
    /// A hard link gets the node of its target, in this layer or below, and gives it its attributes; one whose
    /// target is not there, or is a folder, is left out, as there is nothing that it could be a name of. A path below something that is no
    /// folder makes a folder of it, as unpackers do.
    pub fn apply(&mut self, changes: &Changes) {
        self.lay(changes.clone());
    }

    /// As [`Tree::apply`]; tells which hard links were left out.
    pub fn apply_and_tell(&mut self, changes: &Changes) -> BTreeSet<ImagePath> {
        self.lay_and_tell(changes.clone())
    }

    /// As [`Tree::apply`], of changes that nobody else needs.
    pub fn lay(&mut self, changes: Changes) {
        let _of_nothing = self.lay_and_tell(changes);
    }

    fn lay_and_tell(&mut self, changes: Changes) -> BTreeSet<ImagePath> {
        let mut left_out = BTreeSet::new();
        for folder in &changes.opaques {
            self.remove_below(folder);
        }
        for path in &changes.whiteouts {
            self.remove(path);
        }
        let mut links = Vec::new();
        let mut changed = BTreeMap::new();
        self.put_all(changes.puts, &mut links);
        for (path, target, meta) in links {
            if let Some(node) = self.link_target(&target, &meta) {
                if let Kind::File { inode: Some(inode), .. } = node.kind {
                    changed.insert(inode, meta);
                }
                self.make_way(&path);
                self.put(path, node);
            } else {
                left_out.insert(path);
            }
        }
        self.set_meta(&changed);
        left_out
    }

    /// Puts all that is no hard link; hard links go into `links`.
    fn put_all(&mut self, puts: BTreeMap<ImagePath, Node>, links: &mut Vec<(ImagePath, ImagePath, Meta)>) {
        if self.nodes.is_empty() && is_tree(&puts) {
            // The whole of a base image's first layer, most often: nothing is in its way.
            self.nodes = puts;
            return;
        }
        let mut free = Vec::new();
        for (path, node) in puts {
            if let Kind::Hardlink(target) = node.kind {
                links.push((path, target, node.meta));
                continue;
            }
            // Most stand beside the one before.
            if path.folder() != free {
                self.make_way(&path);
                free.clear();
                free.extend_from_slice(path.folder());
            }
            self.put(path, node);
        }
    }

    /// Gives all names of these files the same attributes.
    fn set_meta(&mut self, changed: &BTreeMap<Inode, Meta>) {
        if changed.is_empty() {
            return;
        }
        for node in self.nodes.values_mut() {
            if let Kind::File { inode: Some(inode), .. } = node.kind
                && let Some(meta) = changed.get(&inode)
            {
                node.meta.clone_from(meta);
            }
        }
    }

    /// Makes folders of what stands above a path and is none.
    fn make_way(&mut self, path: &ImagePath) {
        for folder in path.ancestors() {
            if self.nodes.get(&folder).is_some_and(|node| !node.is_dir()) {
                self.put(folder, Node::implicit_dir());
            }
        }
    }

    /// The node that a hard link to `target` shares, which from now on has an inode.
    fn link_target(&mut self, target: &ImagePath, meta: &Meta) -> Option<Node> {
        let node = self.nodes.get_mut(target)?;
        match &mut node.kind {
            Kind::Dir => return None,
            Kind::File { inode, .. } => _ = inode.get_or_insert_with(Inode::fresh),
            _ => {}
        }
        node.meta.clone_from(meta);
        Some(node.clone())
    }
}

impl FromIterator<(ImagePath, Node)> for Tree {
    fn from_iter<T: IntoIterator<Item = (ImagePath, Node)>>(nodes: T) -> Self {
        Self { nodes: nodes.into_iter().collect() }
    }
}

/// Whether these are a tree as they are: no hard links, and nothing below what is no folder.
fn is_tree(puts: &BTreeMap<ImagePath, Node>) -> bool {
    let mut free: &[u8] = &[];
    puts.iter().all(|(path, node)| {
        let folder = path.folder();
        let is_free =
            folder == free || path.folders().all(|folder| puts.get(folder).is_none_or(Node::is_dir));
        free = folder;
        is_free && !matches!(node.kind, Kind::Hardlink(_))
    })
}

/// All of a tree, put where nothing is.
impl From<&Tree> for Changes {
    fn from(tree: &Tree) -> Self {
        let puts = tree.iter().map(|(path, node)| (path.clone(), node.clone())).collect();
        Self { puts, ..Self::default() }
    }
}

/// All paths below a folder: from `folder/` to `folder0`, `0` being the byte after `/`.
struct Below(Vec<u8>, Vec<u8>);

fn bounds(folder: &ImagePath) -> Below {
    if folder.is_root() {
        return Below(Vec::new(), Vec::new());
    }
    Below([folder.as_bytes(), b"/"].concat(), [folder.as_bytes(), b"0"].concat())
}

impl Below {
    fn as_ref(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        let end = if self.1.is_empty() { Bound::Unbounded } else { Bound::Excluded(&self.1[..]) };
        (Bound::Excluded(&self.0[..]), end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::testing::{file, path};

    fn tree(paths: &[(&str, Option<&str>)]) -> Tree {
        paths.iter().map(|(p, text)| (path(p), text.map_or_else(Node::implicit_dir, file))).collect()
    }

    fn names(tree: &Tree) -> Vec<String> {
        tree.iter().map(|(path, _)| path.to_string()).collect()
    }

    #[test]
    fn below_is_what_is_in_the_folder_alone() {
        let tree =
            tree(&[("a", None), ("a-b", Some("")), ("a/x", None), ("a/x/y", Some("")), ("a0", Some(""))]);
        assert_eq!(tree.below(&path("a")).count(), 2);
        assert_eq!(tree.children(&path("a")).count(), 1);
        assert_eq!(tree.below(&ImagePath::root()).count(), 5);
        assert_eq!(tree.children(&ImagePath::root()).count(), 3);
    }

    #[test]
    fn whiteouts_hide_the_layers_below_only() {
        let mut tree =
            tree(&[("d", None), ("d/old", Some("")), ("e", None), ("e/f", Some("")), ("g", Some(""))]);
        let mut changes = Changes::default();
        changes.opaques.insert(path("d"));
        changes.whiteouts.extend([path("e"), path("g"), path("not/there")]);
        changes.puts.extend([(path("d/new"), file("")), (path("e"), file("now a file"))]);
        tree.apply(&changes);
        assert_eq!(names(&tree), ["d", "d/new", "e"]);
    }

    #[test]
    fn folder_and_file_replace_each_other() {
        let mut tree = tree(&[("a", None), ("a/b", Some("")), ("c", Some(""))]);
        let mut changes = Changes::default();
        changes.puts.extend([
            (path("a"), file("")),
            (path("c"), Node::implicit_dir()),
            (path("c/d"), file("")),
        ]);
        tree.apply(&changes);
        assert_eq!(names(&tree), ["a", "c", "c/d"]);
    }

    #[test]
    fn hard_links_are_names_of_one_file() {
        let mut tree = tree(&[("base", Some("x")), ("dir", None)]);
        let link = |to: &str| Node::new(Meta::root_owned(0o600), Kind::Hardlink(path(to)));
        let mut changes = Changes::default();
        changes.puts.extend([
            (path("a"), link("base")),
            (path("b"), link("nowhere")),
            (path("c"), link("dir")),
        ]);
        tree.apply(&changes);
        assert_eq!(names(&tree), ["a", "base", "dir"]);
        let inode = |p: &str| match tree.get(&path(p)).unwrap().kind {
            Kind::File { inode, .. } => inode,
            _ => None,
        };
        assert!(inode("a").is_some() && inode("a") == inode("base"));
        assert_eq!(tree.get(&path("base")).unwrap().meta.mode, 0o600, "the link's attributes are the file's");
    }

    /// Some paths of three letters, and what stands there.
    fn puts() -> impl Strategy<Value = BTreeMap<ImagePath, Node>> {
        let node = prop_oneof![
            Just(Node::implicit_dir()),
            Just(file("x")),
            Just(Node::new(Meta::root_owned(0o600), Kind::Hardlink(path("a/a")))),
        ];
        prop::collection::btree_map("[ab-]?(/[ab])?(/[ab])?".prop_map(path), node, 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn laid_at_once_or_one_by_one(layers in [puts(), puts()]) {
            let (mut whole, mut single) = (Tree::default(), Tree::default());
            for puts in layers {
                let left_out = whole.apply_and_tell(&Changes { puts: puts.clone(), ..Changes::default() });
                let (links, others): (Vec<_>, Vec<_>) =
                    puts.into_iter().partition(|(_, node)| matches!(node.kind, Kind::Hardlink(_)));
                let mut left = BTreeSet::new();
                for put in others.into_iter().chain(links) {
                    left.extend(single.apply_and_tell(&Changes { puts: [put].into(), ..Changes::default() }));
                }
                prop_assert_eq!(shown(&whole), shown(&single));
                prop_assert_eq!(left_out, left);
            }
        }
    }

    fn shown(tree: &Tree) -> Vec<(String, u16, bool)> {
        let shown = |(path, node): (&ImagePath, &Node)| (path.to_string(), node.meta.mode, node.is_dir());
        tree.iter().map(shown).collect()
    }
}
