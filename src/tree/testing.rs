//! Paths and nodes for tests.

use super::{Content, ImagePath, Inode, Kind, Meta, Node};

pub(crate) fn path(text: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::new(text.as_ref()).unwrap()
}

pub(crate) fn node(mode: u16, kind: Kind) -> Node {
    Node::new(Meta::root_owned(mode), kind)
}

pub(crate) fn file(bytes: impl AsRef<[u8]>) -> Node {
    node(0o644, Kind::File { content: Content::from_bytes(bytes.as_ref()), inode: None })
}

pub(crate) fn linked(bytes: &str, inode: Inode) -> Node {
    node(0o644, Kind::File { content: Content::from_bytes(bytes.as_bytes()), inode: Some(inode) })
}

pub(crate) fn symlink(target: &str) -> Node {
    node(0o777, Kind::Symlink(target.as_bytes().into()))
}
