//! One file, folder, link or device.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::{Content, ImagePath};

/// What stands at a path: its attributes and what it is.
#[derive(Debug, Clone)]
pub struct Node {
    pub meta: Meta,
    /// Seconds since 1970, as the archive or file system that it was read from has it. What lith writes has
    /// the epoch instead; base layers keep theirs. It takes no part in comparing nodes.
    pub mtime: i64,
    pub kind: Kind,
}

/// The attributes that an image keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meta {
    /// Permission, set-id and sticky bits: at most `0o7777`.
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Meta {
    /// Owned by root, without extended attributes.
    pub fn root_owned(mode: u16) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// What a node is. A socket is none of these: it can't be in an image.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A regular file. Names with the same [`Inode`] are one file.
    File {
        content: Content,
        inode: Option<Inode>,
    },
    Dir,
    /// The target's bytes, as they are: it may lead anywhere, and is only ever followed inside the image's root.
    Symlink(Box<[u8]>),
    /// Another name of a file of the same or a lower layer. Only [`super::Changes`] that were read from a
    /// layer have it; a [`super::Tree`] never does, as applying them resolves it.
    Hardlink(ImagePath),
    CharDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// The identity of a file that has several names. Unique in the process and of no other meaning, so that it
/// can't reach an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inode(u64);

impl Inode {
    pub fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Kind {
    /// Whether they are the same, where one is no file: what files are is for who compares to say.
    pub(crate) fn is_same_without_content(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dir, Self::Dir) | (Self::Fifo, Self::Fifo) => true,
            (Self::Symlink(a), Self::Symlink(b)) => a == b,
            (Self::CharDevice { major: a, minor: b }, Self::CharDevice { major: c, minor: d })
            | (Self::BlockDevice { major: a, minor: b }, Self::BlockDevice { major: c, minor: d }) => {
                (a, b) == (c, d)
            }
            _ => false,
        }
    }
}

impl Node {
    pub fn new(meta: Meta, kind: Kind) -> Self {
        Self { meta, mtime: 0, kind }
    }

    /// The folder that stands where nothing said otherwise: 0755, owned by root.
    pub fn implicit_dir() -> Self {
        Self::new(Meta::root_owned(0o755), Kind::Dir)
    }

    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir)
    }

    /// The content of a regular file.
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            Kind::File { content, .. } => Some(content),
            _ => None,
        }
    }

    /// The bytes that its body takes.
    pub fn size(&self) -> u64 {
        self.content().map_or(0, Content::size)
    }
}
