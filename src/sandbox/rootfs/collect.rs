//! An upper folder after a step, as changes: all that is in it, whether it is new or not.
//!
//! While it is read, the folder is made what [`unpack`](super::unpack) writes: times become the epoch, sockets and
//! overlayfs's own attributes go. So it is read once, when nothing is mounted on it any more.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, Statx, StatxFlags};

use super::RootfsError;
use super::beneath::{self, FOLDER};
use super::disk::{Disk, Marks, OPAQUE, WHITEOUT, keeps};
use super::unpack::make_whiteout;
use crate::oci::Epoch;
use crate::tree::{Backing, Changes, Content, ImagePath, Inode, Kind, Meta, Node, Source};

/// Reads an upper folder. Contents are read where they lie, later; they stay good when the folder is renamed.
pub fn collect(upper: &Path, disk: Disk, epoch: Epoch) -> Result<Changes, RootfsError> {
    let root = beneath::open_root(upper).map_err(RootfsError::io("opening", &ImagePath::root()))?;
    let epoch = epoch.mtime();
    let mut walk = Walk::new(root, disk, Some(epoch));
    walk.run()?;
    Ok(walk.changes)
}

/// Reads a folder and leaves it as it is.
pub(super) fn look(folder: &Path, disk: Disk) -> Result<Changes, RootfsError> {
    let root = beneath::open_root(folder).map_err(RootfsError::io("opening", &ImagePath::root()))?;
    let mut walk = Walk::new(root, disk, None);
    walk.run()?;
    Ok(walk.changes)
}

struct Walk {
    root: Arc<OwnedFd>,
    disk: Disk,
    /// The time to give to everything; `None` to leave all as it is.
    epoch: Option<i64>,
    changes: Changes,
    /// Files with several names, by their number on the disk.
    inodes: BTreeMap<(u32, u32, u64), Node>,
    /// Folders to be read.
    todo: Vec<ImagePath>,
}

impl Walk {
    fn new(root: OwnedFd, disk: Disk, epoch: Option<i64>) -> Self {
        Self {
            root: Arc::new(root),
            disk,
            epoch,
            changes: Changes::default(),
            inodes: BTreeMap::new(),
            todo: vec![ImagePath::root()],
        }
    }

    fn run(&mut self) -> Result<(), RootfsError> {
        while let Some(path) = self.todo.pop() {
            let folder =
                beneath::open(&self.root, &path, FOLDER).map_err(RootfsError::io("opening", &path))?;
            if path.is_root() {
                self.entry(&folder, OsStr::new("."), &path)?;
            }
            for name in beneath::names(&folder).map_err(RootfsError::io("reading", &path))? {
                self.entry(&folder, &name, &path.join_bytes(name.as_encoded_bytes())?)?;
            }
            self.date(&folder, OsStr::new(".")).map_err(RootfsError::io("dating", &path))?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &OsStr, path: &ImagePath) -> Result<(), RootfsError> {
        let reading = || RootfsError::io("reading", path);
        if self.disk.marks == Marks::Files && self.is_mark(name, path)? {
            return Ok(());
        }
        let mask = StatxFlags::BASIC_STATS;
        let seen = rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, mask);
        let seen = seen.map_err(|error| reading()(error.into()))?;
        let kind = FileType::from_raw_mode(seen.stx_mode.into());
        let is_device_zero = (seen.stx_rdev_major, seen.stx_rdev_minor) == (0, 0);
        match kind {
            FileType::CharacterDevice if is_device_zero => {
                self.changes.whiteouts.insert(path.clone());
                return Ok(());
            }
            FileType::Socket | FileType::Unknown => {
                return self.drop_socket(folder, name).map_err(reading());
            }
            _ => {}
        }
        let marks = self.marks(folder, name, path)?;
        if kind == FileType::RegularFile && marks.whiteout {
            self.changes.whiteouts.insert(path.clone());
            return self.as_device(folder, name).map_err(reading());
        }
        if kind == FileType::Directory {
            if marks.opaque {
                self.changes.opaques.insert(path.clone());
            }
            if !path.is_root() {
                self.todo.push(path.clone());
            }
        }
        let node = self.node(folder, name, path, kind, &seen, marks.kept).map_err(reading())?;
        self.changes.puts.insert(path.clone(), node);
        Ok(())
    }

    /// Reads a name of [`Marks::Files`], if it is one.
    fn is_mark(&mut self, name: &OsStr, path: &ImagePath) -> Result<bool, RootfsError> {
        let folder = path.parent().unwrap_or_default();
        if name == OPAQUE {
            self.changes.opaques.insert(folder);
        } else if let Some(hidden) = name.as_encoded_bytes().strip_prefix(WHITEOUT.as_bytes()) {
            self.changes.whiteouts.insert(folder.join_bytes(hidden)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn node(
        &mut self,
        folder: &OwnedFd,
        name: &OsStr,
        path: &ImagePath,
        kind: FileType,
        seen: &Statx,
        xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> io::Result<Node> {
        let number = (seen.stx_dev_major, seen.stx_dev_minor, seen.stx_ino);
        if let Some(node) = self.inodes.get(&number) {
            return Ok(node.clone());
        }
        if kind != FileType::Directory {
            self.date(folder, name)?;
        }
        let (major, minor) = (seen.stx_rdev_major, seen.stx_rdev_minor);
        let several = kind == FileType::RegularFile && seen.stx_nlink > 1;
        let kind = match kind {
            FileType::Directory => Kind::Dir,
            FileType::Symlink => {
                Kind::Symlink(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes().into())
            }
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            _ => {
                let content = self.content(folder, name, path)?;
                Kind::File { content, inode: several.then(Inode::fresh) }
            }
        };
        let meta = Meta { mode: seen.stx_mode & 0o7777, uid: seen.stx_uid, gid: seen.stx_gid, xattrs };
        let mtime = self.epoch.unwrap_or(seen.stx_mtime.tv_sec);
        let node = Node { meta, mtime, kind };
        if several {
            self.inodes.insert(number, node.clone());
        }
        Ok(node)
    }

    fn content(&self, folder: &OwnedFd, name: &OsStr, path: &ImagePath) -> io::Result<Content> {
        let mask = StatxFlags::BASIC_STATS;
        let seen = rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, mask)?;
        let ctime = (seen.stx_ctime.tv_sec, i64::from(seen.stx_ctime.tv_nsec));
        let file = InPlace { root: Arc::clone(&self.root), path: path.clone(), ino: seen.stx_ino, ctime };
        Ok(Content::new(seen.stx_size, Source::Slice { file: Arc::new(file), offset: 0 }))
    }

    fn marks(&self, folder: &OwnedFd, name: &OsStr, path: &ImagePath) -> Result<Found, RootfsError> {
        let prefix = self.disk.marks.prefix().as_bytes();
        let wanted = |key: &[u8]| keeps(key) || key.starts_with(prefix);
        let all = beneath::xattrs(folder, name, wanted).map_err(RootfsError::io("reading", path))?;
        let mut found = Found::default();
        for (key, value) in all {
            match key.strip_prefix(prefix) {
                None => drop(found.kept.insert(key, value)),
                Some(mark) => {
                    match mark {
                        b"opaque" => found.opaque = value == b"y",
                        b"whiteout" => found.whiteout = true,
                        b"redirect" => return Err(elsewhere(path, "redirect")),
                        b"metacopy" => return Err(elsewhere(path, "metacopy")),
                        _ => {}
                    }
                    self.unmark(folder, name, &key).map_err(RootfsError::io("tidying", path))?;
                }
            }
        }
        Ok(found)
    }

    fn unmark(&self, folder: &OwnedFd, name: &OsStr, key: &[u8]) -> io::Result<()> {
        if self.epoch.is_some() {
            use std::os::unix::ffi::OsStrExt as _;
            rustix::fs::lremovexattr(beneath::by_path(folder, name), OsStr::from_bytes(key))?;
        }
        Ok(())
    }

    fn drop_socket(&self, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if self.epoch.is_some() {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
        }
        Ok(())
    }

    /// The other form of a whiteout, which asks for a mark on its folder, too.
    fn as_device(&self, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if self.epoch.is_some() {
            rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
            make_whiteout(folder, name)?;
        }
        Ok(())
    }

    fn date(&self, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        if let Some(epoch) = self.epoch {
            let times = beneath::modified(epoch);
            rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }
}

/// The attributes of an entry.
#[derive(Default)]
struct Found {
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    opaque: bool,
    whiteout: bool,
}

fn elsewhere(path: &ImagePath, attribute: &'static str) -> RootfsError {
    RootfsError::Elsewhere { path: path.clone(), attribute }
}

/// A file of a root file system, opened when it is read.
#[derive(Debug)]
struct InPlace {
    root: Arc<OwnedFd>,
    path: ImagePath,
    ino: u64,
    ctime: (i64, i64),
}

impl Backing for InPlace {
    fn file(&self) -> io::Result<Arc<File>> {
        let file = File::from(beneath::open(&self.root, &self.path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let now = file.metadata()?;
        if (now.ino(), (now.ctime(), now.ctime_nsec())) != (self.ino, self.ctime) {
            return Err(io::Error::other(format!("`{}` changed after the step", self.path.display())));
        }
        Ok(Arc::new(file))
    }
}
