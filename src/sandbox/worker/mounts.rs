//! Mounts as descriptors: made detached, then put in place. No path is resolved twice.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::sys;

/// What may not be done in a mount.
pub(super) type Attr = MountAttrFlags;

/// Neither devices nor set-id programs.
pub(super) const PLAIN: Attr = Attr::MOUNT_ATTR_NOSUID.union(Attr::MOUNT_ATTR_NODEV);

/// A new file system. An option without a value is a flag.
pub(super) fn new(kind: &str, options: &[(&str, &str)], attributes: Attr) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    // What lists of mounts show first.
    fsconfig_set_string(context.as_fd(), "source", kind)?;
    for (key, value) in options {
        match *value {
            "" => fsconfig_set_flag(context.as_fd(), *key)?,
            value => fsconfig_set_string(context.as_fd(), *key, value)?,
        }
    }
    made(&context, attributes)
}

/// Mounts what a context was told.
pub(super) fn made(context: &OwnedFd, attributes: Attr) -> io::Result<OwnedFd> {
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// A second view of what stands at a path: to be attached elsewhere.
pub(super) fn view(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, path, flags | OpenTreeFlags::AT_SYMLINK_NOFOLLOW)?)
}

/// As [`view`], with all that is mounted below.
pub(super) fn view_all(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(CWD, path, flags | OpenTreeFlags::AT_RECURSIVE)?)
}

/// As [`view`], of something open.
pub(super) fn view_of(place: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(place, "", flags | OpenTreeFlags::AT_EMPTY_PATH)?)
}

pub(super) fn restrict(mount: &OwnedFd, attributes: Attr) -> io::Result<()> {
    sys::mount_setattr(mount.as_fd(), attributes.bits().into(), false)
}

pub(super) fn restrict_all(mount: &OwnedFd, attributes: Attr) -> io::Result<()> {
    sys::mount_setattr(mount.as_fd(), attributes.bits().into(), true)
}

/// Puts a mount over what is open at `place`.
pub(super) fn attach(mount: &OwnedFd, place: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount.as_fd(), "", place, "", flags)?)
}

/// Puts a mount over a folder of the machine, in the mount namespace of this process.
pub(super) fn attach_at(mount: &OwnedFd, path: &Path) -> io::Result<()> {
    Ok(move_mount(mount.as_fd(), "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Opens a place below a root, through no link at all.
pub(super) fn open_in(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?)
}

/// As [`open_in`], to read or write.
pub(super) fn open_file_in(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(openat2(root, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(mode), resolve)?.into())
}

/// The error's number, where that alone can be told.
pub(super) fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
