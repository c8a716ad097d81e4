//! What holds for every copy.

use proptest::prelude::*;

use super::{copy, run, tree};
use crate::exec::copy::testing::listing;
use crate::tree::{ImagePath, Kind, Tree};

/// A tree of few names and links to anywhere.
fn any_tree() -> impl Strategy<Value = Tree> {
    let line = ("[abc](/[abc]){0,3}", 0..7, "(\\.\\./){0,4}[abc/]{1,5}|/[abc]/[abc]");
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        let mut found = Tree::default();
        for (name, kind, target) in lines {
            let one = tree(&match kind {
                0 | 1 => format!("{name}/ 0700 3:3"),
                2 | 3 => format!("{name} -> {target}"),
                _ => format!("{name} 0600 = {name}"),
            });
            let (path, node) = one.iter().next().unwrap();
            let is_folder = |folder: &ImagePath| found.get(folder).is_none_or(|node| node.is_dir());
            if path.ancestors().all(|folder| is_folder(&folder)) {
                found.put(path.clone(), node.clone());
            }
        }
        found
    })
}

fn any_words() -> impl Strategy<Value = String> {
    let flags = "(--parents )?(--exclude=[abc*] )?(--chmod=70[0-7] )?(--chown=[0-9] )?";
    (flags, "[abc*.](/[abc*.]){0,2}", "/?[abc](/[abc]){0,2}/?").prop_map(|(f, s, d)| format!("{f}{s} {d}"))
}

fn without_links(tree: &Tree) -> Tree {
    let keep = |node: &&crate::tree::Node| !matches!(node.kind, Kind::Symlink(_));
    tree.iter().filter(|(_, node)| keep(node)).map(|(path, node)| (path.clone(), node.clone())).collect()
}

proptest! {
    /// Only the destination, what is below it and the folders on the way to it change.
    #[test]
    fn a_copy_stays_at_its_destination(base in any_tree(), from in any_tree(), line in any_words()) {
        let copy = copy(&line);
        let base = without_links(&base);
        let dest = ImagePath::clamped(copy.dest.as_bytes()).unwrap();
        if let Ok(copied) = run(&copy, &base, &from) {
            for (path, node) in &copied.changes.puts {
                let on_the_way = node.is_dir() && dest.starts_with(path);
                prop_assert!(path.starts_with(&dest) || on_the_way, "{path:?} of {line}");
            }
            prop_assert!(copied.changes.whiteouts.is_empty() && copied.changes.opaques.is_empty());
        }
    }

    /// Links in the base neither lead out nor make a path through something that is no folder.
    #[test]
    fn a_copy_makes_a_whole_tree(base in any_tree(), from in any_tree(), line in any_words()) {
        if let Ok(copied) = run(&copy(&line), &base, &from) {
            let mut after = base;
            after.apply(&copied.changes);
            for path in copied.changes.puts.keys() {
                prop_assert!(after.contains(path));
                let mut above = path.ancestors();
                prop_assert!(above.all(|folder| after.get(&folder).is_none_or(|node| node.is_dir())));
            }
        }
    }

    #[test]
    fn a_linked_copy_does_not_know_the_base(base in any_tree(), from in any_tree(), line in any_words()) {
        let mut copy = copy(&line);
        copy.link = true;
        copy.mode = None;
        prop_assert!(!super::reads_base(&copy));
        let show = |base: &Tree| match run(&copy, base, &from) {
            Ok(copied) => listing(&copied.changes),
            Err(error) => error.to_string(),
        };
        prop_assert_eq!(show(&base), show(&Tree::default()));
    }

    /// A second time, all folders are there already.
    #[test]
    fn copying_again_changes_files_alone(base in any_tree(), from in any_tree(), line in any_words()) {
        let mut copy = copy(&line);
        copy.parents = false;
        let mut after = base;
        if let Ok(first) = run(&copy, &after, &from) {
            after.apply(&first.changes);
            // Where a folder came to stand at the destination, the second copy goes into it.
            if let Ok(second) = run(&copy, &after, &from) {
                let is_new = |path: &ImagePath| !first.changes.puts.contains_key(path);
                let folders = second.changes.puts.iter().filter(|(path, node)| node.is_dir() && !is_new(path));
                prop_assert_eq!(folders.count(), 0);
            }
        }
    }
}
