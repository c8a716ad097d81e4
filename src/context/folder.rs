//! A folder of this machine as a context.
//!
//! Every path is looked at with `lstat`, and nothing but folders is opened: files wait for a layer that wants
//! them, and FIFOs, devices and sockets are never touched. Links are kept as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::{Context, ContextError, Modes, Notes};
use crate::tree::pattern::{Cursor, Ignore};
use crate::tree::{Content, Fingerprint, ImagePath, Inode, Kind, Meta, Node, Source, Stat, Tree};

/// How to look at a folder.
pub struct Options<'a> {
    pub modes: Modes,
    pub ignore: Ignore,
    pub needed: Needed,
    /// Fingerprints of files that have not changed since an earlier build.
    pub known: Option<&'a Known<'a>>,
    /// Leaves out what git keeps in a checkout for itself.
    pub without_git_dirs: bool,
    /// A folder that is left out, if it is below: lith's own store, which no two builds find the same.
    pub without: Option<PathBuf>,
}

/// Gives the fingerprint of a file that is still as it was.
pub type Known<'a> = dyn Fn(&ImagePath, &Stat) -> Option<Fingerprint> + 'a;

/// The part of a context that a build asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Needed {
    #[default]
    All,
    /// These paths and all below them. A link that leads elsewhere makes everything needed.
    Below(BTreeSet<ImagePath>),
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            modes: Modes::default(),
            ignore: Ignore::default(),
            needed: Needed::All,
            known: None,
            without_git_dirs: false,
            without: None,
        }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("modes", &self.modes)
            .field("ignore", &self.ignore)
            .field("needed", &self.needed)
            .finish_non_exhaustive()
    }
}

/// Looks at a folder. A link to one will do; what is in it is never followed.
pub fn read(root: &Path, options: Options<'_>) -> Result<Context, ContextError> {
    let io = |error| ContextError::Io { path: root.into(), error };
    let root = root.canonicalize().map_err(io)?;
    if !root.metadata().map_err(io)?.is_dir() {
        return Err(ContextError::NotAFolder(root));
    }
    let mut found = Walk::new(&root, &options, &options.needed).run()?;
    if found.leads_elsewhere {
        found = Walk::new(&root, &options, &Needed::All).run()?;
    }
    let tree = found.nodes.into_iter().collect();
    Ok(Context { tree, notes: found.notes, ignore: options.ignore })
}

#[derive(Default)]
struct Found {
    nodes: Vec<(ImagePath, Node)>,
    notes: Notes,
    /// A link of the needed part points out of it.
    leads_elsewhere: bool,
}

struct Walk<'a> {
    root: &'a Path,
    options: &'a Options<'a>,
    needed: &'a Needed,
    cursor: Cursor<'a>,
    found: Found,
    /// Folders that are ignored, from the root down, while something in them may not be.
    pending: Vec<(ImagePath, PathBuf)>,
    inodes: BTreeMap<(u64, u64), Inode>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path, options: &'a Options<'a>, needed: &'a Needed) -> Self {
        let cursor = options.ignore.cursor();
        let (found, pending, inodes) = (Found::default(), Vec::new(), BTreeMap::new());
        Self { root, options, needed, cursor, found, pending, inodes }
    }

    /// Depth first, by a stack of its own: nesting is bounded by the file system alone.
    fn run(mut self) -> Result<Found, ContextError> {
        let mut stack = list(self.root)?;
        while let Some(entry) = stack.pop() {
            let path = self.image_path(entry.path())?;
            if self.look(&path, &entry)? {
                match list(entry.path()) {
                    Ok(entries) => stack.extend(entries),
                    Err(error) if self.is_pending(&path) && error.is_denied() => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(self.found)
    }

    /// Takes what stands at `path`, if it is wanted; says whether to look into it.
    fn look(&mut self, path: &ImagePath, entry: &DirEntry) -> Result<bool, ContextError> {
        let wanted = self.needed.wants(path);
        if wanted == Wanted::No || (self.options.without_git_dirs && path.name() == b".git") {
            return Ok(false);
        }
        while self.pending.last().is_some_and(|(folder, _)| !path.starts_with(folder)) {
            self.pending.pop();
        }
        let is_left_out = self.options.without.as_deref() == Some(entry.path());
        if self.cursor.excludes(path.as_bytes()) {
            if is_left_out || !entry.file_type().is_dir() || self.options.ignore.ends_at(path.as_bytes()) {
                return Ok(false);
            }
            self.pending.push((path.clone(), entry.path().into()));
            return Ok(true);
        }
        if is_left_out {
            self.found.notes.store = Some(path.clone());
            return Ok(false);
        }
        for (folder, on_disk) in std::mem::take(&mut self.pending) {
            self.take(&folder, &on_disk, Wanted::Yes)?;
        }
        self.take(path, entry.path(), wanted)
    }

    fn is_pending(&self, path: &ImagePath) -> bool {
        self.pending.last().is_some_and(|(folder, _)| folder == path)
    }

    /// Says whether it is a folder, by what `lstat` has to say.
    fn take(&mut self, path: &ImagePath, on_disk: &Path, wanted: Wanted) -> Result<bool, ContextError> {
        let metadata = match on_disk.symlink_metadata() {
            Ok(metadata) => metadata,
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(ContextError::Io { path: on_disk.into(), error }),
        };
        let is_dir = metadata.is_dir();
        if wanted == Wanted::OnTheWay && !is_dir && !metadata.is_symlink() {
            return Ok(false);
        }
        if metadata.file_type().is_socket() {
            self.found.notes.sockets.push(path.clone());
            return Ok(false);
        }
        match self.node(path, on_disk, &metadata) {
            Ok(node) => self.found.nodes.push((path.clone(), node)),
            Err(error) if is_gone(&error) => return Ok(false),
            Err(error) => return Err(ContextError::Io { path: on_disk.into(), error }),
        }
        Ok(is_dir)
    }

    fn node(&mut self, path: &ImagePath, on_disk: &Path, metadata: &Metadata) -> io::Result<Node> {
        let kind = self.kind(path, on_disk, metadata)?;
        let mode = u16::try_from(metadata.mode() & 0o7777).expect("twelve bits");
        let xattrs = match self.options.modes {
            Modes::Git => BTreeMap::new(),
            Modes::Keep => super::modes::xattrs(on_disk)?,
        };
        if matches!(kind, Kind::File { .. }) && self.options.modes.opens(mode) {
            self.found.notes.opened.push(path.clone());
        }
        let meta = self.options.modes.apply(Meta { mode, xattrs, ..Meta::default() }, &kind);
        Ok(Node { meta, mtime: metadata.mtime(), kind })
    }

    fn kind(&mut self, path: &ImagePath, on_disk: &Path, metadata: &Metadata) -> io::Result<Kind> {
        let file_type = metadata.file_type();
        let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        Ok(if file_type.is_dir() {
            Kind::Dir
        } else if file_type.is_symlink() {
            let target: Box<[u8]> = on_disk.read_link()?.as_os_str().as_bytes().into();
            self.found.leads_elsewhere |= self.needed.misses(path, &target);
            Kind::Symlink(target)
        } else if file_type.is_fifo() {
            Kind::Fifo
        } else if file_type.is_char_device() {
            Kind::CharDevice { major, minor }
        } else if file_type.is_block_device() {
            Kind::BlockDevice { major, minor }
        } else {
            Kind::File { content: self.content(path, on_disk, metadata), inode: self.inode(metadata) }
        })
    }

    fn content(&self, path: &ImagePath, on_disk: &Path, metadata: &Metadata) -> Content {
        let seen = Stat::from(metadata);
        let source = Source::File { path: Arc::new(on_disk.into()), seen };
        match self.options.known.and_then(|known| known(path, &seen)) {
            Some(fingerprint) => Content::with_fingerprint(seen.size, source, fingerprint),
            None => Content::new(seen.size, source),
        }
    }

    fn inode(&mut self, metadata: &Metadata) -> Option<Inode> {
        let shared = self.options.modes == Modes::Keep && metadata.nlink() > 1;
        shared.then(|| *self.inodes.entry((metadata.dev(), metadata.ino())).or_insert_with(Inode::fresh))
    }

    fn image_path(&self, on_disk: &Path) -> Result<ImagePath, ContextError> {
        // The walk only ever adds names to its root.
        ImagePath::new(&on_disk.as_os_str().as_bytes()[self.root.as_os_str().len()..])
            .map_err(|error| ContextError::Path { path: on_disk.into(), error })
    }
}

/// What is in a folder, last name first, so that a stack gives the first one. A folder that has gone, or
/// has become something else, holds nothing.
fn list(folder: &Path) -> Result<Vec<DirEntry>, ContextError> {
    let walk = WalkDir::new(folder).min_depth(1).max_depth(1).follow_root_links(false);
    let mut entries = Vec::new();
    for entry in walk {
        match entry.map_err(io::Error::from) {
            Ok(entry) => entries.push(entry),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(ContextError::Io { path: folder.into(), error }),
        }
    }
    // They differ in their names alone, and taking these out of the paths would be slower.
    entries.sort_unstable_by(|a, b| b.path().as_os_str().cmp(a.path().as_os_str()));
    Ok(entries)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl ContextError {
    fn is_denied(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// A folder with something needed in it.
    OnTheWay,
    No,
}

impl Needed {
    fn wants(&self, path: &ImagePath) -> Wanted {
        let Self::Below(paths) = self else { return Wanted::Yes };
        if paths.iter().any(|needed| path.starts_with(needed)) {
            Wanted::Yes
        } else if paths.iter().any(|needed| needed.starts_with(path)) {
            Wanted::OnTheWay
        } else {
            Wanted::No
        }
    }

    /// Whether the link at `path` may lead to something that isn't needed otherwise.
    fn misses(&self, path: &ImagePath, target: &[u8]) -> bool {
        if *self == Self::All {
            return false;
        }
        // After a name, `..` need not lead back: the name may be a link.
        let parts = || target.split(|&b| b == b'/').filter(|part| !part.is_empty() && *part != b".");
        if parts().skip_while(|part| *part == b"..").any(|part| part == b"..") {
            return true;
        }
        let from = path.parent().unwrap_or_default();
        let joined =
            if target.starts_with(b"/") { target.to_vec() } else { [from.as_bytes(), b"/", target].concat() };
        ImagePath::clamped(&joined).map_or(true, |target| self.wants(&target) != Wanted::Yes)
    }
}

/// The nodes of a tree without what a list ignores. Folders of what is left stay.
pub(super) fn filter<'a>(
    tree: &'a Tree,
    ignore: &Ignore,
) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> + use<'a> {
    let mut cursor = ignore.cursor();
    let kept: BTreeSet<&ImagePath> =
        tree.iter().map(|(path, _)| path).filter(|path| !cursor.excludes(path.as_bytes())).collect();
    let above: BTreeSet<ImagePath> = kept.iter().flat_map(|path| path.ancestors()).collect();
    tree.iter().filter(move |(path, _)| kept.contains(path) || above.contains(*path))
}

#[cfg(test)]
mod tests;
