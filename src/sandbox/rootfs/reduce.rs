//! What of an upper folder is a change: everything that differs from the tree below, and nothing else.
//!
//! The answer depends on the two trees alone, and not on how the folder says it: a folder that was deleted and made
//! anew is what differs in it, as no marker can tell it from one that was changed. So overlayfs and a plain copy give
//! the same layer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::disk::{Ids, can_have};
use crate::tree::{Changes, ContentError, ImagePath, Inode, Kind, Meta, Node, Tree};

/// What is a change, and what becomes of the folder.
#[derive(Debug, Clone)]
pub struct Reduced {
    /// Without opaque folders.
    pub changes: Changes,
    pub settle: Settle,
}

/// What makes of an upper folder the folder of the layer that it became.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Gone from the folder, the last first; folders are empty by then.
    pub remove: BTreeSet<ImagePath>,
    pub whiteouts: BTreeSet<ImagePath>,
}

/// Compares all that is in an upper folder with the tree below.
///
/// `ours` are the paths that the sandbox made, as places to mount on: they are no change unless the step made more
/// of them. With [`Ids::Single`], what was there below has the owner that it had, and what is new is root's. Contents
/// are read where nothing else can tell whether they changed.
pub fn reduce(
    mut raw: Changes,
    below: &Tree,
    ids: Ids,
    ours: &BTreeSet<ImagePath>,
) -> Result<Reduced, ContentError> {
    if ids == Ids::Single {
        own(&mut raw, below);
    }
    let mut changes = Changes { puts: puts(&raw, below, ours)?, ..Changes::default() };
    changes.whiteouts = gone(&raw, below);
    keep_emptied(&raw, below, &mut changes);
    let settle = settle(&raw, &changes);
    Ok(Reduced { changes, settle })
}

/// Gives each entry the owner that it has below: where there is one id, nothing can have changed it.
fn own(raw: &mut Changes, below: &Tree) {
    let mut owners: BTreeMap<Inode, (u32, u32)> = BTreeMap::new();
    for (path, node) in &mut raw.puts {
        let here = || below.get(path).map_or((0, 0), |old| (old.meta.uid, old.meta.gid));
        // Names of one file have one owner.
        let owner = match inode(node) {
            Some(inode) => *owners.entry(inode).or_insert_with(here),
            None => here(),
        };
        (node.meta.uid, node.meta.gid) = owner;
    }
}

fn inode(node: &Node) -> Option<Inode> {
    match node.kind {
        Kind::File { inode, .. } => inode,
        _ => None,
    }
}

fn puts(
    raw: &Changes,
    below: &Tree,
    ours: &BTreeSet<ImagePath>,
) -> Result<BTreeMap<ImagePath, Node>, ContentError> {
    let mut groups: BTreeMap<Inode, Vec<&ImagePath>> = BTreeMap::new();
    let mut puts = BTreeMap::new();
    for (path, node) in &raw.puts {
        if is_stub(path, node, below, ours) {
            continue;
        }
        if let Some(inode) = inode(node) {
            groups.entry(inode).or_default().push(path);
        } else if !is_same(below, path, node)? {
            puts.insert(path.clone(), node.clone());
        }
    }
    // Names of one file stand or go together, as a layer can only link to what it holds itself.
    for names in groups.into_values() {
        if !is_same_group(raw, below, &names)? {
            puts.extend(names.into_iter().map(|path| (path.clone(), raw.puts[path].clone())));
        }
    }
    Ok(puts)
}

/// Whether it is a place that the sandbox made to mount on, and no more.
fn is_stub(path: &ImagePath, node: &Node, below: &Tree, ours: &BTreeSet<ImagePath>) -> bool {
    ours.contains(path)
        && below.get(path).is_none()
        && match node.kind {
            Kind::Dir => node.meta == Node::implicit_dir().meta,
            Kind::File { .. } => node.size() == 0,
            _ => false,
        }
}

fn is_same_group(raw: &Changes, below: &Tree, names: &[&ImagePath]) -> Result<bool, ContentError> {
    let one_below = || {
        let mut inodes = names.iter().map(|path| below.get(path).and_then(inode));
        let first = inodes.next().flatten();
        first.is_some() && inodes.all(|inode| inode == first)
    };
    if names.len() > 1 && !one_below() {
        return Ok(false);
    }
    for path in names {
        if !is_same(below, path, &raw.puts[*path])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the same stands at that path below. Times and numbers of files are no difference.
fn is_same(below: &Tree, path: &ImagePath, node: &Node) -> Result<bool, ContentError> {
    let implicit = Node::implicit_dir();
    let old = match below.get(path) {
        Some(old) => old,
        None if path.is_root() || below.below(path).next().is_some() => &implicit,
        None => return Ok(false),
    };
    Ok(is_same_meta(old, node) && is_same_kind(&old.kind, &node.kind)?)
}

fn is_same_kind(old: &Kind, new: &Kind) -> Result<bool, ContentError> {
    match (old, new) {
        (Kind::File { content: a, .. }, Kind::File { content: b, .. }) => match a.known_same(b) {
            Some(same) => Ok(same),
            None => Ok(a.fingerprint()? == b.fingerprint()?),
        },
        _ => Ok(old.is_same_without_content(new)),
    }
}

fn is_same_meta(old: &Node, new: &Node) -> bool {
    let xattrs = |node: &Node| {
        let kept = |(key, _): &(&Vec<u8>, &Vec<u8>)| can_have(&node.kind, key);
        node.meta.xattrs.iter().filter(kept).map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>()
    };
    let Meta { mode, uid, gid, .. } = old.meta;
    let is_link = matches!((&old.kind, &new.kind), (Kind::Symlink(_), Kind::Symlink(_)));
    (uid, gid) == (new.meta.uid, new.meta.gid)
        && (is_link || mode == new.meta.mode)
        && xattrs(old) == xattrs(new)
}

/// The topmost of what was below and is no more. What is below something that is no folder any more goes with it.
fn gone(raw: &Changes, below: &Tree) -> BTreeSet<ImagePath> {
    let is_below = |path: &ImagePath| below.contains(path) || below.below(path).next().is_some();
    let hidden = raw.whiteouts.iter().filter(|path| is_below(path) && !raw.puts.contains_key(*path));
    let mut gone: BTreeSet<ImagePath> = hidden.cloned().collect();
    for folder in &raw.opaques {
        for (path, _) in below.below(folder) {
            let inside =
                path.ancestors().filter(|above| above.strip_prefix(folder).is_some_and(|p| !p.is_root()));
            // The first on the way down that isn't there as a folder: it is gone, or it is something else now.
            for at in inside.chain([path.clone()]) {
                match raw.puts.get(&at) {
                    Some(node) if node.is_dir() => {}
                    Some(_) => break,
                    None => {
                        gone.insert(at);
                        break;
                    }
                }
            }
        }
    }
    // Hidden by one of two ways, and below something hidden by the other.
    let covered =
        |path: &ImagePath, all: &BTreeSet<ImagePath>| path.ancestors().any(|above| all.contains(&above));
    gone.iter().filter(|path| !covered(path, &gone)).cloned().collect()
}

/// A folder that the tree below has for what is in it alone would go with the last of that.
fn keep_emptied(raw: &Changes, below: &Tree, changes: &mut Changes) {
    for hidden in changes.whiteouts.clone() {
        let Some(folder) = hidden.parent().filter(|path| !path.is_root()) else { continue };
        let is_put = |path: &ImagePath| changes.puts.keys().any(|put| put.starts_with(path));
        if below.contains(&folder) || is_put(&folder) {
            continue;
        }
        let is_hidden = |path: &ImagePath| {
            changes.whiteouts.contains(path)
                || path.ancestors().any(|above| changes.whiteouts.contains(&above))
        };
        if below.below(&folder).all(|(path, _)| is_hidden(path)) {
            let node = raw.puts.get(&folder).cloned().unwrap_or_else(Node::implicit_dir);
            changes.puts.insert(folder, node);
        }
    }
}

fn settle(raw: &Changes, changes: &Changes) -> Settle {
    let stays = changes.puts.keys().chain(&changes.whiteouts);
    let mut kept: BTreeSet<ImagePath> = stays.clone().flat_map(|path| path.ancestors()).collect();
    kept.extend(stays.cloned());
    kept.insert(ImagePath::root());
    let there = raw.puts.keys().chain(&raw.whiteouts);
    Settle {
        remove: there.filter(|path| !kept.contains(*path)).cloned().collect(),
        whiteouts: changes.whiteouts.difference(&raw.whiteouts).cloned().collect(),
    }
}
