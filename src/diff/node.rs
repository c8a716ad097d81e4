//! What stands at one path, and in what it differs from what stands there on the other side.

use std::collections::BTreeSet;

use super::cause::{self, Cause};
use super::report::{Aspect, Both, Facts};
use crate::text::escaped;
use crate::tree::{ImagePath, Kind, Node};

/// What stands at a path of a tree or of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) what: What<'a>,
    /// The first name of the file, if it has several.
    pub(super) first: Option<&'a ImagePath>,
    pub(super) opaque: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    Node(&'a Node),
    Whiteout,
    /// Nothing but that it hides what is below.
    Opaque,
}

impl<'a> Entry<'a> {
    pub(super) fn node(self) -> Option<&'a Node> {
        match self.what {
            What::Node(node) => Some(node),
            What::Whiteout | What::Opaque => None,
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self.what {
            What::Whiteout => "whiteout",
            What::Opaque => "opaque",
            What::Node(node) => match node.kind {
                Kind::File { .. } => "file",
                Kind::Dir => "dir",
                Kind::Symlink(_) => "symlink",
                Kind::Hardlink(_) => "hardlink",
                Kind::CharDevice { .. } => "char",
                Kind::BlockDevice { .. } => "block",
                Kind::Fifo => "fifo",
            },
        }
    }

    pub(super) fn facts(self) -> Facts {
        let (mode, uid, gid) = self.node().map_or((0, 0, 0), |n| (n.meta.mode, n.meta.uid, n.meta.gid));
        let size = self.node().map_or(0, Node::size);
        Facts { kind: self.kind(), mode: octal(mode), uid, gid, size, target: target(self) }
    }
}

fn octal(mode: u16) -> String {
    format!("{mode:04o}")
}

fn target(entry: Entry<'_>) -> Option<String> {
    match &entry.node()?.kind {
        Kind::Symlink(target) => Some(escaped(&String::from_utf8_lossy(target))),
        Kind::Hardlink(target) => Some(target.display()),
        _ => None,
    }
}

fn device(node: &Node) -> Option<String> {
    match node.kind {
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            Some(format!("{major}:{minor}"))
        }
        _ => None,
    }
}

/// All in which two entries differ but their contents, and what may have caused it.
pub(super) fn aspects(a: Entry<'_>, b: Entry<'_>, times: bool) -> (Vec<Aspect>, BTreeSet<Cause>) {
    let (mut found, mut causes) = (Vec::new(), BTreeSet::new());
    if a.kind() != b.kind() {
        found.push(Aspect::Type(Both::new(a.kind(), b.kind())));
    }
    if a.opaque != b.opaque {
        found.push(Aspect::Opaque(Both::new(a.opaque, b.opaque)));
    }
    let (Some(old), Some(new)) = (a.node(), b.node()) else { return (found, causes) };
    let (before, after) = (&old.meta, &new.meta);
    if before.mode != after.mode {
        found.push(Aspect::Mode(Both::new(octal(before.mode), octal(after.mode))));
        causes.extend(cause::of_modes(before.mode, after.mode));
    }
    if (before.uid, before.gid) != (after.uid, after.gid) {
        let owner = |node: &Node| format!("{}:{}", node.meta.uid, node.meta.gid);
        found.push(Aspect::Owner(Both::new(owner(old), owner(new))));
    }
    if times && old.mtime != new.mtime {
        found.push(Aspect::Time(Both::new(old.mtime, new.mtime)));
    }
    if let (Some(from), Some(to)) = (target(a), target(b))
        && from != to
    {
        causes.extend(cause::of_words(from.as_bytes(), to.as_bytes()));
        found.push(Aspect::Target(Both::new(from, to)));
    }
    if a.first != b.first && a.kind() == b.kind() {
        let name = |entry: Entry<'_>| entry.first.map(ImagePath::display);
        found.push(Aspect::HardLink(Both::new(name(a), name(b))));
    }
    if let (Some(from), Some(to)) = (device(old), device(new))
        && from != to
    {
        found.push(Aspect::Device(Both::new(from, to)));
    }
    found.extend(xattrs(old, new));
    (found, causes)
}

/// Adds a clock to the causes of what differs in its time: not where it differs in more, of which nothing is known, as the
/// time would then seem to explain it.
pub(super) fn blame_clock(aspects: &[Aspect], is_moved: bool, causes: &mut BTreeSet<Cause>) {
    let is_time = |aspect: &Aspect| matches!(aspect, Aspect::Time(_));
    let alone = !is_moved && aspects.iter().all(is_time);
    if aspects.iter().any(is_time) && (alone || !causes.is_empty()) {
        causes.insert(Cause::Timestamp);
    }
}

/// As many bytes of a value as anyone looks at.
const MAX_XATTR: usize = 64;

fn xattrs(a: &Node, b: &Node) -> Vec<Aspect> {
    let (a, b) = (&a.meta.xattrs, &b.meta.xattrs);
    let names: BTreeSet<&Vec<u8>> = a.keys().chain(b.keys()).collect();
    let value = |value: Option<&Vec<u8>>| value.map(|value| hex(&value[..value.len().min(MAX_XATTR)]));
    let aspect = |name: &Vec<u8>| Aspect::Xattr {
        name: escaped(&String::from_utf8_lossy(name)),
        a: value(a.get(name)),
        b: value(b.get(name)),
    };
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).map(aspect).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
