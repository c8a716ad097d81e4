//! Reaching what is in a folder without ever leaving it: no link is followed, whoever else writes there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::tree::ImagePath;

pub(super) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The most bytes of a path that are opened in one call: Linux takes 4096, with what ends it.
const CHUNK: usize = 4000;

/// Opens the folder that a root file system is in.
pub(super) fn open_root(folder: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(folder, FOLDER, Mode::empty())?)
}

/// Opens what stands at `path` below `root`; a link is never followed.
pub(super) fn open(root: impl AsFd, path: &ImagePath, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut rest = path.as_bytes();
    let mut at: Option<OwnedFd> = None;
    while rest.len() > CHUNK {
        let cut = rest[..CHUNK].iter().rposition(|&b| b == b'/').ok_or(Errno::NAMETOOLONG)?;
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = Some(step(at.as_ref().map_or(root.as_fd(), |fd| fd.as_fd()), &rest[..cut], folder)?);
        rest = &rest[cut + 1..];
    }
    let rest = if rest.is_empty() { b"." } else { rest };
    step(at.as_ref().map_or(root.as_fd(), |fd| fd.as_fd()), rest, flags)
}

fn step(at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: something was renamed at the same time, and the kernel could not be sure.
    for _ in 0..16 {
        match rustix::fs::openat2(at, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS | Errno::PERM) => break,
            opened => return Ok(opened?),
        }
    }
    part_by_part(at, path, flags)
}

/// For kernels and sandboxes without `openat2`.
fn part_by_part(at: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let (folders, last) = match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    };
    let mut folder: Option<OwnedFd> = None;
    for part in folders.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
        let next = {
            let at = folder.as_ref().map_or(at, |fd| fd.as_fd());
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(at, part, flags, Mode::empty())?
        };
        folder = Some(next);
    }
    Ok(rustix::fs::openat(folder.as_ref().map_or(at, |fd| fd.as_fd()), last, flags, Mode::empty())?)
}

/// The names in a folder, sorted.
pub(super) fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort();
    Ok(names)
}

/// A path to `name` in an open folder, for the calls that take nothing but paths. It leads through the descriptor,
/// so that only `name` itself is looked up.
pub(super) fn by_path(folder: impl AsFd, name: &OsStr) -> PathBuf {
    let mut path = OsString::from(format!("/proc/self/fd/{}/", folder.as_fd().as_raw_fd()));
    path.push(name);
    path.into()
}

/// A path to what is open itself.
pub(super) fn by_descriptor(file: impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

/// The extended attributes of `name` in an open folder that `wanted` takes; `.` is the folder itself.
pub(super) fn xattrs(
    folder: impl AsFd,
    name: &OsStr,
    wanted: impl Fn(&[u8]) -> bool,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = by_path(folder, name);
    let list = match sized(|buffer| rustix::fs::llistxattr(&path, buffer)) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        list => list?,
    };
    let mut found = Vec::new();
    for key in list.split(|&b| b == 0).filter(|key| !key.is_empty() && wanted(key)) {
        match sized(|buffer| rustix::fs::lgetxattr(&path, OsStr::from_bytes(key), buffer)) {
            // Listed to everybody, and told to nobody here.
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            value => found.push((key.to_vec(), value?)),
        }
    }
    Ok(found)
}

/// What the call gives, which is at most 64 KiB on Linux, and most often little.
fn sized(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    let size = match call(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(64 << 10, 0);
            call(&mut buffer)?
        }
        size => size?,
    };
    buffer.truncate(size);
    Ok(buffer)
}

/// The time of last change, and nothing else.
pub(super) fn modified(seconds: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    }
}

pub(super) fn name(path: &ImagePath) -> &OsStr {
    OsStr::from_bytes(path.name())
}

pub(super) fn parent(path: &ImagePath) -> ImagePath {
    path.parent().unwrap_or_default()
}

/// The folder that was last asked for, as most often it is asked for again.
#[derive(Debug)]
pub(super) struct Folders {
    root: OwnedFd,
    current: Option<(ImagePath, OwnedFd)>,
}

impl Folders {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root, current: None }
    }

    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The folder at `path`, which is there.
    pub(super) fn get(&mut self, path: &ImagePath) -> io::Result<&OwnedFd> {
        let fd = match self.current.take() {
            Some((current, fd)) if current == *path => fd,
            Some((current, fd)) => match path.strip_prefix(&current) {
                Some(rest) => open(&fd, &rest, FOLDER)?,
                None => open(&self.root, path, FOLDER)?,
            },
            None => open(&self.root, path, FOLDER)?,
        };
        Ok(&self.current.insert((path.clone(), fd)).1)
    }
}
