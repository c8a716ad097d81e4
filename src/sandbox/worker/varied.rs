//! Another machine than this, as far as a step can see one: for finding out what its result depends on.
//!
//! What can't be had is left as it is: nothing here fails a step.

#![expect(clippy::disallowed_methods, reason = "the order of folders is what this is about")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::sys::{self, Fork};

/// As many process ids are used up before the step has any.
const PIDS: usize = 150;
/// As many names as are put in another order.
const MAX_NAMES: usize = 300_000;
const MAX_DEPTH: usize = 200;

/// One processor, for this process and those that it starts.
pub(super) fn one_processor() {
    let Ok(all) = sched_getaffinity(None) else { return };
    let Some(last) = (0..CpuSet::MAX_CPU).rev().find(|&cpu| all.is_set(cpu)) else { return };
    let mut one = CpuSet::new();
    one.set(last);
    _ = sched_setaffinity(None, &one);
}

/// Starts and ends processes: those that come after have higher ids.
pub(super) fn use_up_ids() {
    for _ in 0..PIDS {
        match sys::fork() {
            Ok(Fork::Child) => sys::exit(0),
            Ok(Fork::Parent(pid)) => drop(sys::wait(pid)),
            Err(_) => return,
        }
    }
}

/// A folder in memory with all names that `lowers` have, to be laid below them: overlayfs lists a folder in the order
/// of its lowest layer, and here that is the reverse of their own.
pub(super) fn skeleton(lowers: &[&Path], folder: &Path) -> io::Result<()> {
    let newest_first = is_newest_first(folder)?;
    let stub = folder.join("stub");
    let names = folder.join("names");
    std::fs::write(&stub, b"")?;
    std::fs::create_dir(&names)?;
    let mut skeleton = Skeleton { stub, newest_first, left: MAX_NAMES };
    let lowers: Vec<PathBuf> = lowers.iter().map(|lower| lower.to_path_buf()).collect();
    skeleton.fill(&lowers, &names, 0);
    Ok(())
}

/// Whether a folder of this file system lists what was made last first.
fn is_newest_first(folder: &Path) -> io::Result<bool> {
    let probe = folder.join("probe");
    std::fs::create_dir(&probe)?;
    for name in ["a", "b"] {
        std::fs::write(probe.join(name), b"")?;
    }
    let first = std::fs::read_dir(&probe)?.next().transpose()?;
    Ok(first.is_some_and(|entry| entry.file_name() == "b"))
}

struct Skeleton {
    stub: PathBuf,
    newest_first: bool,
    left: usize,
}

impl Skeleton {
    /// What can't be read or made is left out: it is listed where it would have been.
    fn fill(&mut self, lowers: &[PathBuf], folder: &Path, depth: usize) {
        let mut order: Vec<OsString> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut folders: BTreeMap<OsString, Vec<PathBuf>> = BTreeMap::new();
        for lower in lowers {
            let Ok(entries) = std::fs::read_dir(lower) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if seen.insert(name.clone()) {
                    order.push(name.clone());
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.entry(name).or_default().push(entry.path());
                }
            }
        }
        if !self.newest_first {
            order.reverse();
        }
        for name in order {
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
            let path = folder.join(&name);
            let Some(below) = folders.remove(&name) else {
                drop(std::fs::hard_link(&self.stub, &path));
                continue;
            };
            if std::fs::create_dir(&path).is_ok() && depth < MAX_DEPTH {
                self.fill(&below, &path, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(folder: &Path) -> Vec<OsString> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_skeleton_lists_the_names_in_reverse() {
        let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for path in ["d/x", "d/y", "d/z"] {
            std::fs::create_dir_all(a.join(path).parent().unwrap()).unwrap();
            std::fs::write(a.join(path), b"").unwrap();
        }
        std::fs::create_dir_all(b.join("d/only")).unwrap();
        std::fs::write(b.join("file"), b"").unwrap();
        skeleton(&[&a, &b], memory.path()).unwrap();
        let names = memory.path().join("names");
        let mut natural = listed(&a.join("d"));
        natural.extend(listed(&b.join("d")));
        natural.reverse();
        assert_eq!(listed(&names.join("d")), natural);
        assert!(names.join("d/only").is_dir() && names.join("file").is_file());
    }
}
