//! Small trees written down and read back, one path a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(in crate::exec) use crate::tree::testing::path;
use crate::tree::{Changes, Content, ImagePath, Inode, Kind, Meta, Node, Source, Tree};

/// Reads a tree: `file`, `folder/`, `link -> target`, `file = content`; before the arrow or equals sign, after
/// the name, in any order, an octal mode, `uid:gid`, `@inode`, `+xattr`, `fifo`, `null` (the device).
pub(in crate::exec) fn tree(text: &str) -> Tree {
    let mut inodes = BTreeMap::new();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| node(line, &mut inodes)).collect()
}

fn node(line: &str, inodes: &mut BTreeMap<String, Inode>) -> (ImagePath, Node) {
    let (head, content) = line.split_once(" = ").unwrap_or((line, ""));
    let (head, target) = head.split_once(" -> ").map_or((head, None), |(head, target)| (head, Some(target)));
    let mut words = head.split_whitespace();
    let name = words.next().unwrap();
    let content = Content::from_bytes(content.replace("\\n", "\n").as_bytes());
    let (mode, kind) = match target {
        Some(target) => (0o777, Kind::Symlink(target.as_bytes().into())),
        None if name.ends_with('/') => (0o755, Kind::Dir),
        None => (0o644, Kind::File { content, inode: None }),
    };
    let mut node = Node::new(Meta::root_owned(mode), kind);
    for word in words {
        match (word, word.split_once(':'), &mut node.kind) {
            ("fifo", _, kind) => *kind = Kind::Fifo,
            ("null", _, kind) => *kind = Kind::CharDevice { major: 1, minor: 3 },
            (_, Some((uid, gid)), _) => {
                (node.meta.uid, node.meta.gid) = (uid.parse().unwrap(), gid.parse().unwrap());
            }
            (_, _, Kind::File { inode, .. }) if word.starts_with('@') => {
                *inode = Some(*inodes.entry(word.to_owned()).or_insert_with(Inode::fresh));
            }
            _ => match word.strip_prefix('+') {
                Some(name) => {
                    node.meta.xattrs.insert(name.into(), b"value".to_vec());
                }
                None => node.meta.mode = u16::from_str_radix(word, 8).unwrap(),
            },
        }
    }
    (path(name), node)
}

/// Writes what changed, in nearly the same words.
pub(in crate::exec) fn listing(changes: &Changes) -> String {
    let mut out = String::new();
    for (path, node) in &changes.puts {
        let slash = if node.is_dir() && !path.is_root() { "/" } else { "" };
        write!(out, "{}{slash} {:o}", path.display(), node.meta.mode).unwrap();
        write_attributes(&mut out, changes, node);
        if changes.opaques.contains(path) {
            out.push_str(" opaque");
        }
        match &node.kind {
            Kind::Symlink(target) => write!(out, " -> {}", String::from_utf8_lossy(target)).unwrap(),
            Kind::File { content, .. } => write_content(&mut out, content),
            Kind::CharDevice { major, minor } => write!(out, " char {major}:{minor}").unwrap(),
            Kind::Fifo => out.push_str(" fifo"),
            Kind::Dir | Kind::Hardlink(_) | Kind::BlockDevice { .. } => {}
        }
        out.push('\n');
    }
    for path in &changes.whiteouts {
        writeln!(out, "- {}", path.display()).unwrap();
    }
    out
}

fn write_attributes(out: &mut String, changes: &Changes, node: &Node) {
    let Meta { uid, gid, xattrs, .. } = &node.meta;
    if (*uid, *gid) != (0, 0) {
        write!(out, " {uid}:{gid}").unwrap();
    }
    for name in xattrs.keys() {
        write!(out, " +{}", String::from_utf8_lossy(name)).unwrap();
    }
    let same = |other: &Node| inode(other).is_some() && inode(other) == inode(node);
    let mut names = changes.puts.iter().filter(|(_, other)| same(other)).map(|(path, _)| path);
    if let (Some(first), Some(_)) = (names.next(), names.next()) {
        write!(out, " @{first}").unwrap();
    }
}

fn inode(node: &Node) -> Option<Inode> {
    match node.kind {
        Kind::File { inode, .. } => inode,
        _ => None,
    }
}

fn write_content(out: &mut String, content: &Content) {
    match content.source() {
        Source::Bytes(bytes) if bytes.is_empty() => {}
        Source::Bytes(bytes) => write!(out, " `{}`", String::from_utf8_lossy(bytes).trim_end()).unwrap(),
        _ => panic!("trees of these tests are in memory"),
    }
}
