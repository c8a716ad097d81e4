//! Upper folders before a step and after it.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::beneath::{self, Folders, name, parent};
use super::unpack::{make_whiteout, unpack};
use super::{Disk, Notes, RootfsError, Settle};
use crate::oci::Epoch;
use crate::tree::{Changes, ImagePath, Node, Tree};

/// Makes of a new, empty folder the upper folder of a step on `below`: overlayfs shows the attributes of the upper
/// root.
pub fn prepare(upper: &Path, below: &Tree, disk: Disk, epoch: Epoch) -> Result<Notes, RootfsError> {
    let root = below.get(&ImagePath::root()).filter(|node| node.is_dir()).cloned();
    let mut root = root.unwrap_or_else(Node::implicit_dir);
    root.mtime = epoch.mtime();
    let changes = Changes { puts: [(ImagePath::root(), root)].into(), ..Changes::default() };
    unpack(&changes, upper, disk)
}

/// Makes of an upper folder that was [collected](super::collect) the folder of the layer that it became.
pub fn settle(upper: &Path, plan: &Settle, epoch: Epoch) -> Result<(), RootfsError> {
    let root = beneath::open_root(upper).map_err(RootfsError::io("opening", &ImagePath::root()))?;
    let mut folders = Folders::new(root);
    let mut touched = BTreeSet::new();
    for path in &plan.whiteouts {
        let folder = folders.get(&parent(path)).map_err(RootfsError::io("opening", path))?;
        make_whiteout(folder, name(path)).map_err(RootfsError::io("hiding", path))?;
        touched.insert(parent(path));
    }
    for path in plan.remove.iter().rev() {
        let folder = folders.get(&parent(path)).map_err(RootfsError::io("opening", path))?;
        let seen = rustix::fs::statat(folder, name(path), AtFlags::SYMLINK_NOFOLLOW);
        let is_folder = seen.map(|seen| FileType::from_raw_mode(seen.st_mode) == FileType::Directory);
        let flags = if is_folder == Ok(true) { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match rustix::fs::unlinkat(folder, name(path), flags) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(RootfsError::io("removing", path)(error)),
        }
        touched.insert(parent(path));
    }
    let times = beneath::modified(epoch.mtime());
    for path in touched.iter().rev().filter(|path| !plan.remove.contains(*path)) {
        let folder = folders.get(path).map_err(RootfsError::io("opening", path))?;
        rustix::fs::futimens(folder, &times).map_err(RootfsError::io("dating", path))?;
    }
    Ok(())
}
