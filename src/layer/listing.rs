//! What is in a tar: every path with its attributes, and where its body is.
//!
//! A listing holds no bytes of files; with a [`Backing`] that does it becomes [`Changes`] or a [`Tree`]. It is
//! small enough to be kept for each layer that was ever read, by diff ID.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entries::{Body, Entry, OPAQUE, WHITEOUT};
use super::tar::Times;
use crate::tree::{Backing, Changes, Content, Fingerprint, ImagePath, Inode, Kind, Meta, Node, Source, Tree};

/// What a tar holds: each path once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing {
    pub(super) items: BTreeMap<ImagePath, Item>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) meta: Meta,
    pub(super) mtime: i64,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum What {
    File(Slice),
    Dir,
    Symlink(Box<[u8]>),
    /// A name of what the archive itself doesn't hold.
    Link(ImagePath),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// The body of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slice {
    /// In the uncompressed tar, with sparse files made dense.
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) fingerprint: [u8; 32],
    /// Names that share it have the same number.
    pub(super) group: Option<u32>,
}

/// Why a listing is no layer or no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    #[error("the whiteout `{0}` names nothing that could be hidden")]
    BadWhiteout(ImagePath),
    #[error("`{path}` is a hard link to `{target}`, which is not in the archive")]
    LinkToNothing { path: ImagePath, target: ImagePath },
    #[error("the archive holds `{0}…`, a longer name than any file system takes")]
    NameTooLong(String),
}

/// Linux's `NAME_MAX`. A whiteout in a layer may be longer, as it never becomes a file.
const NAME_MAX: usize = 255;

impl Listing {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The body of the file of that name, if there is one.
    pub(super) fn file(&self, name: &str) -> Option<Slice> {
        match self.items.get(&ImagePath::new(name.as_bytes()).ok()?)?.what {
            What::File(slice) => Some(slice),
            _ => None,
        }
    }

    /// What a layer with this tar does. Names beginning with `.wh.` are whiteouts (image-spec, layer.md); those
    /// beginning with `.wh..wh.` that are not opaque markers belonged to an old storage driver, and are left out.
    pub fn changes(self, backing: &Arc<dyn Backing>) -> Result<Changes, ListingError> {
        let mut nodes = Nodes::new(backing);
        let mut changes = Changes::default();
        // In order already, so that the map is made at once.
        let mut puts = Vec::with_capacity(self.items.len());
        for (path, item) in self.items {
            match Name::of(&path)? {
                Name::Plain => puts.push((path, nodes.node(item))),
                Name::Whiteout(hidden) => _ = changes.whiteouts.insert(hidden),
                Name::Opaque(folder) => _ = changes.opaques.insert(folder),
                Name::Ignored => {}
            }
        }
        changes.puts = puts.into_iter().collect();
        Ok(changes)
    }

    /// What a program that unpacks archives makes of this tar: `.wh.` is a name like any other.
    pub fn tree(&self, backing: &Arc<dyn Backing>) -> Result<Tree, ListingError> {
        let mut nodes = Nodes::new(backing);
        let node = |(path, item): (&ImagePath, &Item)| match &item.what {
            What::Link(target) => {
                Err(ListingError::LinkToNothing { path: path.clone(), target: target.clone() })
            }
            _ if path.name().len() > NAME_MAX => {
                Err(ListingError::NameTooLong(path.name()[..60].escape_ascii().to_string()))
            }
            _ => Ok((path.clone(), nodes.node(item.clone()))),
        };
        self.items.iter().map(node).collect()
    }
}

/// What the last part of a path in a layer means.
enum Name {
    Plain,
    Whiteout(ImagePath),
    Opaque(ImagePath),
    Ignored,
}

impl Name {
    fn of(path: &ImagePath) -> Result<Self, ListingError> {
        let Some(hidden) = path.name().strip_prefix(WHITEOUT) else { return Ok(Self::Plain) };
        let parent = path.parent().unwrap_or_default();
        if path.name() == OPAQUE {
            return Ok(Self::Opaque(parent));
        }
        if hidden.starts_with(WHITEOUT) {
            return Ok(Self::Ignored);
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ListingError::BadWhiteout(path.clone()));
        }
        let hidden = parent.join_bytes(hidden).expect("a part of a path makes one");
        Ok(Self::Whiteout(hidden))
    }
}

/// Makes nodes of items; names that share a body share a [`Content`] and an [`Inode`].
struct Nodes<'a> {
    backing: &'a Arc<dyn Backing>,
    groups: BTreeMap<u32, (Content, Inode)>,
}

impl<'a> Nodes<'a> {
    fn new(backing: &'a Arc<dyn Backing>) -> Self {
        Self { backing, groups: BTreeMap::new() }
    }

    fn node(&mut self, item: Item) -> Node {
        let kind = match item.what {
            What::File(slice) => self.file(&slice),
            What::Dir => Kind::Dir,
            What::Symlink(target) => Kind::Symlink(target),
            What::Link(target) => Kind::Hardlink(target),
            What::CharDevice(major, minor) => Kind::CharDevice { major, minor },
            What::BlockDevice(major, minor) => Kind::BlockDevice { major, minor },
            What::Fifo => Kind::Fifo,
        };
        Node { meta: item.meta, mtime: item.mtime, kind }
    }

    fn file(&mut self, slice: &Slice) -> Kind {
        let content = || {
            let source = Source::Slice { file: Arc::clone(self.backing), offset: slice.offset };
            Content::with_fingerprint(slice.size, source, Fingerprint(slice.fingerprint))
        };
        match slice.group {
            None => Kind::File { content: content(), inode: None },
            Some(group) => {
                let (content, inode) =
                    self.groups.entry(group).or_insert_with(|| (content(), Inode::fresh())).clone();
                Kind::File { content, inode: Some(inode) }
            }
        }
    }
}

/// Lists what is being written, so that it needn't be read again.
pub(super) struct Lister {
    listing: Listing,
    times: Times,
    groups: u32,
}

impl Lister {
    pub(super) fn new(times: Times) -> Self {
        Self { listing: Listing::default(), times, groups: 0 }
    }

    /// Adds an entry whose body begins at `offset` of the tar, and has been read.
    pub(super) fn add(&mut self, entry: &Entry<'_>, offset: u64) {
        let what = match entry.body {
            Body::File(content) => {
                let fingerprint = content.known_fingerprint().expect("it has been read");
                What::File(Slice { offset, size: content.size(), fingerprint: fingerprint.0, group: None })
            }
            Body::Marker => {
                let fingerprint = *blake3::hash(b"").as_bytes();
                What::File(Slice { offset, size: 0, fingerprint, group: None })
            }
            Body::Dir => What::Dir,
            Body::Symlink(target) => What::Symlink(target.into()),
            Body::Link(target) => self.link(target),
            Body::CharDevice(major, minor) => What::CharDevice(major, minor),
            Body::BlockDevice(major, minor) => What::BlockDevice(major, minor),
            Body::Fifo => What::Fifo,
        };
        let mut meta = entry.meta.clone();
        meta.mode &= 0o7777;
        meta.xattrs.retain(|name, _| super::tar::keeps_xattr(name));
        self.listing.items.insert(entry.path(), Item { meta, mtime: self.times.of(entry), what });
    }

    fn link(&mut self, target: &ImagePath) -> What {
        match self.listing.items.get_mut(target) {
            Some(Item { what: What::File(slice), .. }) => {
                slice.group.get_or_insert_with(|| {
                    self.groups += 1;
                    self.groups
                });
                What::File(*slice)
            }
            _ => What::Link(target.clone()),
        }
    }

    pub(super) fn finish(self) -> Listing {
        self.listing
    }
}
