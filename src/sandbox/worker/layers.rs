//! Layers laid over each other, and the mount points that none of them has.
//!
//! A missing mount point must not be made in the upper folder, where it would be the step's work. It is made in a
//! folder of its own, the topmost of the lower ones: below the others, a whiteout could hide it.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, MountFlags, UnmountFlags, fsconfig_set_flag, fsconfig_set_string, fsopen, unmount,
};

use super::mounts::{self, Attr};
use super::place::Place;
use super::varied;
use super::world::{Scratch, root_attributes};
use crate::sandbox::{Fault, Step};

/// A folder for what is written, and overlayfs's own beside it.
pub(super) struct Writable<'a> {
    pub(super) upper: &'a Path,
    pub(super) work: &'a Path,
}

/// Mounts folders over each other, the topmost first; at least two of them, or one and a writable one.
pub(super) fn overlay(
    lowers: &[&Path],
    writable: Option<&Writable<'_>>,
    attributes: Attr,
    scratch: &Scratch,
) -> Result<OwnedFd, Fault> {
    let doing = || Fault::doing("mounting an overlay");
    let links = links(lowers, writable, scratch).map_err(doing())?;
    // Names are followed from here, and shown to the step as they are: so they tell nothing of the machine.
    rustix::process::chdir(&links).map_err(Fault::doing("changing the folder"))?;
    let user_marks = scratch.user_marks;
    let mounted = match by_descriptor(lowers.len(), writable.is_some(), attributes, user_marks) {
        // Kernels before 6.7 want all folders in one string, for which they have a page.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            in_one_string(lowers.len(), writable.is_some(), attributes, user_marks)
        }
        mounted => mounted,
    };
    rustix::process::chdir("/").map_err(Fault::doing("changing the folder"))?;
    mounted.map_err(doing())
}

/// The options that differ from kernel to kernel by default, and would make of an upper folder something that only
/// its own lower ones explain. The upper folder need not survive the machine's end.
fn options(writable: bool, user_marks: bool) -> Vec<(&'static str, &'static str)> {
    let mut options = vec![("index", "off")];
    if user_marks {
        options.push(("userxattr", ""));
    } else {
        options.extend([("metacopy", "off"), ("redirect_dir", "nofollow")]);
    }
    if writable {
        options.extend([("upperdir", "upper"), ("workdir", "work"), ("volatile", "")]);
    }
    options
}

/// A folder of short links to the layers.
fn links(lowers: &[&Path], writable: Option<&Writable<'_>>, scratch: &Scratch) -> io::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("links").tempdir_in(&scratch.memory)?.keep();
    for (index, lower) in lowers.iter().enumerate() {
        symlink(lower, folder.join(index.to_string()))?;
    }
    if let Some(Writable { upper, work }) = writable {
        symlink(upper, folder.join("upper"))?;
        symlink(work, folder.join("work"))?;
    }
    Ok(folder)
}

fn by_descriptor(lowers: usize, writable: bool, attributes: Attr, user_marks: bool) -> io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", "overlay")?;
    for lower in 0..lowers {
        fsconfig_set_string(context.as_fd(), "lowerdir+", lower.to_string())?;
    }
    for (key, value) in options(writable, user_marks) {
        match value {
            "" => fsconfig_set_flag(context.as_fd(), key)?,
            value => fsconfig_set_string(context.as_fd(), key, value)?,
        }
    }
    mounts::made(&context, attributes)
}

fn in_one_string(lowers: usize, writable: bool, attributes: Attr, user_marks: bool) -> io::Result<OwnedFd> {
    let names: Vec<String> = (0..lowers).map(|lower| lower.to_string()).collect();
    let mut data = format!("lowerdir={}", names.join(":"));
    for (key, value) in options(writable, user_marks) {
        data.push_str(&if value.is_empty() { format!(",{key}") } else { format!(",{key}={value}") });
    }
    rustix::fs::mkdir("at", Mode::from_raw_mode(0o755))?;
    let data = CString::new(data)?;
    rustix::mount::mount("overlay", "at", "overlay", MountFlags::empty(), data.as_c_str())?;
    let mount = mounts::view(Path::new("at"))?;
    unmount("at", UnmountFlags::DETACH)?;
    mounts::restrict(&mount, attributes)?;
    Ok(mount)
}

/// A step's layers.
pub(super) struct Layers<'a> {
    pub(super) step: &'a Step,
    pub(super) scratch: &'a Scratch,
    /// Where missing mount points are made.
    pub(super) stubs: &'a Path,
}

impl Layers<'_> {
    fn lowers(&self) -> impl Iterator<Item = &Path> {
        self.step.lowers.iter().rev().map(PathBuf::as_path)
    }

    /// What the step will see, without mount points, to look at only.
    pub(super) fn ground(&self) -> Result<OwnedFd, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if self.step.flat {
            let opened = rustix::fs::open(&self.step.upper, flags, Mode::empty());
            return opened.map_err(Fault::doing("opening the root file system"));
        }
        // Without the first, there would be too few where there are no layers.
        let empty = self.scratch.in_memory("empty")?;
        let lowers: Vec<&Path> =
            [&*self.step.upper].into_iter().chain(self.lowers()).chain([&*empty]).collect();
        overlay(&lowers, None, Attr::MOUNT_ATTR_RDONLY, self.scratch)
    }

    /// What lists folders in another order.
    fn names(&self) -> Result<Option<PathBuf>, Fault> {
        if !self.step.varied {
            return Ok(None);
        }
        let folder = self.scratch.in_memory("reversed")?;
        let lowers: Vec<&Path> = self.lowers().collect();
        Ok(varied::skeleton(&lowers, &folder).ok().map(|()| folder.join("names")))
    }

    pub(super) fn root(&self) -> Result<OwnedFd, Fault> {
        let attributes = root_attributes(self.step);
        if self.step.flat {
            let root = mounts::view(&self.step.upper)
                .and_then(|root| mounts::restrict(&root, attributes).map(|()| root));
            return root.map_err(Fault::doing("binding the root file system"));
        }
        let work = self.scratch.on_disk("work")?;
        let writable = Writable { upper: &self.step.upper, work: &work };
        let mut lowers: Vec<&Path> = [self.stubs].into_iter().chain(self.lowers()).collect();
        let names = self.names()?;
        lowers.extend(names.as_deref());
        overlay(&lowers, Some(&writable), attributes, self.scratch)
    }
}

/// Makes a mount point. The folders above it that are there stay as they look. Gives what is new.
pub(super) fn stub(ground: &OwnedFd, stubs: &Path, place: &Place, folder: bool) -> io::Result<Vec<PathBuf>> {
    for path in place.folders_there() {
        match rustix::fs::mkdir(stubs.join(&path), Mode::from_raw_mode(0o755)) {
            Ok(()) => copy_attributes(ground, &path, &stubs.join(&path))?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let mut made: Vec<PathBuf> = place.folders_missing().collect();
    for path in &made {
        exists(rustix::fs::mkdir(stubs.join(path), Mode::from_raw_mode(0o755)))?;
    }
    let path = place.path();
    if folder {
        exists(rustix::fs::mkdir(stubs.join(&path), Mode::from_raw_mode(0o755)))?;
    } else {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        drop(rustix::fs::open(stubs.join(&path), flags, Mode::from_raw_mode(0o644))?);
    }
    made.push(path);
    Ok(made)
}

/// One mount point may be made for another already.
fn exists(made: rustix::io::Result<()>) -> io::Result<()> {
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn copy_attributes(ground: &OwnedFd, path: &Path, to: &Path) -> io::Result<()> {
    let from = mounts::open_file_in(ground.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let stat = rustix::fs::fstat(&from)?;
    let to = rustix::fs::open(to, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fchown(&to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let mut names = vec![0; 1 << 16];
    let length = rustix::fs::flistxattr(&from, &mut names[..]).unwrap_or(0);
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        let mut value = vec![0; 1 << 16];
        if let Ok(length) = rustix::fs::fgetxattr(&from, name, &mut value[..]) {
            // What can't be set here could not have been set by lith below, either.
            _ = rustix::fs::fsetxattr(&to, name, &value[..length], XattrFlags::empty());
        }
    }
    Ok(())
}

/// Gives the folders among the stubs the times that they have below, once all is in them; new ones have time zero.
pub(super) fn date(ground: &OwnedFd, stubs: &Path, made: &BTreeSet<PathBuf>) -> io::Result<()> {
    let mut all: BTreeSet<PathBuf> = made.clone();
    all.extend(made.iter().flat_map(|path| path.ancestors().skip(1).map(Path::to_owned)));
    for path in all.iter().rev().filter(|path| rustix::fs::stat(stubs.join(path)).is_ok()) {
        let mut time = Timespec { tv_sec: 0, tv_nsec: 0 };
        let below = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if !made.contains(path) {
            let stat = rustix::fs::statat(ground, below, AtFlags::SYMLINK_NOFOLLOW)?;
            time =
                Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) };
        }
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, stubs.join(path), &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
