//! The name of a layer before it is written, for caches.

use super::entries::{Body, Entry, entries};
use super::{Options, PROFILE};
use crate::tree::{Changes, Content};

/// A hash of everything that decides a layer's bytes: equal keys, equal layers. `None` where a file's content
/// isn't known yet, and where there is no such layer. It is no part of any output.
pub fn key(changes: &Changes, options: &Options) -> Option<String> {
    let mut key = Key(blake3::Hasher::new());
    key.bytes(PROFILE.as_bytes());
    key.bytes(options.compression.to_string().as_bytes());
    key.number(options.epoch.seconds());
    for entry in &entries(changes).ok()? {
        key.entry(entry)?;
    }
    Some(key.0.finalize().to_hex().to_string())
}

/// Fields of fixed length, or with their length before them, so that no two inputs are written alike.
struct Key(blake3::Hasher);

impl Key {
    fn number(&mut self, n: u64) {
        self.0.update(&n.to_le_bytes());
    }

    fn numbers(&mut self, numbers: [u32; 3]) {
        for n in numbers {
            self.number(n.into());
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Option<()> {
        self.bytes(&entry.name());
        let meta = entry.meta;
        self.numbers([u32::from(meta.mode), meta.uid, meta.gid]);
        let xattrs = || meta.xattrs.iter().filter(|(name, _)| super::tar::keeps_xattr(name));
        self.number(xattrs().count() as u64);
        for (name, value) in xattrs() {
            self.bytes(name);
            self.bytes(value);
        }
        self.body(entry)
    }

    fn body(&mut self, entry: &Entry<'_>) -> Option<()> {
        match entry.body {
            Body::File(content) => self.file(content)?,
            Body::Dir => self.number(1),
            Body::Symlink(target) => {
                self.number(2);
                self.bytes(target);
            }
            Body::Link(target) => {
                self.number(3);
                self.bytes(target.as_bytes());
            }
            Body::CharDevice(major, minor) => self.numbers([4, major, minor]),
            Body::BlockDevice(major, minor) => self.numbers([5, major, minor]),
            Body::Fifo => self.number(6),
            Body::Marker => self.number(7),
        }
        Some(())
    }

    fn file(&mut self, content: &Content) -> Option<()> {
        self.number(0);
        self.number(content.size());
        self.0.update(&content.known_fingerprint()?.0);
        Some(())
    }
}
