//! Where an image's blobs come from: a store, a layout, an archive, a registry.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use crate::oci::{Descriptor, Digest, Repository};
use crate::store::{Store, Verified, digest_of};

/// Blobs by descriptor.
pub trait Blobs: Sync {
    /// A reader of the blob's bytes, which verifies them: read to its end it has given exactly the bytes that the
    /// descriptor's digest and size are of, or an error of kind [`io::ErrorKind::InvalidData`]. A blob that isn't
    /// there is [`io::ErrorKind::NotFound`].
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>>;

    /// As [`Blobs::open`], for those who verify what they read themselves: hashing twice is half the cost of a copy.
    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        self.open(blob)
    }

    /// Repositories of registries that are known to have held this blob: a push to one of these registries may ask
    /// for it from there, in place of sending it. Never relied on.
    fn origins(&self, _blob: &Descriptor) -> Vec<Repository> {
        Vec::new()
    }

    /// The file that holds this blob and nothing else, if there is one. Nothing has verified it: it is for those
    /// who let the kernel copy it and verify their copy.
    fn file(&self, _blob: &Descriptor) -> Option<File> {
        None
    }
}

impl Blobs for Store {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        if !self.has(&digest) {
            return Err(not_found(&digest));
        }
        Ok(Box::new(self.open_blob(blob).map_err(io::Error::other)?))
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        File::open(self.blob_path(&digest_of(blob).ok()?)).ok()
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        digest_of(blob).map(|digest| self.origins_of(&digest)).unwrap_or_default()
    }
}

/// Blobs held in memory: what was made on the spot, as the documents of a converted image are.
#[derive(Debug, Clone, Default)]
pub struct Memory(BTreeMap<Digest, Vec<u8>>);

impl Memory {
    /// Holds `bytes` and gives their digest.
    pub fn put(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.0.insert(digest.clone(), bytes);
        digest
    }
}

impl Blobs for Memory {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        let bytes = self.0.get(&digest).ok_or_else(|| not_found(&digest))?;
        Ok(Box::new(Verified::new(&bytes[..], blob)?))
    }
}

/// The error for a blob that isn't there.
pub fn not_found(digest: &Digest) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no blob `{digest}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::descriptor;
    use crate::oci::MediaType;

    fn read(actual: &[u8], said: &[u8], size: u64) -> io::Result<Vec<u8>> {
        let blob = descriptor(MediaType::ImageLayer, &Digest::of(said), size);
        let mut bytes = Vec::new();
        // One byte at a time: no check may depend on how much comes at once.
        for byte in io::BufReader::with_capacity(1, Verified::new(actual, &blob)?).bytes() {
            bytes.push(byte?);
        }
        Ok(bytes)
    }

    #[test]
    fn only_the_right_bytes_pass() {
        assert_eq!(read(b"abc", b"abc", 3).unwrap(), b"abc");
        assert_eq!(read(b"", b"", 0).unwrap(), b"");
        for (actual, said, size) in [
            (&b"abd"[..], &b"abc"[..], 3),
            (b"ab", b"abc", 3),
            (b"abcd", b"abc", 3),
            (b"abc", b"abc", 4),
            (b"abc", b"abc", 2),
            (b"", b"x", 0),
            (b"x", b"", 0),
        ] {
            assert_eq!(read(actual, said, size).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn the_last_bytes_of_a_wrong_blob_are_held_back() {
        let blob = descriptor(MediaType::ImageLayer, &Digest::of(b"abc"), 3);
        let mut buffer = [0; 3];
        assert!(Verified::new(&b"xyz"[..], &blob).unwrap().read_exact(&mut buffer).is_err());
    }
}
