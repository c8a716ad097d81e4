//! `/proc`, `/sys` and `/dev`: what is in them, and what of them is hidden.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;

use super::mounts::{self, Attr, PLAIN};
use super::run::Given;
use super::sources::{Kind, Source};
use super::world::is_there;
use crate::sandbox::{Fault, Step};

/// What tells of the machine, or changes it: docker's list.
const MASKED_IN_PROC: [&str; 11] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
    "kallsyms",
];
const MASKED_IN_SYS: [&str; 2] = ["devices/virtual/powercap", "firmware"];
const READ_ONLY_IN_PROC: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];

const DEVICES: [(&str, u32, u32); 6] =
    [("full", 1, 7), ("null", 1, 3), ("random", 1, 8), ("tty", 5, 0), ("urandom", 1, 9), ("zero", 1, 5)];

/// Bytes of `/dev/shm`: docker's.
const SHARED_MEMORY: u64 = 64 << 20;

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// Puts into a system's mount, now in its place, what belongs there.
pub(super) fn furnish(root: &OwnedFd, source: &Source<'_>, step: &Step, given: &Given) -> Result<(), Fault> {
    let doing = |path: &str| Fault::doing(format!("making `{path}`"));
    match source.kind {
        Kind::Etc | Kind::Step(_) => Ok(()),
        Kind::Dev => dev(source.mount(), step, given).map_err(doing("/dev")),
        Kind::Proc if !step.insecure => {
            let mask = |path: &&str| hide(source.mount(), path);
            MASKED_IN_PROC.iter().try_for_each(mask).map_err(doing("/proc"))?;
            let seal = |path: &&str| read_only(source.mount(), path);
            READ_ONLY_IN_PROC.iter().try_for_each(seal).map_err(doing("/proc"))
        }
        Kind::Sys if !step.insecure => {
            let mask = |path: &&str| hide(source.mount(), path);
            MASKED_IN_SYS.iter().try_for_each(mask).map_err(doing("/sys"))
        }
        Kind::Proc | Kind::Sys => {
            debug_assert!(step.insecure, "only then is nothing hidden");
            let _ = root;
            Ok(())
        }
    }
}

/// Covers a folder by an empty one, and a file by one that is empty and stays so.
fn hide(mount: &OwnedFd, path: &str) -> io::Result<()> {
    if !is_there(mount, path) {
        return Ok(());
    }
    let place = mounts::open_in(mount.as_fd(), Path::new(path))?;
    let attributes = PLAIN | Attr::MOUNT_ATTR_NOEXEC | Attr::MOUNT_ATTR_RDONLY;
    let stat = rustix::fs::fstat(&place)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return mounts::attach(
            &mounts::new("tmpfs", &[("size", "0"), ("mode", "0755")], attributes)?,
            place.as_fd(),
        );
    }
    let null = mounts::view(Path::new("/dev/null"))?;
    mounts::restrict(&null, Attr::MOUNT_ATTR_RDONLY | Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_NOEXEC)?;
    mounts::attach(&null, place.as_fd())
}

fn read_only(mount: &OwnedFd, path: &str) -> io::Result<()> {
    if !is_there(mount, path) {
        return Ok(());
    }
    let place = mounts::open_in(mount.as_fd(), Path::new(path))?;
    let view = mounts::view_of(place.as_fd())?;
    mounts::restrict(&view, PLAIN | Attr::MOUNT_ATTR_NOEXEC | Attr::MOUNT_ATTR_RDONLY)?;
    mounts::attach(&view, place.as_fd())
}

fn dev(dev: &OwnedFd, step: &Step, given: &Given) -> io::Result<()> {
    for (name, major, minor) in DEVICES {
        device(dev, name, major, minor)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    let run = Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_NOEXEC;
    let mut terminals = vec![("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
    if !given.single {
        terminals.push(("gid", "5"));
    }
    let terminals = mounts::new("devpts", &terminals, run)
        // A user namespace may have fewer groups than that.
        .or_else(|_| {
            mounts::new("devpts", &[("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")], run)
        })?;
    folder(dev, "pts", &terminals)?;
    let size = step.limits.shm.unwrap_or(SHARED_MEMORY).to_string();
    let memory = mounts::new("tmpfs", &[("mode", "1777"), ("size", &size)], run | Attr::MOUNT_ATTR_NODEV)?;
    folder(dev, "shm", &memory)?;
    folder(dev, "mqueue", &mounts::new("mqueue", &[], run | Attr::MOUNT_ATTR_NODEV)?)
}

fn folder(dev: &OwnedFd, name: &str, mount: &OwnedFd) -> io::Result<()> {
    mkdirat(dev, name, Mode::from_raw_mode(0o755))?;
    mounts::attach(mount, mounts::open_in(dev.as_fd(), Path::new(name))?.as_fd())
}

/// A device of its own; the machine's, where none can be made.
fn device(dev: &OwnedFd, name: &str, major: u32, minor: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    match mknodat(dev, name, FileType::CharacterDevice, mode, makedev(major, minor)) {
        Err(Errno::PERM) => {}
        made => return Ok(made?),
    }
    let host = Path::new("/dev").join(name);
    let view = match rustix::fs::openat(CWD, &host, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        // A machine without a terminal has none to show.
        Err(Errno::NOENT) if name == "tty" => return Ok(()),
        opened => mounts::view_of(opened?.as_fd())?,
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    drop(rustix::fs::openat(dev, name, flags, mode)?);
    mounts::attach(&view, mounts::open_in(dev.as_fd(), Path::new(name))?.as_fd())
}
