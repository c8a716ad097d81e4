//! Removing a root file system, whatever is in it: as deep as can be, links never followed, folders that forbid it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::beneath::{self, FOLDER};

/// How many folders are open at once. What is deeper is moved up first.
const DEPTH: usize = 24;

/// Removes a folder with all that is in it. It may be gone already; what is no folder is removed as it is.
pub fn remove(path: &Path) -> io::Result<()> {
    let (parent, name) = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            (if parent.as_os_str().is_empty() { Path::new(".") } else { parent }, name)
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match rustix::fs::open(parent, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        parent => parent?,
    };
    match enter(&parent, name)? {
        Entered::Folder(top) => Removal { open: vec![top], lifted: 0 }.run()?,
        Entered::Gone => return Ok(()),
    }
    gone(rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR))
}

struct Removal {
    /// From the top down to the one being emptied.
    open: Vec<Level>,
    /// How many folders were moved up.
    lifted: u64,
}

struct Level {
    folder: OwnedFd,
    /// Its folders that are still there.
    left: Vec<OsString>,
    /// The one that is being emptied.
    current: Option<OsString>,
}

enum Entered {
    Folder(Level),
    /// It was no folder, and is no more.
    Gone,
}

impl Removal {
    fn run(mut self) -> io::Result<()> {
        while let Some(level) = self.open.last_mut() {
            if let Some(done) = level.current.take() {
                gone(rustix::fs::unlinkat(&level.folder, &done, AtFlags::REMOVEDIR))?;
            }
            let Some(name) = level.left.pop() else {
                self.open.pop();
                continue;
            };
            match self.open.len() {
                DEPTH => self.lift(&name)?,
                _ => self.descend(name)?,
            }
        }
        Ok(())
    }

    fn descend(&mut self, name: OsString) -> io::Result<()> {
        let level = self.open.last_mut().expect("there is one while it runs");
        if let Entered::Folder(next) = enter(&level.folder, &name)? {
            level.current = Some(name);
            self.open.push(next);
        }
        Ok(())
    }

    /// Moves a folder to the top, so that no depth needs more than [`DEPTH`] descriptors.
    fn lift(&mut self, name: &OsStr) -> io::Result<()> {
        let from = self.open.last().expect("there is one while it runs");
        // Only who may write into a folder may move it.
        if let Entered::Gone = enter(&from.folder, name)? {
            return Ok(());
        }
        loop {
            self.lifted += 1;
            let new = OsString::from(format!(".lifted-{}", self.lifted));
            let (from, top) = (&self.open[DEPTH - 1].folder, &self.open[0].folder);
            match rustix::fs::renameat_with(from, name, top, &new, rustix::fs::RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                moved => {
                    moved?;
                    self.open[0].left.push(new);
                    return Ok(());
                }
            }
        }
    }
}

/// Opens a folder and removes all in it that is none. What is no folder itself is removed.
fn enter(parent: &OwnedFd, name: &OsStr) -> io::Result<Entered> {
    let folder = match open(parent, name) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(Entered::Gone),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            gone(rustix::fs::unlinkat(parent, name, AtFlags::empty()))?;
            return Ok(Entered::Gone);
        }
        Err(error) => return Err(error.into()),
    };
    let mut left = Vec::new();
    for name in beneath::names(&folder)? {
        match rustix::fs::unlinkat(&folder, &name, AtFlags::empty()) {
            Err(Errno::ISDIR) => left.push(name),
            removed => gone(removed)?,
        }
    }
    Ok(Entered::Folder(Level { folder, left, current: None }))
}

/// Opens a folder so that it can be emptied, whatever its mode.
fn open(parent: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let open = || rustix::fs::openat(&parent, name, FOLDER, Mode::empty());
    let folder = match open() {
        Err(Errno::ACCESS) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let closed = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
            rustix::fs::chmod(beneath::by_descriptor(&closed), Mode::RWXU)?;
            open()?
        }
        folder => folder?,
    };
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // Where it isn't ours to change, unlinking tells.
        let _not_ours = rustix::fs::fchmod(&folder, Mode::RWXU);
    }
    Ok(folder)
}

/// What is gone already is as good as removed.
fn gone(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}
