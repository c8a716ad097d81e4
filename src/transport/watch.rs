//! What is told of blobs on their way: for progress, and for nothing else.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use super::Source;
use crate::image::Blobs;
use crate::oci::{Descriptor, Repository};

/// Is told of each blob that moves, from several threads at once.
pub trait Watch: fmt::Debug + Sync {
    /// Its bytes are about to move.
    fn began(&self, blob: &Descriptor);

    /// So many more of its bytes have moved, or need not.
    fn moved(&self, blob: &Descriptor, bytes: u64);

    /// It is where it should be.
    fn arrived(&self, blob: &Descriptor, how: Arrival);
}

/// How a blob came to be where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    Pulled,
    Pushed,
    /// An upload that had broken off was gone on with, from this byte.
    Resumed {
        from: u64,
    },
}

/// Blobs whose reading is watched.
pub struct Watched<'a, T: ?Sized> {
    blobs: &'a T,
    watch: &'a dyn Watch,
}

impl<'a, T: Blobs + ?Sized> Watched<'a, T> {
    pub fn new(blobs: &'a T, watch: &'a dyn Watch) -> Self {
        Self { blobs, watch }
    }

    fn count<'r>(&'r self, reader: Box<dyn Read + 'r>, blob: &Descriptor) -> Box<dyn Read + 'r> {
        self.watch.began(blob);
        Box::new(Counted { reader, blob: blob.clone(), left: blob.size(), watch: self.watch })
    }
}

impl<T: ?Sized> fmt::Debug for Watched<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

impl<T: Blobs + ?Sized> Blobs for Watched<'_, T> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Ok(self.count(self.blobs.open(blob)?, blob))
    }

    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Ok(self.count(self.blobs.open_unverified(blob)?, blob))
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        self.blobs.origins(blob)
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        self.blobs.file(blob)
    }
}

impl<T: Source + ?Sized> Source for Watched<'_, T> {
    fn root(&self) -> &Descriptor {
        self.blobs.root()
    }
}

/// A reader that tells of what it gives.
struct Counted<'a> {
    reader: Box<dyn Read + 'a>,
    blob: Descriptor,
    left: u64,
    watch: &'a dyn Watch,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read > 0 {
            self.watch.moved(&self.blob, read as u64);
            self.left = self.left.saturating_sub(read as u64);
            if self.left == 0 {
                self.watch.arrived(&self.blob, Arrival::Pulled);
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::image::{Memory, descriptor};
    use crate::oci::MediaType;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Heard {
        fn add(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Watch for Heard {
        fn began(&self, blob: &Descriptor) {
            self.add(format!("began {}", blob.size()));
        }

        fn moved(&self, _: &Descriptor, bytes: u64) {
            self.add(format!("moved {bytes}"));
        }

        fn arrived(&self, _: &Descriptor, how: Arrival) {
            self.add(format!("{how:?}"));
        }
    }

    #[test]
    fn a_blob_is_told_of_from_its_first_byte_to_its_last() {
        let mut memory = Memory::default();
        let digest = memory.put(b"abc".to_vec());
        let blob = descriptor(MediaType::ImageLayer, &digest, 3);
        let heard = Heard::default();
        let watched = Watched::new(&memory, &heard);
        let mut reader = watched.open(&blob).unwrap();
        reader.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(*heard.0.lock().unwrap(), ["began 3", "moved 2"]);
        reader.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(heard.0.lock().unwrap()[2..], ["moved 1", "Pulled"]);
    }
}
