//! The world that a step sees: namespaces, and a root file system with everything mounted in it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::UnshareFlags;

use super::layers::{self, Layers};
use super::mounts::{self, Attr};
use super::place::Place;
use super::run::Given;
use super::sources::{self, Source};
use super::{sys, system};
use crate::sandbox::wire::{self, Event};
use crate::sandbox::{Fault, Network, Step};
use crate::text::shown;

/// Folders of this process's own, on the disk and in memory.
pub(super) struct Scratch {
    /// On the file system of the upper folder.
    pub(super) disk: PathBuf,
    /// A tmpfs that goes with the mount namespace.
    pub(super) memory: PathBuf,
    pub(super) user_marks: bool,
}

impl Scratch {
    fn new(step: &Step, given: &Given) -> Result<Self, Fault> {
        let memory = step.scratch.join("memory");
        make_folder(&memory)?;
        let tmpfs = mounts::new("tmpfs", &[("mode", "0755")], mounts::PLAIN)
            .and_then(|tmpfs| mounts::attach_at(&tmpfs, &memory));
        tmpfs.map_err(Fault::doing("mounting a tmpfs"))?;
        Ok(Self { disk: step.scratch.clone(), memory, user_marks: given.user_marks })
    }

    pub(super) fn in_memory(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = self.memory.join(name);
        make_folder(&path)?;
        Ok(path)
    }

    pub(super) fn on_disk(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = self.disk.join(name);
        make_folder(&path)?;
        Ok(path)
    }
}

fn make_folder(path: &Path) -> Result<(), Fault> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(Fault::doing(format!("making `{}`", path.display()))(error)),
    }
}

/// Something to be seen at a path of the root file system.
struct Item<'a> {
    target: Vec<u8>,
    place: Place,
    source: Source<'a>,
}

/// Enters the step's world. Gives the mount points that had to be made.
pub(super) fn enter(step: &Step, given: &Given) -> Result<Vec<Vec<u8>>, Fault> {
    namespaces(step)?;
    serve(step, given)?;
    rustix::process::umask(Mode::empty());
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(Fault::doing("making mounts private"))?;
    let scratch = Scratch::new(step, given)?;
    let sources = sources::all(step, given, &scratch)?;
    let (root, items, made) = root(step, &scratch, sources)?;
    for item in &items {
        mount(&root, item, step, given)?;
    }
    for item in &items {
        item.source.seal()?;
    }
    pivot(&root)?;
    Ok(made.iter().map(|path| [b"/", path.as_os_str().as_bytes()].concat()).collect())
}

fn namespaces(step: &Step) -> Result<(), Fault> {
    let mut flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWCGROUP;
    if step.network.is_own() {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags).map_err(Fault::doing("making namespaces"))?;
    let naming = || Fault::doing("setting the host's name");
    rustix::system::sethostname(step.hostname.as_bytes()).map_err(naming())?;
    rustix::system::setdomainname(b"(none)").map_err(naming())?;
    if step.network.is_own() {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
        let up = socket.map_err(std::io::Error::from).and_then(|socket| sys::loopback_up(socket.as_fd()));
        up.map_err(Fault::doing("bringing the loopback device up"))?;
    }
    Ok(())
}

/// Opens the port where lith answers in the step's network, and hands it over.
fn serve(step: &Step, given: &Given) -> Result<(), Fault> {
    let (Network::Served { port }, Some(lith)) = (step.network, &given.lith) else { return Ok(()) };
    let served = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| {
        wire::send(&mut &*lith, &Event::Listening)?;
        wire::send_descriptor(lith, listener.as_fd())
    });
    served.map_err(Fault::doing("opening a port in the step's network"))
}

/// The root file system, attached, with a place for everything.
fn root<'a>(
    step: &Step,
    scratch: &Scratch,
    sources: Vec<(Vec<u8>, Source<'a>)>,
) -> Result<(OwnedFd, Vec<Item<'a>>, BTreeSet<PathBuf>), Fault> {
    let stubs = scratch.on_disk("stubs")?;
    let layers = Layers { step, scratch, stubs: &stubs };
    let ground = layers.ground()?;
    let mut items = Vec::new();
    for (target, source) in sources {
        let place = match Place::find(ground.as_fd(), &target) {
            Ok(place) => place,
            Err(_) if source.is_optional() => continue,
            Err(error) => return Err(no_target(&target, error)),
        };
        if !place.is_missing() && place.is_folder() != source.is_folder() {
            if source.is_optional() {
                continue;
            }
            let why = if source.is_folder() { "it is no folder" } else { "it is a folder" };
            return Err(Fault::Target { path: lossy(&target), why: why.into() });
        }
        if source.is_of_step() && (place.is_root() || place.is_in("proc") || place.is_in("sys")) {
            let why = "it is the sandbox's own".into();
            return Err(Fault::Target { path: lossy(&target), why });
        }
        items.push(Item { target, place, source });
    }
    items.sort_by_key(|item| item.place.path().components().count());
    let places: Vec<Place> =
        items.iter().filter(|item| item.source.is_of_step()).map(|item| item.place.clone()).collect();
    // Who mounts something over `/etc` wants to see that.
    items.retain(|item| !item.source.is_optional() || !places.iter().any(|over| item.place.is_below(over)));
    let mut made = BTreeSet::new();
    if !step.flat {
        for (index, item) in items.iter().enumerate() {
            let covered = items[..index].iter().any(|over| item.place.is_below(&over.place));
            if item.place.is_missing() && !covered {
                let stub = layers::stub(&ground, &stubs, &item.place, item.source.is_folder());
                made.extend(stub.map_err(Fault::doing(format!("making `{}`", lossy(&item.target))))?);
            }
        }
    } else {
        for item in items.iter().filter(|item| item.place.is_missing()) {
            made.extend(item.place.folders_missing());
            made.insert(item.place.path());
        }
    }
    layers::date(&ground, &stubs, &made).map_err(Fault::doing("dating mount points"))?;
    if !step.flat {
        // It goes with the old root. Closed alone, the kernel would wait some milliseconds for all its readers.
        mounts::attach_at(&ground, &scratch.in_memory("ground")?)
            .map_err(Fault::doing("attaching the ground"))?;
    }
    let root = layers.root()?;
    mounts::attach_at(&root, &scratch.in_memory("root")?).map_err(Fault::doing("attaching the root"))?;
    Ok((root, items, made))
}

fn mount(root: &OwnedFd, item: &Item<'_>, step: &Step, given: &Given) -> Result<(), Fault> {
    let place = Place::find(root.as_fd(), &item.target).map_err(|error| no_target(&item.target, error))?;
    if place.is_missing() {
        make(root, &place, item.source.is_folder()).map_err(|error| no_target(&item.target, error))?;
    } else if place.is_folder() != item.source.is_folder() {
        return Err(Fault::Target { path: lossy(&item.target), why: "it is of another kind".into() });
    }
    let target = mounts::open_in(root.as_fd(), &place.path());
    let target = target.map_err(Fault::doing(format!("opening `{}`", lossy(&item.target))))?;
    mounts::attach(item.source.mount(), target.as_fd())
        .map_err(Fault::doing(format!("mounting `{}`", lossy(&item.target))))?;
    system::furnish(root, &item.source, step, given)
}

/// Makes a mount point in what is mounted already. Part of that may be a cache in which other steps work at the same
/// time: what was a folder may be a link by now, and is not followed.
fn make(root: &OwnedFd, place: &Place, folder: bool) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o755);
    for above in place.folders_missing() {
        let (parent, name) = parent_of(root, &above)?;
        mkdirat(&parent, name, mode)?;
    }
    let path = place.path();
    let (parent, name) = parent_of(root, &path)?;
    if folder {
        return mkdirat(&parent, name, mode);
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
}

fn parent_of<'a>(root: &OwnedFd, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), Errno> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::INVAL)?;
    Ok((mounts::open_in(root.as_fd(), parent).map_err(|error| mounts::errno(&error))?, name))
}

/// Makes `root` all that there is.
fn pivot(root: &OwnedFd) -> Result<(), Fault> {
    let doing = || Fault::doing("changing the root");
    rustix::process::fchdir(root).map_err(doing())?;
    rustix::process::pivot_root(".", ".").map_err(doing())?;
    unmount(".", UnmountFlags::DETACH).map_err(doing())?;
    rustix::process::chdir("/").map_err(doing())
}

fn no_target(target: &[u8], error: Errno) -> Fault {
    Fault::Target { path: lossy(target), why: std::io::Error::from(error).to_string() }
}

pub(super) fn lossy(path: &[u8]) -> String {
    shown(&String::from_utf8_lossy(path))
}

/// Whether something is there, whatever it is.
pub(super) fn is_there(root: &OwnedFd, path: &str) -> bool {
    rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// The attributes of the root file system: no devices, unless the step is trusted with everything.
pub(super) fn root_attributes(step: &Step) -> Attr {
    if step.insecure { Attr::empty() } else { Attr::MOUNT_ATTR_NODEV }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_not_made_through_a_link_that_came_later() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("root"), dir.path().join("outside"));
        std::fs::create_dir_all(inside.join("cache/d")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        let root: OwnedFd = std::fs::File::open(&inside).unwrap().into();
        for (target, folder) in [("/cache/d/new/deep", true), ("/cache/d/x", true), ("/cache/d/file", false)]
        {
            let place = Place::find(root.as_fd(), target.as_bytes()).unwrap();
            std::fs::rename(inside.join("cache/d"), inside.join("cache/spare")).unwrap();
            std::os::unix::fs::symlink(&outside, inside.join("cache/d")).unwrap();
            assert_eq!(make(&root, &place, folder), Err(Errno::LOOP), "{target}");
            std::fs::remove_file(inside.join("cache/d")).unwrap();
            std::fs::rename(inside.join("cache/spare"), inside.join("cache/d")).unwrap();
            make(&root, &place, folder).unwrap();
            assert!(!Place::find(root.as_fd(), target.as_bytes()).unwrap().is_missing());
        }
        assert!(std::fs::remove_dir(outside).is_ok(), "it is empty");
    }
}
