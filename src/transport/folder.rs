//! `-o type=local`: a root file system as files in a folder.
//!
//! Every path is walked part by part from the destination, and no link is ever followed, whatever is in the image
//! or has been in the folder before. What is in the folder and not in the image stays. What only root may do is
//! left out where it isn't allowed, and told.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::TransportError;
use crate::oci::Platform;
use crate::tree::{Content, ImagePath, Inode, Kind, Meta, Node, Tree};

/// What could not be kept, of how many paths, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    Owners { count: usize, first: ImagePath },
    SetId { count: usize, first: ImagePath },
    Xattrs { count: usize, first: ImagePath },
    Devices { count: usize, first: ImagePath },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, count, first) = match self {
            Self::Owners { count, first } => ("owner was not kept", count, first),
            Self::SetId { count, first } => ("set-id bits were not kept, as the owner wasn't", count, first),
            Self::Xattrs { count, first } => ("extended attributes were not kept", count, first),
            Self::Devices { count, first } => ("device was left out", count, first),
        };
        write!(f, "{what}: `{}`", first.display())?;
        if *count > 1 { write!(f, " and {} more", count - 1) } else { Ok(()) }
    }
}

/// The folder of one of several platforms, as buildx calls it: `linux_arm64`, `linux_arm_v7`.
pub fn folder_name(platform: &Platform) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    platform.to_string().chars().map(safe).collect()
}

/// The trees of several platforms as one: each in a folder of its own, or over each other, the last on top.
pub fn joined<'a>(trees: impl IntoIterator<Item = (&'a Platform, &'a Tree)>, own_folders: bool) -> Tree {
    let nodes = trees.into_iter().flat_map(|(platform, tree)| {
        let folder = if own_folders {
            ImagePath::new(folder_name(platform).as_bytes()).expect("letters, digits, `_`, `.` and `-`")
        } else {
            ImagePath::root()
        };
        let top = (!folder.is_root()).then(|| (folder.clone(), Node::implicit_dir()));
        top.into_iter().chain(tree.iter().map(move |(path, node)| (folder.join(path), node.clone())))
    });
    nodes.collect()
}

/// Writes `tree` into `folder`, which is made if it isn't there, with the times that the nodes have.
pub fn write_folder(tree: &Tree, folder: &Path) -> Result<Vec<Warning>, TransportError> {
    std::fs::create_dir_all(folder).map_err(TransportError::io("making", folder))?;
    let root = rustix::fs::open(folder, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty());
    let root = root.map_err(|error| TransportError::io("opening", folder)(error.into()))?;
    let mut writer = Writer {
        current: None,
        root,
        folder,
        inodes: BTreeMap::new(),
        folders: BTreeMap::new(),
        lost: BTreeMap::new(),
    };
    for (path, node) in tree.iter().filter(|(path, _)| !path.is_root()) {
        writer.put(path, node)?;
    }
    writer.finish()
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

struct Writer<'a> {
    root: OwnedFd,
    folder: &'a Path,
    /// The folder that was last written into.
    current: Option<(ImagePath, OwnedFd)>,
    /// The first name of each file that has several.
    inodes: BTreeMap<Inode, ImagePath>,
    /// Their attributes are set when all is in them: modes may forbid writing, and writing changes times.
    folders: BTreeMap<ImagePath, Node>,
    lost: BTreeMap<Lost, (usize, ImagePath)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    Owner,
    SetId,
    Xattrs,
    Device,
}

impl Writer<'_> {
    fn put(&mut self, path: &ImagePath, node: &Node) -> Result<(), TransportError> {
        let shown = self.shown(path);
        let failed = || TransportError::io("writing", &shown);
        match &node.kind {
            Kind::Dir => {
                self.enter(path).map_err(failed())?;
                self.folders.insert(path.clone(), node.clone());
                return Ok(());
            }
            Kind::File { content, inode } => return self.file(path, node, content, *inode),
            _ => {}
        }
        let parent = self.enter(&parent(path)).map_err(failed())?;
        self.clear(&parent, path).map_err(failed())?;
        let name = name(path);
        let made = match &node.kind {
            Kind::Symlink(target) => rustix::fs::symlinkat(OsStr::from_bytes(target), &parent, name),
            Kind::Fifo => mknod(&parent, name, FileType::Fifo, 0),
            Kind::CharDevice { major, minor } => {
                mknod(&parent, name, FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Kind::BlockDevice { major, minor } => {
                mknod(&parent, name, FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
            }
            Kind::Hardlink(target) => {
                let target = target.clone();
                return self.link(&parent, path, &target).map_err(failed());
            }
            Kind::Dir | Kind::File { .. } => unreachable!("handled above"),
        };
        match made {
            Err(Errno::PERM) => self.lose(Lost::Device, path),
            Err(error) => return Err(failed()(error.into())),
            Ok(()) => self.attributes_by_name(&parent, path, node).map_err(failed())?,
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &ImagePath,
        node: &Node,
        content: &Content,
        inode: Option<Inode>,
    ) -> Result<(), TransportError> {
        let shown = self.shown(path);
        let failed = || TransportError::io("writing", &shown);
        let parent = self.enter(&parent(path)).map_err(failed())?;
        self.clear(&parent, path).map_err(failed())?;
        if let Some(first) = inode.and_then(|inode| self.inodes.get(&inode).cloned()) {
            return self.link(&parent, path, &first).map_err(failed());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name(path), flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(file.map_err(|error| failed()(error.into()))?);
        content.read_with(|piece| file.write_all(piece).map_err(failed()))?;
        self.attributes(&file, path, node).map_err(failed())?;
        if let Some(inode) = inode {
            self.inodes.insert(inode, path.clone());
        }
        Ok(())
    }

    fn link(&mut self, parent: &OwnedFd, path: &ImagePath, first: &ImagePath) -> io::Result<()> {
        let of_first = self.walk(&self::parent(first), self.root.try_clone()?, first.parts())?;
        Ok(rustix::fs::linkat(&of_first, name(first), parent, name(path), AtFlags::empty())?)
    }

    /// The folder at `path`, made where it isn't there. What stands in its way and is no folder goes.
    fn enter(&mut self, path: &ImagePath) -> io::Result<OwnedFd> {
        let (base, start) = match self.current.take() {
            Some((current, fd)) if path.starts_with(&current) => (current, fd),
            _ => (ImagePath::root(), self.root.try_clone()?),
        };
        let rest = path.strip_prefix(&base).expect("it starts with it");
        let fd = self.make(base, start, &rest)?;
        self.current = Some((path.clone(), fd.try_clone()?));
        Ok(fd)
    }

    fn make(&mut self, mut at: ImagePath, mut fd: OwnedFd, rest: &ImagePath) -> io::Result<OwnedFd> {
        for part in rest.parts() {
            at = at.join_bytes(part).expect("a part of a path");
            let name = OsStr::from_bytes(part);
            fd = match rustix::fs::openat(&fd, name, DIRECTORY, Mode::empty()) {
                Ok(found) => found,
                Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => {
                    if error != Errno::NOENT {
                        rustix::fs::unlinkat(&fd, name, AtFlags::empty())?;
                    }
                    rustix::fs::mkdirat(&fd, name, Mode::from_raw_mode(0o700))?;
                    rustix::fs::openat(&fd, name, DIRECTORY, Mode::empty())?
                }
                Err(error) => return Err(error.into()),
            };
            if !self.folders.contains_key(&at) {
                // Until the end it must be one that we can write into.
                rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o700))?;
                self.folders.insert(at.clone(), Node::implicit_dir());
            }
        }
        Ok(fd)
    }

    /// The folder at `path`, which is there.
    fn walk<'a>(
        &self,
        path: &ImagePath,
        mut fd: OwnedFd,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<OwnedFd> {
        for part in parts.take(path.parts().count()) {
            fd = rustix::fs::openat(&fd, OsStr::from_bytes(part), DIRECTORY, Mode::empty())?;
        }
        Ok(fd)
    }

    /// Removes what stands at `path`.
    fn clear(&self, parent: &OwnedFd, path: &ImagePath) -> io::Result<()> {
        match rustix::fs::unlinkat(parent, name(path), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => std::fs::remove_dir_all(self.shown(path)),
            Err(error) => Err(error.into()),
        }
    }

    /// Owner before mode, as a change of owner clears the set-id bits.
    fn attributes(&mut self, file: impl AsFd, path: &ImagePath, node: &Node) -> io::Result<()> {
        let Meta { mode, uid, gid, xattrs } = &node.meta;
        let owned = rustix::fs::fchown(&file, Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)));
        let mode = self.mode(path, *mode, owned)?;
        for (key, value) in xattrs {
            if rustix::fs::fsetxattr(&file, OsStr::from_bytes(key), value, XattrFlags::empty()).is_err() {
                self.lose(Lost::Xattrs, path);
            }
        }
        rustix::fs::fchmod(&file, mode)?;
        Ok(rustix::fs::futimens(&file, &times(node))?)
    }

    /// For what can't be opened: links, devices and FIFOs. They stand where they were just made.
    fn attributes_by_name(&mut self, parent: &OwnedFd, path: &ImagePath, node: &Node) -> io::Result<()> {
        let Meta { mode, uid, gid, xattrs } = &node.meta;
        let (uid, gid) = (Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)));
        let owned = rustix::fs::chownat(parent, name(path), uid, gid, AtFlags::SYMLINK_NOFOLLOW);
        let mode = self.mode(path, *mode, owned)?;
        if !xattrs.is_empty() {
            self.lose(Lost::Xattrs, path);
        }
        if !matches!(node.kind, Kind::Symlink(_)) {
            rustix::fs::chmodat(parent, name(path), mode, AtFlags::empty())?;
        }
        Ok(rustix::fs::utimensat(parent, name(path), &times(node), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// The mode to set. A set-id bit of another owner than the image's would give away the wrong rights.
    fn mode(&mut self, path: &ImagePath, mode: u16, owned: rustix::io::Result<()>) -> io::Result<Mode> {
        let mut mode = u32::from(mode);
        match owned {
            Ok(()) => {}
            // Not allowed, or no such owner in this user namespace.
            Err(Errno::PERM | Errno::INVAL) => {
                self.lose(Lost::Owner, path);
                if mode & 0o6000 != 0 {
                    self.lose(Lost::SetId, path);
                }
                mode &= 0o1777;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Mode::from_raw_mode(mode))
    }

    fn lose(&mut self, what: Lost, path: &ImagePath) {
        self.lost.entry(what).or_insert_with(|| (0, path.clone())).0 += 1;
    }

    fn shown(&self, path: &ImagePath) -> PathBuf {
        self.folder.join(OsStr::from_bytes(path.as_bytes()))
    }

    /// Sets the folders' attributes, the deepest first.
    fn finish(mut self) -> Result<Vec<Warning>, TransportError> {
        for (path, node) in std::mem::take(&mut self.folders).iter().rev() {
            let fd = self.root.try_clone().and_then(|root| self.walk(path, root, path.parts()));
            let result = fd.and_then(|fd| self.attributes(&fd, path, node));
            result.map_err(TransportError::io("writing", &self.shown(path)))?;
        }
        let warning = |(lost, (count, first))| match lost {
            Lost::Owner => Warning::Owners { count, first },
            Lost::SetId => Warning::SetId { count, first },
            Lost::Xattrs => Warning::Xattrs { count, first },
            Lost::Device => Warning::Devices { count, first },
        };
        Ok(self.lost.into_iter().map(warning).collect())
    }
}

fn mknod(parent: &OwnedFd, name: &OsStr, kind: FileType, device: u64) -> rustix::io::Result<()> {
    let parent: BorrowedFd<'_> = parent.as_fd();
    rustix::fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device)
}

fn parent(path: &ImagePath) -> ImagePath {
    path.parent().unwrap_or_default()
}

fn name(path: &ImagePath) -> &OsStr {
    OsStr::from_bytes(path.name())
}

fn times(node: &Node) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        last_modification: Timespec { tv_sec: node.mtime, tv_nsec: 0 },
    }
}

#[cfg(test)]
mod tests;
