//! Where a path leads in a root file system, as somebody inside would find it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, readlinkat, statat};
use rustix::io::Errno;

use super::mounts;

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// A path with all links followed; the last parts may not be there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    parts: Vec<OsString>,
    /// How many of the parts are there.
    there: usize,
    /// What is at the end, if that is there.
    folder: bool,
}

impl Place {
    /// Follows `path` inside of `root`. Where somebody else changes that meanwhile, it may be right no more, but
    /// nothing outside was looked at.
    pub(super) fn find(root: BorrowedFd<'_>, path: &[u8]) -> Result<Self, Errno> {
        let mut place = Self { parts: Vec::new(), there: 0, folder: true };
        let mut todo: VecDeque<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                place.parts.pop();
                place.there = place.there.min(place.parts.len());
                place.folder = true;
                continue;
            }
            if place.is_missing() {
                place.parts.push(part);
                continue;
            }
            if !place.folder {
                return Err(Errno::NOTDIR);
            }
            let folder = mounts::open_in(root, &place.path()).map_err(mounts::errno)?;
            match statat(&folder, &part, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => place.parts.push(part),
                Err(error) => return Err(error),
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                    links += 1;
                    if links > LINKS {
                        return Err(Errno::LOOP);
                    }
                    let target = readlinkat(&folder, &part, Vec::new())?.into_bytes();
                    if target.starts_with(b"/") {
                        place = Self { parts: Vec::new(), there: 0, folder: true };
                    }
                    for part in self::parts(&target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                Ok(stat) => {
                    place.parts.push(part);
                    place.there = place.parts.len();
                    place.folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                }
            }
        }
        Ok(place)
    }

    pub(super) fn is_missing(&self) -> bool {
        self.there < self.parts.len()
    }

    /// Only where it is there.
    pub(super) fn is_folder(&self) -> bool {
        self.folder
    }

    pub(super) fn is_root(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn is_in(&self, top: &str) -> bool {
        self.parts.first().is_some_and(|first| first == top)
    }

    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.parts.len() > other.parts.len() && self.parts.starts_with(&other.parts)
    }

    /// Relative to the root.
    pub(super) fn path(&self) -> PathBuf {
        self.parts.iter().collect()
    }

    /// The folders above it that are there, outermost first.
    pub(super) fn folders_there(&self) -> impl Iterator<Item = PathBuf> {
        let above = self.there.min(self.parts.len().saturating_sub(1));
        (1..=above).map(|length| self.parts[..length].iter().collect())
    }

    /// The folders above it that are missing, outermost first.
    pub(super) fn folders_missing(&self) -> impl Iterator<Item = PathBuf> {
        (self.there + 1..self.parts.len()).map(|length| self.parts[..length].iter().collect())
    }
}

fn parts(path: &[u8]) -> VecDeque<OsString> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| OsString::from_vec(part.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(path: &str) -> Result<(PathBuf, bool), Errno> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/file"), "").unwrap();
        for (link, target) in [
            ("abs", "/a/b"),
            ("up", "../../../../a"),
            ("dangling", "/new/place"),
            ("loop", "loop"),
            ("a/b/rel", "../file"),
        ] {
            symlink(target, root.path().join(link)).unwrap();
        }
        let folder = std::fs::File::open(root.path()).unwrap();
        let place = Place::find(folder.as_fd(), path.as_bytes())?;
        Ok((place.path(), !place.is_missing()))
    }

    #[test]
    fn links_lead_nowhere_but_inside() {
        let there = |path: &str| Ok((PathBuf::from(path), true));
        let missing = |path: &str| Ok((PathBuf::from(path), false));
        assert_eq!(found("/"), there(""));
        assert_eq!(found("/a//./b/"), there("a/b"));
        assert_eq!(found("/abs/rel"), there("a/file"));
        assert_eq!(found("/up/b"), there("a/b"));
        assert_eq!(found("/../../etc"), missing("etc"));
        assert_eq!(found("/abs/x/y"), missing("a/b/x/y"));
        assert_eq!(found("/dangling/x"), missing("new/place/x"));
        assert_eq!(found("/missing/../a/b"), there("a/b"));
        assert_eq!(found("/loop/x"), Err(Errno::LOOP));
        assert_eq!(found("/a/file/x"), Err(Errno::NOTDIR));
    }

    #[test]
    fn the_folders_above_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        let folder = std::fs::File::open(root.path()).unwrap();
        let place = |path: &str| Place::find(folder.as_fd(), path.as_bytes()).unwrap();
        let strings = |paths: &mut dyn Iterator<Item = PathBuf>| {
            paths.map(|p| p.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let new = place("/a/b/c/d");
        assert_eq!(strings(&mut new.folders_there()), ["a", "a/b"]);
        assert_eq!(strings(&mut new.folders_missing()), ["a/b/c"]);
        assert_eq!(strings(&mut place("/a/b").folders_there()), ["a"]);
        assert_eq!(strings(&mut place("/a/b").folders_missing()), Vec::<String>::new());
    }
}
