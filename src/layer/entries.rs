//! What stands in a layer's tar, in order: [`Changes`] brought into the one form that is written.
//!
//! Order: bytewise by path, so that a folder comes before what is in it; the markers of a folder (whiteouts,
//! opaque) come before its other entries, as layer.md of the image-spec asks, since unpackers stream.
//!
//! Equal changes have one form, and it is one that every unpacker gets right:
//! - names of one file: the first in order has the body, the others are hard links to it;
//! - a whiteout of a path that the layer also puts is left out for a file, and an opaque marker for a folder;
//! - markers inside a folder that is hidden anyway are left out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::LayerError;
use crate::tree::{Changes, Content, ImagePath, Inode, Kind, Meta, Node};

/// The prefix of a whiteout's name, and the name of an opaque marker (image-spec, layer.md "Whiteouts").
pub(super) const WHITEOUT: &[u8] = b".wh.";
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";

/// One entry of the tar.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Where it sorts: its path, with a NUL before a marker's name. No name holds one and nothing sorts before it.
    key: Cow<'a, [u8]>,
    pub(super) meta: &'a Meta,
    /// The node's own time, which no layer shows.
    pub(super) mtime: i64,
    pub(super) body: Body<'a>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    File(&'a Content),
    Dir,
    Symlink(&'a [u8]),
    /// Another name of what stands at this path, in this layer before it, or in a lower one.
    Link(&'a ImagePath),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Marker,
}

impl Entry<'_> {
    /// Its path, without the slash at the end that a folder has in the tar.
    pub(super) fn path(&self) -> ImagePath {
        ImagePath::new(&self.plain()).expect("made of a path, which is normal")
    }

    /// Its name in the tar: the path, with a slash at the end for a folder; `./` for the root.
    pub(super) fn name(&self) -> Vec<u8> {
        let mut name = self.plain().into_owned();
        if matches!(self.body, Body::Dir) {
            name.extend_from_slice(if name.is_empty() { b"./" } else { b"/" });
        }
        name
    }

    fn plain(&self) -> Cow<'_, [u8]> {
        match self.body {
            Body::Marker => self.key.iter().copied().filter(|&b| b != 0).collect(),
            _ => Cow::Borrowed(&self.key),
        }
    }

    pub(super) fn size(&self) -> u64 {
        match self.body {
            Body::File(content) => content.size(),
            _ => 0,
        }
    }
}

/// The attributes of a marker, which no unpacker looks at, and of a folder that has none of its own.
static MARKER: LazyLock<Meta> = LazyLock::new(|| Meta::root_owned(0o644));
static IMPLICIT: LazyLock<Meta> = LazyLock::new(|| Meta::root_owned(0o755));

/// The entries of a layer, in order.
pub(super) fn entries(changes: &Changes) -> Result<Vec<Entry<'_>>, LayerError> {
    check_names(changes)?;
    let links = Links::of(changes)?;
    let markers = Markers::of(changes)?;
    let mut entries = Vec::with_capacity(changes.puts.len() + markers.keys.len());
    for (path, node) in &changes.puts {
        let (meta, body) = links.body(path, node)?;
        entries.push(Entry { key: Cow::Borrowed(path.as_bytes()), meta, mtime: node.mtime, body });
    }
    for path in markers.folders {
        entries.push(Entry { key: Cow::Owned(path.into()), meta: &IMPLICIT, mtime: 0, body: Body::Dir });
    }
    for key in markers.keys {
        entries.push(Entry { key: Cow::Owned(key), meta: &MARKER, mtime: 0, body: Body::Marker });
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(entries)
}

/// Refuses what a reader of the tar would take for something else.
fn check_names(changes: &Changes) -> Result<(), LayerError> {
    let is_marker = |path: &ImagePath| path.parts().any(|part| part.starts_with(WHITEOUT));
    let hidden = changes.whiteouts.iter().chain(&changes.opaques);
    if let Some(path) = changes.puts.keys().chain(hidden).find(|path| is_marker(path)) {
        return Err(LayerError::MarkerName { path: path.clone() });
    }
    if changes.whiteouts.contains(&ImagePath::root()) {
        return Err(LayerError::RootWhiteout);
    }
    let mut sound = None;
    for path in changes.puts.keys() {
        let parent = path.parent();
        if parent != sound {
            check_parents(changes, path)?;
            sound = parent;
        }
    }
    Ok(())
}

/// The nearest put above `path` must be a folder; those above that one have been looked at for it.
fn check_parents(changes: &Changes, path: &ImagePath) -> Result<(), LayerError> {
    let mut above = path.parent();
    while let Some(folder) = above {
        match changes.puts.get(&folder) {
            Some(node) if node.is_dir() => return Ok(()),
            Some(_) => return Err(LayerError::BelowFile { path: path.clone(), file: folder }),
            None => above = folder.parent(),
        }
    }
    Ok(())
}

/// Which names are of one file.
struct Links<'a> {
    changes: &'a Changes,
    /// The first path in order of each file that may have several.
    first: BTreeMap<Group<'a>, &'a ImagePath>,
    /// The files that a [`Kind::Hardlink`] leads to.
    targets: BTreeSet<&'a ImagePath>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Group<'a> {
    Inode(Inode),
    Path(&'a ImagePath),
}

impl<'a> Links<'a> {
    fn of(changes: &'a Changes) -> Result<Self, LayerError> {
        let mut links = Self { changes, first: BTreeMap::new(), targets: BTreeSet::new() };
        for (path, node) in &changes.puts {
            if let Kind::Hardlink(_) = node.kind {
                let (target, _) = links.resolve(path, node)?;
                links.targets.insert(target);
            }
        }
        for (path, node) in &changes.puts {
            let (target, node) = links.resolve(path, node)?;
            if let Some(group) = links.group(target, node) {
                links.first.entry(group).or_insert(path);
            }
        }
        Ok(links)
    }

    /// What stands at `path` after hard links to paths of the same layer. If that is a hard link still, then
    /// it leads to a lower layer.
    fn resolve(&self, path: &'a ImagePath, node: &'a Node) -> Result<(&'a ImagePath, &'a Node), LayerError> {
        let mut at = (path, node);
        for _ in 0..=self.changes.puts.len() {
            let Kind::Hardlink(target) = &at.1.kind else { return Ok(at) };
            match self.changes.puts.get_key_value(target) {
                Some((_, node)) if node.is_dir() => break,
                Some(next) => at = next,
                None => return Ok(at),
            }
        }
        Err(LayerError::BadLink { path: path.clone() })
    }

    fn group(&self, path: &'a ImagePath, node: &Node) -> Option<Group<'a>> {
        match node.kind {
            Kind::File { inode: Some(inode), .. } => Some(Group::Inode(inode)),
            Kind::File { inode: None, .. } if self.targets.contains(path) => Some(Group::Path(path)),
            _ => None,
        }
    }

    fn body(&self, path: &'a ImagePath, node: &'a Node) -> Result<(&'a Meta, Body<'a>), LayerError> {
        let (target, node) = self.resolve(path, node)?;
        let first = self.group(target, node).and_then(|group| self.first.get(&group).copied());
        if let Some(first) = first.filter(|first| *first != path) {
            return Ok((&node.meta, Body::Link(first)));
        }
        let body = match &node.kind {
            Kind::File { content, .. } => Body::File(content),
            Kind::Dir => Body::Dir,
            Kind::Symlink(target) => Body::Symlink(target),
            Kind::Hardlink(target) => Body::Link(target),
            Kind::CharDevice { major, minor } => Body::CharDevice(*major, *minor),
            Kind::BlockDevice { major, minor } => Body::BlockDevice(*major, *minor),
            Kind::Fifo => Body::Fifo,
        };
        Ok((&node.meta, body))
    }
}

/// What the layer hides of those below it, without what says nothing new.
#[derive(Default)]
struct Markers {
    keys: Vec<Vec<u8>>,
    /// Folders that must stand in the tar for the sake of a marker in them.
    folders: Vec<ImagePath>,
}

impl Markers {
    fn of(changes: &Changes) -> Result<Self, LayerError> {
        let mut markers = Self::default();
        let hidden = changes.whiteouts.union(&changes.opaques);
        for path in hidden.filter(|path| !is_covered(changes, path)) {
            let is_whiteout = changes.whiteouts.contains(path);
            match changes.puts.get(path) {
                Some(node) if node.is_dir() => markers.opaque(path),
                Some(_) => {}
                None if is_whiteout && is_parent(changes, path) => {
                    markers.folders.push(path.clone());
                    markers.opaque(path);
                }
                None if is_whiteout => markers.whiteout(path)?,
                None => markers.opaque(path),
            }
        }
        Ok(markers)
    }

    fn opaque(&mut self, folder: &ImagePath) {
        self.keys.push(marker_key(folder.as_bytes(), OPAQUE));
    }

    fn whiteout(&mut self, path: &ImagePath) -> Result<(), LayerError> {
        let parent = path.parent().ok_or(LayerError::RootWhiteout)?;
        self.keys.push(marker_key(parent.as_bytes(), &[WHITEOUT, path.name()].concat()));
        Ok(())
    }
}

fn marker_key(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
    [folder, slash, b"\0", name].concat()
}

/// Whether something above `path` is hidden or no folder any more, so that nothing is left to hide there.
fn is_covered(changes: &Changes, path: &ImagePath) -> bool {
    let hides = |above: &ImagePath| {
        changes.whiteouts.contains(above)
            || changes.opaques.contains(above)
            || changes.puts.get(above).is_some_and(|node| !node.is_dir())
    };
    (!path.is_root() && changes.opaques.contains(&ImagePath::root()))
        || path.ancestors().any(|above| hides(&above))
}

/// Whether the layer puts something below `path`.
fn is_parent(changes: &Changes, path: &ImagePath) -> bool {
    let first = [path.as_bytes(), b"/"].concat();
    let from = (std::ops::Bound::Excluded(&first[..]), std::ops::Bound::Unbounded);
    changes.puts.range::<[u8], _>(from).next().is_some_and(|(next, _)| next.starts_with(path))
}
