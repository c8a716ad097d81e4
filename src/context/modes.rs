//! How much of a file's attributes a context hands on.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use crate::tree::{ImagePath, Kind, Meta, Node, Tree};

/// The view of a context's files. Changing what one of them does changes digests: it is part of the image
/// contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Modes {
    /// What git sees of a file, so that umask, checkout and copying can't reach a digest: files 0644 or, where the
    /// owner may execute, 0755; folders 0755; set-id and sticky bits kept; no xattrs; no hard links.
    #[default]
    Git,
    /// Mode bits, hard links, `user.*` xattrs and `security.capability` as they are.
    Keep,
}

/// Why a text names no view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `git` or `keep`, found `{}`", .0.escape_debug())]
pub struct ParseModesError(String);

impl Modes {
    /// The attributes in the image of something that has these. The owner is root in any case.
    pub fn apply(self, meta: Meta, kind: &Kind) -> Meta {
        let mode = match (self, kind) {
            (_, Kind::Symlink(_)) => 0o777,
            (Self::Keep, _) => meta.mode,
            (Self::Git, Kind::Dir) => meta.mode & 0o7000 | 0o755,
            (Self::Git, _) if meta.mode & 0o100 != 0 => meta.mode & 0o7000 | 0o755,
            (Self::Git, _) => meta.mode & 0o7000 | 0o644,
        };
        let xattrs = match self {
            Self::Git => BTreeMap::new(),
            Self::Keep => meta.xattrs,
        };
        Meta { mode, uid: 0, gid: 0, xattrs }
    }

    /// All of a tree in this view, but for the root's own attributes, which no context has; and the files that it
    /// opens to everyone.
    pub(super) fn view<'a>(
        self,
        nodes: impl Iterator<Item = (&'a ImagePath, &'a Node)>,
    ) -> (Tree, Vec<ImagePath>) {
        let mut opened = Vec::new();
        let view = |(path, node): (&ImagePath, &Node)| {
            let mut node = node.clone();
            if let Kind::File { inode, .. } = &mut node.kind {
                inode.take_if(|_| self == Self::Git);
                if self.opens(node.meta.mode) {
                    opened.push(path.clone());
                }
            }
            node.meta = self.apply(node.meta, &node.kind);
            (path.clone(), node)
        };
        let tree = nodes.filter(|(path, _)| !path.is_root()).map(view).collect();
        (tree, opened)
    }

    /// Whether a file of that mode, which not everyone could read, becomes one that everyone can.
    pub(super) fn opens(self, mode: u16) -> bool {
        self == Self::Git && mode & 0o004 == 0
    }
}

/// The xattrs that an image may keep. A file system that has none has none.
pub(super) fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let kept = |name: &&[u8]| name.starts_with(b"user.") || *name == b"security.capability";
    let names = match whole(|buffer| rustix::fs::llistxattr(path, buffer)) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(BTreeMap::new()),
        names => names?,
    };
    names
        .split(|&b| b == 0)
        .filter(kept)
        .map(|name| Ok((name.to_vec(), whole(|buffer| rustix::fs::lgetxattr(path, name, buffer))?)))
        .collect()
}

/// Calls again with more room, until all fits. Neither a list nor a value is larger than 64 KiB (xattr(7)).
fn whole(mut get: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        match get(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(buffer);
            }
            Err(rustix::io::Errno::RANGE) if buffer.len() < 64 << 10 => buffer.resize(64 << 10, 0),
            Err(error) => return Err(error.into()),
        }
    }
}

impl FromStr for Modes {
    type Err = ParseModesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "git" => Ok(Self::Git),
            "keep" => Ok(Self::Keep),
            _ => Err(ParseModesError(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Git => "git",
            Self::Keep => "keep",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Content;

    #[test]
    fn git_sees_one_bit() {
        let file = Kind::File { content: Content::from_bytes(*b""), inode: None };
        let link = Kind::Symlink((*b"x").into());
        for (modes, kind, mode, expected) in [
            (Modes::Git, &file, 0o600, 0o644),
            (Modes::Git, &file, 0o666, 0o644),
            (Modes::Git, &file, 0o055, 0o644),
            (Modes::Git, &file, 0o100, 0o755),
            (Modes::Git, &file, 0o4711, 0o4755),
            (Modes::Git, &Kind::Dir, 0o1777, 0o1755),
            (Modes::Git, &Kind::Dir, 0o500, 0o755),
            (Modes::Git, &link, 0o700, 0o777),
            (Modes::Git, &Kind::Fifo, 0o622, 0o644),
            (Modes::Keep, &file, 0o6601, 0o6601),
            (Modes::Keep, &link, 0o700, 0o777),
        ] {
            let meta = Meta { mode, uid: 1000, gid: 100, xattrs: [(vec![1], vec![2])].into() };
            let found = modes.apply(meta, kind);
            assert_eq!((found.mode, found.uid, found.gid), (expected, 0, 0), "{modes} {mode:o}");
            assert_eq!(found.xattrs.is_empty(), modes == Modes::Git);
        }
    }

    #[test]
    fn names_are_read_and_written() {
        for modes in [Modes::Git, Modes::Keep] {
            assert_eq!(modes.to_string().parse(), Ok(modes));
        }
        assert!("Git".parse::<Modes>().is_err());
    }
}
