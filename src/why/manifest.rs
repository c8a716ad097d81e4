//! The files that a step read, and what differs between two such lists.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::FileChange;
use crate::exec::Files;
use crate::tree::{ImagePath, Kind, Meta, Node};

/// The kind under which manifests are remembered. Another meaning of a field is another kind.
pub(super) const KIND: &str = "files-1";

/// Files in the order of their paths in the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest(pub Vec<File>);

/// A file, by what of it a layer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: ImagePath,
    /// Which path of the source it was; an archive's, if it was in one.
    pub source: Option<ImagePath>,
    pub kind: FileKind,
    pub mode: u16,
    pub owner: (u32, u32),
    /// A hash of the content or the link's target.
    pub content: [u8; 32],
    /// A hash of the extended attributes.
    pub xattrs: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    File,
    Dir,
    Symlink,
    Other,
}

impl FileKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Dir => "a folder",
            Self::Symlink => "a link",
            Self::Other => "a special file",
        }
    }
}

impl Manifest {
    /// Of files that were all read; `None` if one wasn't.
    pub(super) fn of(files: &Files<'_>) -> Option<Self> {
        let changes = files.changes.get();
        let file = |(path, node): (&ImagePath, &Node)| {
            let (kind, content) = content(&node.kind)?;
            let Meta { mode, uid, gid, .. } = node.meta;
            let xattrs = xattrs(&node.meta);
            let source = source(files, path);
            Some(File { path: path.clone(), source, kind, mode, owner: (uid, gid), content, xattrs })
        };
        changes.puts.iter().map(file).collect::<Option<Vec<_>>>().map(Self)
    }

    /// What has changed since `old`.
    pub(super) fn since(&self, old: &Self) -> Vec<FileChange> {
        let (mut gone, mut new, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let (mut was, mut is) = (old.0.iter().peekable(), self.0.iter().peekable());
        loop {
            let order = match (was.peek(), is.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(was), Some(is)) => was.path.cmp(&is.path),
            };
            match order {
                std::cmp::Ordering::Less => gone.extend(was.next()),
                std::cmp::Ordering::Greater => new.extend(is.next()),
                std::cmp::Ordering::Equal => {
                    if let (Some(was), Some(is)) = (was.next(), is.next()) {
                        found.extend(is.since(was));
                    }
                }
            }
        }
        found.extend(moved(gone, new));
        found.sort_by(|a, b| a.path().cmp(b.path()));
        found
    }
}

/// A file that is gone and a new one with the same content are one that was renamed. What is in a folder that is gone or
/// new goes without saying.
fn moved(gone: Vec<&File>, new: Vec<&File>) -> Vec<FileChange> {
    let mut found = Vec::new();
    let mut by_content: BTreeMap<[u8; 32], Vec<&File>> = BTreeMap::new();
    let (gone, new) = (without_full_folders(gone), without_full_folders(new));
    for file in gone.into_iter().rev() {
        match file.kind {
            FileKind::File => by_content.entry(file.content).or_default().push(file),
            _ => found.push(FileChange::Removed { path: file.name(), why: None }),
        }
    }
    for file in new {
        let same = by_content.get_mut(&file.content).filter(|_| file.kind == FileKind::File);
        found.push(match same.and_then(Vec::pop) {
            Some(old) => FileChange::Renamed { from: old.name(), to: file.name() },
            None => FileChange::Added(file.name()),
        });
    }
    let left = by_content.into_values().flatten();
    found.extend(left.map(|file| FileChange::Removed { path: file.name(), why: None }));
    found
}

fn without_full_folders(mut files: Vec<&File>) -> Vec<&File> {
    let is_full = |pair: &[&File]| pair[0].kind == FileKind::Dir && pair[1].path.starts_with(&pair[0].path);
    let mut full = files.windows(2).map(is_full).collect::<Vec<_>>().into_iter();
    files.retain(|_| !full.next().unwrap_or(false));
    files
}

impl File {
    /// What people call it: its path in the source, or in the image.
    fn name(&self) -> Name {
        match &self.source {
            Some(source) => Name { path: source.clone(), in_image: false },
            None => Name { path: self.path.clone(), in_image: true },
        }
    }

    fn since(&self, was: &Self) -> Vec<FileChange> {
        let name = self.name();
        if was.kind != self.kind {
            return vec![FileChange::Kind { path: name, was: was.kind, is: self.kind }];
        }
        let mut found = Vec::new();
        if was.content != self.content {
            found.push(match self.kind {
                FileKind::Symlink => FileChange::Target(name.clone()),
                _ => FileChange::Content(name.clone()),
            });
        }
        if was.mode != self.mode {
            found.push(FileChange::Mode { path: name.clone(), was: was.mode, is: self.mode });
        }
        if was.owner != self.owner {
            found.push(FileChange::Owner { path: name.clone(), was: was.owner, is: self.owner });
        }
        if was.xattrs != self.xattrs {
            found.push(FileChange::Attributes(name.clone()));
        }
        if found.is_empty() && was.source != self.source {
            found.push(FileChange::Renamed { from: was.name(), to: name });
        }
        found
    }
}

/// A path, of the source or the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    pub path: ImagePath,
    pub in_image: bool,
}

/// Which path of the tree became that one.
pub(super) fn source(files: &Files<'_>, path: &ImagePath) -> Option<ImagePath> {
    let of = |placed: &crate::exec::copy::Placed| {
        let source = placed.source(path)?;
        (source.is_root() || files.tree.contains(&source)).then_some(source)
    };
    files.placed.iter().rev().find_map(of)
}

/// `None` for a file that nobody has read.
fn content(kind: &Kind) -> Option<(FileKind, [u8; 32])> {
    let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
    Some(match kind {
        Kind::File { content, .. } => {
            let empty = (content.size() == 0).then(|| hash(b""));
            (FileKind::File, empty.or_else(|| Some(content.known_fingerprint()?.0))?)
        }
        Kind::Dir => (FileKind::Dir, [0; 32]),
        Kind::Symlink(target) => (FileKind::Symlink, hash(target)),
        Kind::Hardlink(target) => (FileKind::Other, hash(target.as_bytes())),
        Kind::CharDevice { major, minor } => (FileKind::Other, hash(format!("c {major}:{minor}").as_bytes())),
        Kind::BlockDevice { major, minor } => {
            (FileKind::Other, hash(format!("b {major}:{minor}").as_bytes()))
        }
        Kind::Fifo => (FileKind::Other, [0; 32]),
    })
}

fn xattrs(meta: &Meta) -> u64 {
    if meta.xattrs.is_empty() {
        return 0;
    }
    let bytes = postcard::to_stdvec(&meta.xattrs).expect("lith's own types can be written");
    let hash = blake3::hash(&bytes);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"))
}
