//! What is mounted into a step's root file system, each as a detached mount.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RawDir, Uid};

use super::layers::{self, Writable};
use super::mounts::{self, Attr, PLAIN};
use super::place::Place;
use super::run::Given;
use super::world::{Scratch, lossy};
use crate::sandbox::error::Doing as _;
use crate::sandbox::{Fault, Mount, Network, Step};

/// What stands for a mount before it is in its place.
pub(super) struct Source<'a> {
    pub(super) kind: Kind<'a>,
    mount: OwnedFd,
    folder: bool,
    /// Made read-only when all mount points in it are made.
    sealed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    Proc,
    Sys,
    Dev,
    /// A file of `/etc`, which is left out where it has no place.
    Etc,
    Step(&'a [u8]),
}

impl Source<'_> {
    pub(super) fn mount(&self) -> &OwnedFd {
        &self.mount
    }

    pub(super) fn is_folder(&self) -> bool {
        self.folder
    }

    pub(super) fn is_optional(&self) -> bool {
        self.kind == Kind::Etc
    }

    pub(super) fn is_of_step(&self) -> bool {
        matches!(self.kind, Kind::Step(_))
    }

    pub(super) fn seal(&self) -> Result<(), Fault> {
        if self.sealed {
            let sealed = mounts::restrict(&self.mount, Attr::MOUNT_ATTR_RDONLY);
            sealed.map_err(Fault::doing("making a mount read-only"))?;
        }
        Ok(())
    }
}

/// Everything that is mounted, with where.
pub(super) fn all<'a>(
    step: &'a Step,
    given: &Given,
    scratch: &Scratch,
) -> Result<Vec<(Vec<u8>, Source<'a>)>, Fault> {
    let folder = |kind, mount| Source { kind, mount, folder: true, sealed: false };
    let nothing_runs = PLAIN | Attr::MOUNT_ATTR_NOEXEC;
    let proc = mounts::new("proc", &[], nothing_runs).map_err(Fault::doing("mounting `/proc`"))?;
    let dev = mounts::new(
        "tmpfs",
        &[("mode", "0755"), ("size", "65536k")],
        Attr::MOUNT_ATTR_NOSUID | Attr::MOUNT_ATTR_STRICTATIME,
    )
    .map_err(Fault::doing("mounting `/dev`"))?;
    let mut sources = vec![
        (b"/proc".to_vec(), folder(Kind::Proc, proc)),
        (b"/sys".to_vec(), folder(Kind::Sys, sys(step, nothing_runs)?)),
        (b"/dev".to_vec(), folder(Kind::Dev, dev)),
    ];
    let files = Files::new(scratch)?;
    let hosts = format!(
        "127.0.0.1\tlocalhost {name}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        name = step.hostname
    );
    for (path, bytes) in [("/etc/hosts", hosts.into_bytes()), ("/etc/resolv.conf", resolvers(step))] {
        let mount = files.add(&bytes, (0, 0), 0o644).map_err(Fault::doing(format!("making `{path}`")))?;
        sources.push((path.into(), Source { kind: Kind::Etc, mount, folder: false, sealed: false }));
    }
    for (index, mount) in step.mounts.iter().enumerate() {
        let source = of_step(step, index, mount, &files, scratch, given)?;
        sources.push((mount.target().to_vec(), source));
    }
    Ok(sources)
}

/// A new one needs a network namespace of one's own; else it is the machine's, with all that is mounted in it.
fn sys(step: &Step, attributes: Attr) -> Result<OwnedFd, Fault> {
    let read_only = if step.insecure { attributes } else { attributes | Attr::MOUNT_ATTR_RDONLY };
    mounts::new("sysfs", &[], read_only)
        .or_else(|_| {
            let view = mounts::view_all(Path::new("/sys"))?;
            mounts::restrict_all(&view, read_only)?;
            Ok(view)
        })
        .map_err(|error: io::Error| Fault::doing("mounting `/sys`")(error))
}

/// The machine's name servers, for those who can reach them.
fn resolvers(step: &Step) -> Vec<u8> {
    match step.network {
        Network::None | Network::Served { .. } => Vec::new(),
        Network::Host => std::fs::read("/etc/resolv.conf").unwrap_or_default(),
    }
}

fn of_step<'a>(
    step: &'a Step,
    index: usize,
    mount: &'a Mount,
    files: &Files,
    scratch: &Scratch,
    given: &Given,
) -> Result<Source<'a>, Fault> {
    let what = format!("making what `{}` shows", lossy(mount.target()));
    let kind = Kind::Step(mount.target());
    let source = |mount, folder| Source { kind, mount, folder, sealed: false };
    Ok(match mount {
        Mount::Tree { .. } => tree(step, index, mount, scratch)?,
        Mount::Cache { folder, read_only, owner, mode, .. } => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::open(folder, flags, Mode::empty()).doing(&what)?;
            if is_empty(&opened).doing(&what)? {
                own(&opened, *owner, *mode, given.single).doing(&what)?;
            }
            let view = mounts::view_of(opened.as_fd()).doing(&what)?;
            mounts::restrict(&view, PLAIN).doing(&what)?;
            Source { kind, mount: view, folder: true, sealed: *read_only }
        }
        Mount::Tmpfs { size, .. } => {
            let size = size.map(|size| size.to_string()).unwrap_or_default();
            let options = [("mode", "1777"), ("size", size.as_str())];
            let options = if size.is_empty() { &options[..1] } else { &options[..] };
            source(mounts::new("tmpfs", options, PLAIN).doing(&what)?, true)
        }
        Mount::File { bytes, owner, mode, .. } => {
            let owner = if given.single { (0, 0) } else { *owner };
            let view = files.add(&bytes.0, owner, *mode).doing(&what)?;
            // A program is a file that its mode says so of.
            let runs = if mode & 0o111 == 0 { Attr::MOUNT_ATTR_NOEXEC } else { Attr::empty() };
            mounts::restrict(&view, PLAIN | runs | Attr::MOUNT_ATTR_RDONLY).doing(&what)?;
            source(view, false)
        }
        Mount::Socket { socket, owner, mode, .. } => {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = rustix::fs::open(socket, flags, Mode::empty()).doing(&what)?;
            let stat = rustix::fs::fstat(&opened).doing(&what)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
                return Err(Fault::NoSource { path: socket.to_string_lossy().into_owned() });
            }
            if !given.single {
                let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
                let flags = AtFlags::EMPTY_PATH;
                rustix::fs::chownat(&opened, "", Some(uid), Some(gid), flags).doing(&what)?;
            }
            rustix::fs::chmod(socket, Mode::from_raw_mode(*mode)).doing(&what)?;
            source(mounts::view_of(opened.as_fd()).doing(&what)?, false)
        }
    })
}

/// A path of another tree. Where something may be written or made in it, that is thrown away.
fn tree<'a>(step: &Step, index: usize, mount: &'a Mount, scratch: &Scratch) -> Result<Source<'a>, Fault> {
    let Mount::Tree { lowers, source, target, read_only } = mount else {
        unreachable!("it is asked for trees only")
    };
    let what = format!("making what `{}` shows", lossy(target));
    let at = scratch.in_memory(&format!("tree{index}"))?;
    let whole = match &lowers[..] {
        [folder] if step.flat => mounts::view(folder).doing(&what)?,
        _ => {
            // There are to be two at least.
            let empty = [scratch.on_disk("empty")?, scratch.on_disk("empty2")?];
            let empty = empty.iter().map(AsRef::as_ref);
            let lowers: Vec<&Path> = lowers.iter().rev().map(AsRef::as_ref).chain(empty).collect();
            let (upper, work);
            let mut writable = None;
            if !read_only || has_mounts_in(step, target) {
                upper = scratch.on_disk(&format!("upper{index}"))?;
                work = scratch.on_disk(&format!("work{index}"))?;
                writable = Some(Writable { upper: &upper, work: &work });
            }
            layers::overlay(&lowers, writable.as_ref(), PLAIN, scratch)?
        }
    };
    mounts::restrict(&whole, PLAIN).doing(&what)?;
    mounts::attach_at(&whole, &at).doing(&what)?;
    let place = Place::find(whole.as_fd(), source).doing(&what)?;
    if place.is_missing() {
        return Err(Fault::NoSource { path: lossy(source) });
    }
    let opened = mounts::open_in(whole.as_fd(), &place.path()).doing(&what)?;
    let view = mounts::view_of(opened.as_fd()).doing(&what)?;
    Ok(Source { kind: Kind::Step(target), mount: view, folder: place.is_folder(), sealed: *read_only })
}

/// Whether another mount's target stands below.
fn has_mounts_in(step: &Step, target: &[u8]) -> bool {
    let below = |other: &[u8]| other.strip_prefix(target).is_some_and(|rest| rest.starts_with(b"/"));
    step.mounts.iter().any(|mount| below(mount.target()))
}

fn is_empty(folder: &OwnedFd) -> io::Result<bool> {
    let mut buffer = Vec::with_capacity(4096);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn own(file: impl std::os::fd::AsFd, (uid, gid): (u32, u32), mode: u32, single: bool) -> io::Result<()> {
    if !single {
        rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    }
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?)
}

/// Files that are in memory alone.
struct Files {
    folder: std::path::PathBuf,
    count: Cell<usize>,
}

impl Files {
    fn new(scratch: &Scratch) -> Result<Self, Fault> {
        let folder = scratch.in_memory("files")?;
        Ok(Self { folder, count: Cell::new(0) })
    }

    fn add(&self, bytes: &[u8], owner: (u32, u32), mode: u32) -> io::Result<OwnedFd> {
        let path = self.folder.join(self.count.get().to_string());
        self.count.set(self.count.get() + 1);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(CWD, &path, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(bytes)?;
        own(&file, owner, mode, false)?;
        mounts::view(&path)
    }
}
