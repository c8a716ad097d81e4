//! What has to stand in a layer's folder, which the layer alone does not say.
//!
//! overlayfs shows the attributes of the topmost folder, merges nothing of files, and takes a mark at its word. So
//! folders that a layer only implies get the attributes that they have below; hard links to what a lower layer
//! holds become files, with all names of them; and what hides nothing is left out, as it would make folders.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::oci::Epoch;
use crate::tree::{Changes, ContentError, ImagePath, Inode, Kind, Meta, Node, Tree};

/// A layer's changes with all that its folder needs.
#[derive(Debug, Clone)]
pub struct Completed {
    pub changes: Changes,
    /// A hash of what the tree below added or took away; `None` where that is nothing out of the ordinary. Folders
    /// of the same layer and the same context are the same.
    pub context: Option<String>,
}

/// What stands in the folder of a layer over `below`. Folders that are only implied have the time `epoch`.
pub fn complete(changes: &Changes, below: &Tree, epoch: Epoch) -> Result<Completed, ContentError> {
    let mut work =
        Completion { below, context: Context(None), out: Changes::default(), fresh: BTreeSet::new() };
    let sound = work.puts(changes)?;
    work.hide(&sound);
    work.imply(epoch.mtime());
    Ok(Completed { changes: work.out, context: work.context.finish() })
}

struct Completion<'a> {
    below: &'a Tree,
    context: Context,
    out: Changes,
    /// Implied folders of which nothing was there before, or which stand in the place of what was.
    fresh: BTreeSet<ImagePath>,
}

impl Completion<'_> {
    /// Gives the changes without the links that lead to nothing: these put nothing, and so hide nothing.
    fn puts<'a>(&mut self, changes: &'a Changes) -> Result<Cow<'a, Changes>, ContentError> {
        if !changes.puts.values().any(|node| matches!(node.kind, Kind::Hardlink(_))) {
            self.out.puts.clone_from(&changes.puts);
            return Ok(Cow::Borrowed(changes));
        }
        let mut after = self.below.clone();
        let left_out = after.apply_and_tell(changes);
        let mut changes = Cow::Borrowed(changes);
        for path in &left_out {
            self.context.mark(b'n', path);
            changes.to_mut().puts.remove(path);
        }
        let mut linked: BTreeSet<Inode> = BTreeSet::new();
        // Links and devices that have another name by now, and so perhaps other attributes.
        let mut others = Vec::new();
        for (path, node) in &changes.puts {
            // A link may have been displaced by another.
            let Some(found) = after.get(path) else { continue };
            match (&node.kind, &found.kind) {
                (Kind::Hardlink(_), Kind::File { inode, .. }) => linked.extend(*inode),
                (Kind::Hardlink(target), _) => {
                    self.context.other(path, found);
                    others.extend(after.get(target).map(|node| (target, node)));
                }
                _ => {}
            }
            let mut found = found.clone();
            if !matches!(node.kind, Kind::Hardlink(_)) {
                found.mtime = node.mtime;
            }
            self.out.puts.insert(path.clone(), found);
        }
        for (path, node) in others {
            self.context.other(path, node);
            self.out.puts.entry(path.clone()).or_insert_with(|| node.clone());
        }
        for (path, node) in after.iter() {
            let Kind::File { content, inode: Some(inode) } = &node.kind else { continue };
            if linked.contains(inode) {
                self.context.add(b'l', path, &node.meta, node.mtime);
                self.context.bytes(&content.fingerprint()?.0);
                self.out.puts.entry(path.clone()).or_insert_with(|| node.clone());
            }
        }
        Ok(changes)
    }

    fn hide(&mut self, changes: &Changes) {
        // A whiteout of the same path says more.
        for path in changes.opaques.difference(&changes.whiteouts) {
            if path.is_root() {
                // overlayfs always merges the root itself.
                for child in self.tops() {
                    self.whiteout(changes, &child);
                }
            } else if !is_covered(changes, path) {
                self.opaque(path);
            }
        }
        for path in changes.whiteouts.iter().filter(|path| !is_covered(changes, path)) {
            self.whiteout(changes, path);
        }
    }

    /// The first parts of all paths below.
    fn tops(&self) -> BTreeSet<ImagePath> {
        let first = |path: &ImagePath| path.parts().next().and_then(|part| ImagePath::new(part).ok());
        self.below.iter().filter_map(|(path, _)| first(path)).collect()
    }

    fn opaque(&mut self, path: &ImagePath) {
        match self.out.puts.get(path) {
            Some(node) if !node.is_dir() => {}
            _ if self.below.below(path).next().is_none() => self.context.mark(b'o', path),
            _ => _ = self.out.opaques.insert(path.clone()),
        }
    }

    fn whiteout(&mut self, changes: &Changes, path: &ImagePath) {
        match self.out.puts.get(path) {
            Some(node) if node.is_dir() => self.opaque(path),
            Some(_) => {}
            None if self.is_parent(path) => {
                self.fresh.insert(path.clone());
                self.opaque(path);
            }
            None if self.below.contains(path) || self.below.below(path).next().is_some() => {
                self.out.whiteouts.insert(path.clone());
            }
            None if changes.whiteouts.contains(path) => self.context.mark(b'w', path),
            None => {}
        }
    }

    /// Whether the layer puts something below `path`.
    fn is_parent(&self, path: &ImagePath) -> bool {
        let first = [path.as_bytes(), b"/"].concat();
        let from = (std::ops::Bound::Excluded(&first[..]), std::ops::Bound::Unbounded);
        let mut puts = self.out.puts.range::<[u8], _>(from);
        puts.next().is_some_and(|(next, _)| next.starts_with(path))
    }

    /// Adds the folders that stand in the layer for what is in them alone.
    fn imply(&mut self, epoch: i64) {
        let mut implied = BTreeSet::from([ImagePath::root()]);
        let paths = self.out.puts.keys().chain(&self.out.whiteouts);
        implied.extend(paths.flat_map(|path| path.ancestors()));
        for path in &self.out.opaques {
            implied.extend(path.ancestors());
            implied.insert(path.clone());
        }
        for path in implied {
            if self.out.puts.contains_key(&path) {
                continue;
            }
            let mut node = self.implied(&path);
            node.mtime = epoch;
            if node.meta != Node::implicit_dir().meta || epoch != 0 {
                self.context.add(b'd', &path, &node.meta, epoch);
            }
            self.out.puts.insert(path, node);
        }
    }

    fn implied(&self, path: &ImagePath) -> Node {
        let is_hidden = self.fresh.contains(path)
            || path.ancestors().any(|above| self.fresh.contains(&above) || self.out.opaques.contains(&above));
        let below = self.below.get(path).filter(|node| node.is_dir() && !is_hidden);
        below.cloned().unwrap_or_else(Node::implicit_dir)
    }
}

/// Whether something above hides it already, or is no folder any more.
fn is_covered(changes: &Changes, path: &ImagePath) -> bool {
    let hides = |above: &ImagePath| {
        changes.whiteouts.contains(above)
            || changes.opaques.contains(above)
            || changes.puts.get(above).is_some_and(|node| !node.is_dir())
    };
    changes.opaques.contains(&ImagePath::root()) || path.ancestors().any(|above| hides(&above))
}

/// What the tree below had to do with it.
struct Context(Option<blake3::Hasher>);

impl Context {
    fn bytes(&mut self, bytes: &[u8]) {
        let hash = self.0.get_or_insert_with(blake3::Hasher::new);
        hash.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }

    fn mark(&mut self, kind: u8, path: &ImagePath) {
        self.bytes(&[kind]);
        self.bytes(path.as_bytes());
    }

    fn add(&mut self, kind: u8, path: &ImagePath, meta: &Meta, mtime: i64) {
        self.mark(kind, path);
        self.bytes(&mtime.to_le_bytes());
        self.bytes(
            &[meta.mode.to_le_bytes().as_slice(), &meta.uid.to_le_bytes(), &meta.gid.to_le_bytes()].concat(),
        );
        self.bytes(&(meta.xattrs.len() as u64).to_le_bytes());
        for (name, value) in &meta.xattrs {
            self.bytes(name);
            self.bytes(value);
        }
    }

    /// Something that is linked to, and is no file.
    fn other(&mut self, path: &ImagePath, node: &Node) {
        self.add(b'l', path, &node.meta, node.mtime);
        match &node.kind {
            Kind::Symlink(target) => self.bytes(target),
            kind => self.bytes(format!("{kind:?}").as_bytes()),
        }
    }

    fn finish(self) -> Option<String> {
        self.0.map(|hash| hash.finalize().to_hex()[..32].to_owned())
    }
}
