//! What is taken out of a step's changes because tools leave it behind, differing each time, and nobody needs it.
//!
//! Each cleaner has a name, and can be switched off; which are on is in the step's key. They see changes
//! only: what the layers below hold is never touched. docs/run.md has the list, with the reasons.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::oci::Epoch;
use crate::tree::{Changes, Content, ContentError, ImagePath, Kind, Node, Tree};

/// The cleaners that are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaners(BTreeSet<Cleaner>);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cleaner {
    /// ldconfig's cache of what it looked at: inode numbers and times.
    Ldconfig,
    /// What package managers did and when.
    PackageLogs,
    /// apt's caches of its lists: times, and offsets that depend on them.
    AptCache,
    /// A machine's identity, which an image must not have.
    MachineId,
    /// The time of the source in Python's compiled files.
    Pyc,
}

impl Cleaner {
    pub const ALL: [Self; 5] =
        [Self::Ldconfig, Self::PackageLogs, Self::AptCache, Self::MachineId, Self::Pyc];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ldconfig => "ldconfig",
            Self::PackageLogs => "package-logs",
            Self::AptCache => "apt-cache",
            Self::MachineId => "machine-id",
            Self::Pyc => "pyc",
        }
    }

    /// Files that are left out.
    fn leaves_out(self) -> &'static [&'static str] {
        match self {
            Self::Ldconfig => &["var/cache/ldconfig/aux-cache"],
            Self::PackageLogs => &[
                "var/log/alternatives.log",
                "var/log/apt/eipp.log.xz",
                "var/log/apt/history.log",
                "var/log/apt/term.log",
                "var/log/bootstrap.log",
                "var/log/dpkg.log",
            ],
            Self::AptCache => &["var/cache/apt/pkgcache.bin", "var/cache/apt/srcpkgcache.bin"],
            Self::MachineId => &["var/lib/dbus/machine-id"],
            Self::Pyc => &[],
        }
    }
}

impl Default for Cleaners {
    fn default() -> Self {
        Self(Cleaner::ALL.into())
    }
}

impl fmt::Display for Cleaners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// `all`, `none`, names, and names with `-` before them, by commas; the first says where it starts from.
impl FromStr for Cleaners {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cleaners = match text.starts_with('-') {
            true => Self::default(),
            false => Self(BTreeSet::new()),
        };
        for word in text.split(',').map(str::trim) {
            let (name, on) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
            match (name, on) {
                ("all", true) | ("none", false) => cleaners = Self::default(),
                ("none", true) | ("all", false) => cleaners.0.clear(),
                _ => {
                    let cleaner = Cleaner::ALL.into_iter().find(|cleaner| cleaner.name() == name);
                    let cleaner = cleaner.ok_or_else(|| {
                        let names: Vec<&str> = Cleaner::ALL.iter().map(|cleaner| cleaner.name()).collect();
                        format!("`{name}` is no cleaner: there are {}", names.join(", "))
                    })?;
                    if on {
                        cleaners.0.insert(cleaner)
                    } else {
                        cleaners.0.remove(&cleaner)
                    };
                }
            }
        }
        Ok(cleaners)
    }
}

/// What was done to changes, so that the folder that they came from can follow.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Cleaned {
    pub(super) removed: BTreeSet<ImagePath>,
    /// Files with other content than on the disk.
    pub(super) rewritten: bool,
}

impl Cleaners {
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|cleaner| cleaner.name()).collect()
    }

    fn has(&self, cleaner: Cleaner) -> bool {
        self.0.contains(&cleaner)
    }

    pub(super) fn clean(
        &self,
        changes: &mut Changes,
        below: &Tree,
        epoch: Epoch,
    ) -> Result<Cleaned, ContentError> {
        let mut cleaned = Cleaned::default();
        for name in self.0.iter().flat_map(|cleaner| cleaner.leaves_out()) {
            let path = ImagePath::new(name.as_bytes()).expect("a constant");
            if changes.puts.get(&path).is_some_and(is_plain) {
                changes.puts.remove(&path);
                cleaned.removed.insert(path);
            }
        }
        if self.has(Cleaner::MachineId) {
            machine_id(changes, below, &mut cleaned);
        }
        if self.has(Cleaner::Pyc) {
            for path in compiled(changes) {
                cleaned.rewritten |= date(&path, changes, epoch)?;
            }
        }
        Ok(cleaned)
    }
}

/// A file of one name: another name would be left without its content.
fn is_plain(node: &Node) -> bool {
    matches!(node.kind, Kind::File { inode: None, .. })
}

/// The file that is there but empty says to whoever starts the system first that it has none yet (machine-id(5)).
fn machine_id(changes: &mut Changes, below: &Tree, cleaned: &mut Cleaned) {
    let path = ImagePath::new(b"etc/machine-id").expect("a constant");
    let Some(node) = changes.puts.get_mut(&path).filter(|node| is_plain(node) && node.size() > 0) else {
        return;
    };
    // `uninitialized` is another word for it.
    if node.size() < 32 {
        return;
    }
    if below.contains(&path) {
        changes.puts.remove(&path);
        cleaned.removed.insert(path);
    } else {
        node.kind = Kind::File { content: Content::from_bytes(*b""), inode: None };
        cleaned.rewritten = true;
    }
}

/// Compiled files whose source came with them: in the layer, that has the time of the epoch.
fn compiled(changes: &Changes) -> Vec<ImagePath> {
    let is_compiled = |path: &&ImagePath| {
        path.name().ends_with(b".pyc")
            && changes.puts.get(*path).is_some_and(|node| matches!(node.kind, Kind::File { .. }))
            && source_of(path).is_some_and(|source| changes.puts.contains_key(&source))
    };
    changes.puts.keys().filter(is_compiled).cloned().collect()
}

/// `dir/__pycache__/name.cpython-311.opt-1.pyc` is of `dir/name.py`, `dir/name.pyc` too (PEP 3147).
fn source_of(path: &ImagePath) -> Option<ImagePath> {
    let stem = path.name().strip_suffix(b".pyc")?;
    let folder = path.parent().unwrap_or_default();
    let (folder, stem) = if folder.name() == b"__pycache__" {
        (folder.parent().unwrap_or_default(), stem.split(|&b| b == b'.').next()?)
    } else {
        (folder, stem)
    };
    folder.join_bytes(&[stem, b".py"].concat()).ok()
}

/// The head of a compiled file: magic number, flags, time and size of the source (PEP 552).
const HEAD: usize = 16;
const MAX_PYC: u64 = 64 << 20;

/// Gives the file the time of the epoch, if it has the time of its source at all.
fn date(path: &ImagePath, changes: &mut Changes, epoch: Epoch) -> Result<bool, ContentError> {
    let node = changes.puts.get_mut(path).expect("it was found there");
    let Kind::File { content, inode } = &node.kind else { return Ok(false) };
    let Some(mut bytes) = content.read_bounded(MAX_PYC)? else { return Ok(false) };
    let Some(head) = bytes.get_mut(..HEAD) else { return Ok(false) };
    // Python takes the time modulo 2³².
    let time = u32::try_from(epoch.seconds() & u64::from(u32::MAX)).expect("32 bits").to_le_bytes();
    if &head[2..4] != b"\r\n" || head[4..8] != [0; 4] || head[8..12] == time {
        return Ok(false);
    }
    head[8..12].copy_from_slice(&time);
    node.kind = Kind::File { content: Content::from_bytes(bytes), inode: *inode };
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::super::copy::testing::{listing, path, tree};
    use super::*;

    fn changes(text: &str) -> Changes {
        Changes::from(&tree(text))
    }

    fn cleaned(cleaners: &str, text: &str, below: &str) -> (String, Cleaned) {
        let mut changes = changes(text);
        let cleaners: Cleaners = cleaners.parse().unwrap();
        let cleaned = cleaners.clean(&mut changes, &tree(below), Epoch::from_seconds(9).unwrap()).unwrap();
        (listing(&changes), cleaned)
    }

    #[test]
    fn the_words() {
        let names = |text: &str| text.parse::<Cleaners>().map(|cleaners| cleaners.to_string());
        let all = "ldconfig,package-logs,apt-cache,machine-id,pyc";
        assert_eq!(names("all").unwrap(), all);
        assert_eq!(names("none").unwrap(), "none");
        assert_eq!(names("-pyc").unwrap(), "ldconfig,package-logs,apt-cache,machine-id");
        assert_eq!(names("pyc, ldconfig").unwrap(), "ldconfig,pyc");
        assert_eq!(names("all,-ldconfig,-pyc").unwrap(), "package-logs,apt-cache,machine-id");
        assert!(names("pycs").unwrap_err().starts_with("`pycs` is no cleaner: there are ldconfig, "));
    }

    #[test]
    fn leftovers_are_left_out() {
        let text = "var/cache/ldconfig/aux-cache = x\nvar/log/dpkg.log = y\nvar/log/mine.log = z";
        let (found, cleaned_up) = cleaned("all", text, "");
        assert_eq!(found, "/var/log/mine.log 644 `z`\n");
        assert_eq!(cleaned_up.removed.len(), 2);
        assert!(!cleaned_up.rewritten);
        assert_eq!(cleaned("none", text, "").1, Cleaned::default());
        assert_eq!(cleaned("-package-logs", text, "").1.removed.len(), 1);
        // A link, a folder, one of several names: not what the tools write.
        let odd = "var/log/dpkg.log -> x\nvar/log/apt/term.log/\nvar/log/bootstrap.log @1 = b\nother @1 = b";
        assert_eq!(cleaned("all", odd, "").1, Cleaned::default());
    }

    #[test]
    fn an_image_is_no_machine() {
        let id = "etc/machine-id = 0123456789abcdef0123456789abcdef\\n";
        let (found, with) = cleaned("all", id, "");
        assert!(found.starts_with("/etc/machine-id 644") && !found.contains("0123"), "{found}");
        assert!(with.rewritten);
        let (found, with) = cleaned("all", id, "etc/machine-id = ffffffffffffffffffffffffffffffff");
        assert_eq!((found.as_str(), with.removed.len()), ("", 1));
        assert_eq!(cleaned("all", "etc/machine-id = uninitialized\\n", "").1, Cleaned::default());
    }

    #[test]
    fn compiled_files_have_the_epoch() {
        let pyc = |flags: u8, time: u8| {
            let mut bytes = vec![0xa7, 0x0d, b'\r', b'\n', flags, 0, 0, 0, time, 1, 1, 1, 5, 0, 0, 0];
            bytes.extend(b"code");
            bytes
        };
        let file = |bytes: Vec<u8>| {
            let mut node = tree("f").get(&path("f")).unwrap().clone();
            node.kind = Kind::File { content: Content::from_bytes(bytes), inode: None };
            node
        };
        let mut changes = changes("a/m.py = x\nn.py = y");
        let bytes = |changes: &Changes, at: &str| {
            changes.puts[&path(at)].content().unwrap().read_bounded(99).unwrap().unwrap()
        };
        for (at, content) in [
            ("a/__pycache__/m.cpython-311.opt-1.pyc", pyc(0, 3)),
            ("n.pyc", pyc(0, 3)),
            ("a/__pycache__/hashed.pyc", pyc(1, 3)),
            ("a/__pycache__/alone.cpython-311.pyc", pyc(0, 3)),
            ("a/hashed.py", b"h".to_vec()),
            ("short.py", b"s".to_vec()),
            ("short.pyc", b"\0\0\r\n".to_vec()),
        ] {
            changes.puts.insert(path(at), file(content));
        }
        let epoch = Epoch::from_seconds(0x01_0203_0405).unwrap();
        let done = Cleaners::default().clean(&mut changes, &Tree::default(), epoch).unwrap();
        assert!(done.rewritten && done.removed.is_empty());
        assert_eq!(bytes(&changes, "a/__pycache__/m.cpython-311.opt-1.pyc")[8..12], [5, 4, 3, 2]);
        assert_eq!(bytes(&changes, "n.pyc")[8..12], [5, 4, 3, 2]);
        assert_eq!(bytes(&changes, "a/__pycache__/hashed.pyc"), pyc(1, 3));
        assert_eq!(bytes(&changes, "a/__pycache__/alone.cpython-311.pyc"), pyc(0, 3));
        let again = Cleaners::default().clean(&mut changes, &Tree::default(), epoch).unwrap();
        assert!(!again.rewritten);
    }
}
