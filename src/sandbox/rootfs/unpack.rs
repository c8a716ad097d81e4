//! Changes → a folder in overlayfs's format.
//!
//! Whiteouts are character devices 0:0, opaque folders have an attribute. Everything is made new, below the
//! descriptor of the folder that holds it: what is in the way is an error, and no link is followed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::RootfsError;
use super::beneath::{self, FOLDER, Folders, name, parent};
use super::disk::{Disk, Marks, OPAQUE, WHITEOUT, can_have, keeps};
use super::notes::{Lost, Notes};
use crate::tree::{Changes, Content, ContentError, ImagePath, Inode, Kind, Node, Source};

/// Writes changes, best [completed](super::complete), into a folder that is new and empty, with the times that the
/// nodes have. Folders without an entry are 0755, of root, with the time zero.
pub fn unpack(changes: &Changes, folder: &Path, disk: Disk) -> Result<Notes, RootfsError> {
    let root = beneath::open_root(folder).map_err(RootfsError::io("opening", &ImagePath::root()))?;
    let mut writer = Writer {
        folders: Folders::new(root),
        disk,
        inodes: BTreeMap::new(),
        made: BTreeMap::from([(ImagePath::root(), None)]),
        notes: Notes::default(),
    };
    let mut opaques: BTreeSet<&ImagePath> = changes.opaques.iter().collect();
    for (path, node) in &changes.puts {
        writer.put(path, node).map_err(|failure| failure.at(path, node))?;
    }
    for path in &changes.whiteouts {
        if !writer.whiteout(changes, path).map_err(RootfsError::io("hiding", path))? {
            opaques.insert(path);
        }
    }
    for path in &opaques {
        writer.enter(path).map_err(RootfsError::io("hiding what is in", path))?;
    }
    writer.finish(&opaques)
}

struct Writer<'a> {
    folders: Folders,
    disk: Disk,
    /// The first name of each file that has several.
    inodes: BTreeMap<Inode, &'a ImagePath>,
    /// The folders, with their nodes where they have any. Their attributes are set when all is in them: modes may
    /// forbid writing, and writing changes times.
    made: BTreeMap<ImagePath, Option<&'a Node>>,
    notes: Notes,
}

enum Failure {
    Io(&'static str, io::Error),
    /// The owner can't be set.
    Owner,
    Content(ContentError),
}

impl Failure {
    fn at(self, path: &ImagePath, node: &Node) -> RootfsError {
        match self {
            Self::Io(doing, error) => RootfsError::io(doing, path)(error),
            Self::Owner => RootfsError::Owner { path: path.clone(), uid: node.meta.uid, gid: node.meta.gid },
            Self::Content(error) => error.into(),
        }
    }
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io("writing", error)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Io("writing", error.into())
    }
}

impl<'a> Writer<'a> {
    fn put(&mut self, path: &'a ImagePath, node: &'a Node) -> Result<(), Failure> {
        match &node.kind {
            Kind::Dir => {
                self.enter(path)?;
                self.made.insert(path.clone(), Some(node));
                Ok(())
            }
            // A root that is no folder says nothing.
            _ if path.is_root() => Ok(()),
            Kind::File { content, inode } => self.file(path, node, content, *inode),
            Kind::Hardlink(target) => self.link(path, target),
            Kind::Symlink(target) => {
                let parent = self.enter(&parent(path))?;
                rustix::fs::symlinkat(OsStr::from_bytes(target), parent, name(path))?;
                self.special(path, node)
            }
            Kind::Fifo => self.make(path, node, FileType::Fifo, 0),
            Kind::CharDevice { major: 0, minor: 0 } => {
                self.notes.add(Lost::WhiteoutDevice, path);
                Ok(())
            }
            Kind::CharDevice { major, minor } => {
                self.make(path, node, FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Kind::BlockDevice { major, minor } => {
                self.make(path, node, FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
            }
        }
    }

    /// The folder at `path`, made where it isn't there.
    fn enter(&mut self, path: &ImagePath) -> io::Result<&OwnedFd> {
        if !self.made.contains_key(path) {
            for folder in path.ancestors().chain([path.clone()]) {
                if !self.made.contains_key(&folder) {
                    let above = self.folders.get(&parent(&folder))?;
                    rustix::fs::mkdirat(above, name(&folder), Mode::from_raw_mode(0o700))?;
                    self.made.insert(folder, None);
                }
            }
        }
        self.folders.get(path)
    }

    fn file(
        &mut self,
        path: &'a ImagePath,
        node: &Node,
        content: &Content,
        inode: Option<Inode>,
    ) -> Result<(), Failure> {
        if let Some(first) = inode.and_then(|inode| self.inodes.get(&inode).copied()) {
            return self.link(path, first);
        }
        let parent = self.enter(&parent(path))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name(path), flags, Mode::from_raw_mode(0o600))?;
        let mut file = File::from(file);
        fill(&mut file, content)?;
        self.attributes(&file, path, node)?;
        if let Some(inode) = inode {
            self.inodes.insert(inode, path);
        }
        Ok(())
    }

    fn link(&mut self, path: &ImagePath, first: &ImagePath) -> Result<(), Failure> {
        let of_first = beneath::open(self.folders.root(), &parent(first), OFlags::PATH | OFlags::DIRECTORY)?;
        let parent = self.enter(&parent(path))?;
        Ok(rustix::fs::linkat(&of_first, name(first), parent, name(path), AtFlags::empty())?)
    }

    fn make(&mut self, path: &ImagePath, node: &Node, kind: FileType, device: u64) -> Result<(), Failure> {
        let parent = self.enter(&parent(path))?;
        match rustix::fs::mknodat(parent, name(path), kind, Mode::from_raw_mode(0o600), device) {
            Err(Errno::PERM) if kind != FileType::Fifo => {
                self.notes.add(Lost::Device, path);
                Ok(())
            }
            made => {
                made?;
                self.special(path, node)
            }
        }
    }

    /// The attributes of what can't be opened: links, devices and FIFOs.
    fn special(&mut self, path: &ImagePath, node: &Node) -> Result<(), Failure> {
        let owner = self.disk.owner(node.meta.uid, node.meta.gid);
        let parent = self.folders.get(&parent(path))?;
        let file = beneath::open(parent, &last(path), OFlags::PATH)?;
        if let Some((uid, gid)) = owner {
            let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
            owned(rustix::fs::chownat(&file, "", Some(uid), Some(gid), flags))?;
        }
        if !matches!(node.kind, Kind::Symlink(_)) {
            let mode = Mode::from_raw_mode(node.meta.mode.into());
            rustix::fs::chmod(beneath::by_descriptor(&file), mode)?;
        }
        let times = beneath::modified(node.mtime);
        rustix::fs::utimensat(parent, name(path), &times, AtFlags::SYMLINK_NOFOLLOW)?;
        if node.meta.xattrs.keys().any(|key| keeps(key)) {
            self.notes.add(Lost::Xattr, path);
        }
        Ok(())
    }

    /// Owner first, as a change of owner clears the set-id bits and capabilities; mode after the attributes, as it
    /// may forbid them.
    fn attributes(&mut self, file: impl AsFd, path: &ImagePath, node: &Node) -> Result<(), Failure> {
        if let Some((uid, gid)) = self.disk.owner(node.meta.uid, node.meta.gid) {
            owned(rustix::fs::fchown(&file, Some(uid), Some(gid)))?;
        }
        for (key, value) in &node.meta.xattrs {
            if !can_have(&node.kind, key) {
                continue;
            }
            match rustix::fs::fsetxattr(&file, OsStr::from_bytes(key), value, XattrFlags::empty()) {
                Ok(()) => {}
                Err(
                    Errno::PERM | Errno::NOTSUP | Errno::NOSPC | Errno::INVAL | Errno::RANGE | Errno::TOOBIG,
                ) => {
                    self.notes.add(Lost::Xattr, path);
                }
                Err(error) => return Err(Failure::Io("setting attributes of", error.into())),
            }
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(node.meta.mode.into()))?;
        Ok(rustix::fs::futimens(&file, &beneath::modified(node.mtime))?)
    }

    /// Hides a path; `false` if it has to be an opaque folder, as there is one.
    fn whiteout(&mut self, changes: &Changes, path: &ImagePath) -> io::Result<bool> {
        match changes.puts.get(path) {
            Some(node) if node.is_dir() => return Ok(false),
            Some(_) => return Ok(true),
            None if self.made.contains_key(path) => return Ok(false),
            None => {}
        }
        let marks = self.disk.marks;
        let folder = self.enter(&parent(path))?;
        match marks {
            Marks::Files => mark(folder, &[WHITEOUT.as_bytes(), path.name()].concat())?,
            Marks::Trusted | Marks::User => make_whiteout(folder, name(path))?,
        }
        Ok(true)
    }

    /// Sets the folders' attributes, the deepest first.
    fn finish(mut self, opaques: &BTreeSet<&ImagePath>) -> Result<Notes, RootfsError> {
        let implicit = Node::implicit_dir();
        for (path, node) in std::mem::take(&mut self.made).iter().rev() {
            let node = node.unwrap_or(&implicit);
            let fd = beneath::open(self.folders.root(), path, FOLDER);
            let fd = fd.map_err(RootfsError::io("opening", path))?;
            if opaques.contains(path) {
                let hidden = match self.disk.marks {
                    Marks::Files => mark(&fd, OPAQUE.as_bytes()),
                    Marks::Trusted | Marks::User => {
                        let key = self.disk.mark("opaque");
                        rustix::fs::fsetxattr(&fd, key, b"y", XattrFlags::empty()).map_err(io::Error::from)
                    }
                };
                hidden.map_err(RootfsError::io("hiding what is in", path))?;
            }
            self.attributes(&fd, path, node).map_err(|failure| failure.at(path, node))?;
        }
        Ok(self.notes)
    }
}

/// [`Marks::Files`]
fn mark(folder: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o644);
    Ok(rustix::fs::mknodat(folder, OsStr::from_bytes(name), FileType::RegularFile, mode, 0)?)
}

/// overlayfs's whiteout: since Linux 5.8 any user may make one.
pub(super) fn make_whiteout(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let mode = Mode::empty();
    Ok(rustix::fs::mknodat(folder, name, FileType::CharacterDevice, mode, rustix::fs::makedev(0, 0))?)
}

fn last(path: &ImagePath) -> ImagePath {
    ImagePath::new(path.name()).expect("a part of a path is one")
}

/// Not allowed, or no such id in this user namespace.
fn owned(result: rustix::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(Errno::PERM | Errno::INVAL | Errno::OVERFLOW) => Err(Failure::Owner),
        result => Ok(result?),
    }
}

/// Writes a content into a new file. What stands in another file is copied by the kernel, which may share the
/// blocks.
fn fill(file: &mut File, content: &Content) -> Result<(), Failure> {
    if let Source::Slice { file: source, offset } = content.source() {
        // Not worth a second open file where it can't be had: reading tells why.
        if let Ok(source) = source.file()
            && copy(&source, *offset, file, content.size())?
        {
            return Ok(());
        }
    }
    content.read_with(|piece| file.write_all(piece).map_err(Failure::from))
}

/// Whether the kernel copied all of it. What it has copied before it gave up is taken back.
fn copy(from: &File, mut offset: u64, to: &File, size: u64) -> io::Result<bool> {
    let mut left = size;
    while left > 0 {
        let n = usize::try_from(left.min(1 << 30)).expect("at most a gigabyte");
        match rustix::fs::copy_file_range(from, Some(&mut offset), to, None, n) {
            Err(Errno::INTR) => {}
            // The source is on another file system, or of a kind that can't; or it has become shorter.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) | Ok(0) => {
                to.set_len(0)?;
                rustix::fs::seek(to, rustix::fs::SeekFrom::Start(0))?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
            Ok(copied) => left -= copied as u64,
        }
    }
    Ok(true)
}
