//! What makes one tree of another: the inverse of [`Tree::apply`].

use std::collections::{BTreeMap, BTreeSet};

use super::{Changes, ImagePath, Inode, Kind, Node, Tree};

impl Tree {
    /// The changes that make `upper` of `lower`: applied to `lower`, they give `upper`.
    ///
    /// No file is read: one whose content isn't known to be the same counts as changed. Where one name of a file
    /// with several is put, all of them are, as is a file that has other names than before: a layer can only
    /// link to what it holds itself. Times are no change.
    pub fn diff(lower: &Self, upper: &Self) -> Changes {
        let mut changes = Changes::default();
        let names = (Names::of(lower), Names::of(upper));
        let mut linked = BTreeSet::new();
        for (path, node) in upper.iter() {
            // A folder that is there for what is in it goes with the last of that.
            let was_implied = lower.get(path).is_none() && upper.below(path).next().is_none();
            if was_implied || !unchanged(lower, path, node, &names) {
                linked.extend(inode(node));
                changes.puts.insert(path.clone(), node.clone());
            }
        }
        for path in linked.iter().flat_map(|inode| names.1.paths(*inode)) {
            changes.puts.extend(upper.get(path).map(|node| (ImagePath::clone(path), node.clone())));
        }
        for path in implicit(upper) {
            let is_folder =
                lower.get(&path).is_none_or(|node| node.meta == Node::implicit_dir().meta && node.is_dir());
            if !is_folder {
                changes.puts.insert(path, Node::implicit_dir());
            }
        }
        changes.whiteouts = gone(lower, upper);
        changes
    }
}

/// The names of each file that has several.
struct Names<'a>(BTreeMap<Inode, Vec<&'a ImagePath>>);

impl<'a> Names<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut names: BTreeMap<Inode, Vec<&ImagePath>> = BTreeMap::new();
        for (path, node) in tree.iter() {
            if let Some(inode) = inode(node) {
                names.entry(inode).or_default().push(path);
            }
        }
        names.retain(|_, paths| paths.len() > 1);
        Self(names)
    }

    /// None for a file that has one name.
    fn paths(&self, inode: Inode) -> &[&'a ImagePath] {
        self.0.get(&inode).map_or(&[], Vec::as_slice)
    }

    fn paths_of(&self, node: &Node) -> &[&'a ImagePath] {
        inode(node).map_or(&[], |inode| self.paths(inode))
    }
}

fn inode(node: &Node) -> Option<Inode> {
    match node.kind {
        Kind::File { inode, .. } => inode,
        _ => None,
    }
}

fn unchanged(lower: &Tree, path: &ImagePath, node: &Node, names: &(Names<'_>, Names<'_>)) -> bool {
    let implicit = Node::implicit_dir();
    let old = match lower.get(path) {
        Some(old) => old,
        None if path.is_root() || lower.below(path).next().is_some() => &implicit,
        None => return false,
    };
    let same_kind = match (&old.kind, &node.kind) {
        (Kind::File { content: a, .. }, Kind::File { content: b, .. }) => {
            a.known_same(b) == Some(true) && names.0.paths_of(old) == names.1.paths_of(node)
        }
        (old, new) => old.is_same_without_content(new),
    };
    same_kind && old.meta == node.meta
}

/// Folders that are there for what is in them alone.
fn implicit(tree: &Tree) -> BTreeSet<ImagePath> {
    let mut found = BTreeSet::new();
    for (path, _) in tree.iter() {
        let mut folder = path.parent();
        while let Some(path) = folder.filter(|path| !path.is_root() && !tree.contains(path)) {
            folder = path.parent();
            if !found.insert(path) {
                break;
            }
        }
    }
    found
}

/// The topmost of what is in `lower` alone. What is below something that is no folder any more goes with it.
fn gone(lower: &Tree, upper: &Tree) -> BTreeSet<ImagePath> {
    let mut gone: BTreeSet<ImagePath> = BTreeSet::new();
    let there = |path: &ImagePath| upper.contains(path) || upper.below(path).next().is_some();
    for (path, _) in lower.iter() {
        let replaced = |folder: &ImagePath| upper.get(folder).is_some_and(|node| !node.is_dir());
        let top = path.ancestors().chain([path.clone()]).find(|path| replaced(path) || !there(path));
        if let Some(top) = top.filter(|top| !top.is_root() && !replaced(top)) {
            gone.insert(top);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::Content;
    use crate::tree::testing::{node, path};

    fn file(text: &str, inode: Option<Inode>) -> Node {
        let content = Content::from_bytes(text.as_bytes());
        content.fingerprint().unwrap();
        node(0o644, Kind::File { content, inode })
    }

    /// The tree in words, without the identity of inodes: what two trees have to agree in.
    fn words(tree: &Tree) -> Vec<String> {
        let names = Names::of(tree);
        let mut words: Vec<String> = implicit(tree).iter().map(|path| format!("{path} dir 755")).collect();
        words.extend(tree.iter().map(|(path, node)| match &node.kind {
            Kind::File { content, .. } => {
                let text = content.read_bounded(99).unwrap().unwrap();
                format!("{path} file {:o} {text:?} {:?}", node.meta.mode, names.paths_of(node))
            }
            Kind::Dir => format!("{path} dir {:o}", node.meta.mode),
            kind => format!("{path} {kind:?} {:o}", node.meta.mode),
        }));
        words.sort();
        words
    }

    fn shown(changes: &Changes) -> (Vec<String>, Vec<String>) {
        let text = |path: &ImagePath| path.to_string();
        (changes.puts.keys().map(text).collect(), changes.whiteouts.iter().map(text).collect())
    }

    #[test]
    fn equal_trees_do_not_differ() {
        let tree: Tree =
            [(path("a/b"), file("x", None)), (path("c"), Node::implicit_dir())].into_iter().collect();
        assert!(Tree::diff(&tree, &tree.clone()).is_empty());
        let explicit: Tree = [(path("a"), Node::implicit_dir())]
            .into_iter()
            .chain(tree.iter().map(|(p, n)| (p.clone(), n.clone())))
            .collect();
        assert!(Tree::diff(&tree, &explicit).is_empty() && Tree::diff(&explicit, &tree).is_empty());
    }

    #[test]
    fn only_the_top_of_what_is_gone_is_hidden() {
        let lower: Tree =
            ["d/e/f", "d/e/g", "d-x", "k/l", "m/n"].map(|p| (path(p), file("", None))).into_iter().collect();
        let upper: Tree = [(path("k"), file("", None)), (path("m/o"), file("", None))].into_iter().collect();
        let changes = Tree::diff(&lower, &upper);
        assert_eq!(
            shown(&changes),
            (vec!["k".into(), "m/o".into()], vec!["d".into(), "d-x".into(), "m/n".into()])
        );
    }

    #[test]
    fn what_is_not_known_to_be_the_same_is_put() {
        let tree = |text: &str| -> Tree {
            let content = Content::from_bytes(text.as_bytes());
            [(path("f"), node(0o644, Kind::File { content, inode: None }))].into_iter().collect()
        };
        assert_eq!(Tree::diff(&tree("x"), &tree("x")).puts.len(), 1);
        assert_eq!(Tree::diff(&tree(""), &tree("")).puts.len(), 0);
    }

    #[test]
    fn all_names_of_a_changed_file_are_put() {
        let (one, two) = (Some(Inode::fresh()), Some(Inode::fresh()));
        let tree = |nodes: [(&str, Node); 3]| nodes.map(|(p, n)| (path(p), n)).into_iter().collect::<Tree>();
        let lower = tree([("a", file("x", one)), ("b", file("x", one)), ("c", file("x", None))]);
        let more = tree([("a", file("x", two)), ("b", file("x", two)), ("c", file("x", two))]);
        let none = tree([("a", file("x", None)), ("b", file("x", one)), ("c", file("x", None))]);
        assert_eq!(Tree::diff(&lower, &more).puts.len(), 3);
        assert_eq!(shown(&Tree::diff(&lower, &none)).0, ["a", "b"]);
        assert!(Tree::diff(&lower, &lower.clone()).is_empty());
    }

    prop_compose! {
        /// A tree of few names, so that two of them meet; inodes 0 and 1 are of this tree alone.
        fn any_tree()(puts in prop::collection::vec(("[ab](/[ab-]){0,3}", 0..8usize, 0..3u16), 0..12)) -> Tree {
            let inodes = [Inode::fresh(), Inode::fresh()];
            let mut tree = Tree::default();
            for (name, kind, mode) in puts {
                let path = path(name);
                if path.ancestors().any(|folder| tree.get(&folder).is_some_and(|node| !node.is_dir())) {
                    continue;
                }
                let mut node = match kind {
                    0 | 1 => node(0o755, Kind::Dir),
                    2 | 3 => file(["x", "y"][kind - 2], None),
                    4 | 5 => file("linked", Some(inodes[kind - 4])),
                    6 => node(0o777, Kind::Symlink(b"a"[..].into())),
                    _ => node(0o644, Kind::Fifo),
                };
                // Names of one file have one mode.
                node.meta.mode ^= if kind == 4 || kind == 5 { 0 } else { mode };
                tree.put(path, node);
            }
            tree
        }
    }

    proptest! {
        #[test]
        fn apply_undoes_diff(lower in any_tree(), upper in any_tree()) {
            let changes = Tree::diff(&lower, &upper);
            let mut found = lower;
            found.apply(&changes);
            prop_assert_eq!(words(&found), words(&upper), "by {:?}", shown(&changes));
        }
    }
}
