//! Writing and reading blobs: no digest before the last byte, no byte without its digest.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Store, StoreError, doing, make_folder, named_temp, open_regular, sorted_entries, sync_folder};
use crate::oci::{Algorithm, Descriptor, Digest, Digester, HashingReader};

/// Writes a blob to a temporary file, hashing as it goes. Dropped, it leaves nothing; only finishing it makes a
/// blob, and its digest.
#[derive(Debug)]
pub struct BlobWriter {
    file: NamedTempFile,
    digester: Digester,
    size: u64,
    blobs: PathBuf,
}

impl BlobWriter {
    pub(super) fn new(store: &Store) -> Result<Self, StoreError> {
        let folder = store.private("tmp");
        let file = named_temp(&folder).map_err(doing("making a temporary file in", &folder))?;
        Ok(Self { file, digester: Digester::new(Algorithm::Sha256), size: 0, blobs: store.blobs() })
    }

    /// Makes it a blob, flushed and named. One that is there already is left as it is.
    pub fn finish(self) -> Result<(Digest, u64), StoreError> {
        let digest = self.digester.finish();
        Self::name(self.file, &self.blobs, &digest, self.size)?;
        Ok((digest, self.size))
    }

    /// As [`BlobWriter::finish`], if it is the blob that was expected; otherwise nothing is stored.
    pub fn finish_expecting(self, expected: &Descriptor) -> Result<(), StoreError> {
        let wanted = digest_of(expected).map_err(doing("storing a blob in", &self.blobs))?;
        let found = match wanted.algorithm() {
            Algorithm::Sha256 => self.digester.finish(),
            // Rare enough to be read again for it.
            other @ Algorithm::Sha512 => {
                hash_file(self.file.path(), other).map_err(doing("reading", self.file.path()))?
            }
        };
        if found != wanted || self.size != expected.size() {
            let (size, found_size) = (expected.size(), self.size);
            return Err(StoreError::Mismatch { expected: wanted, size, found, found_size });
        }
        Self::name(self.file, &self.blobs, &found, self.size)
    }

    fn name(file: NamedTempFile, blobs: &Path, digest: &Digest, size: u64) -> Result<(), StoreError> {
        let folder = blobs.join(digest.algorithm().name());
        let path = folder.join(digest.hex());
        if path.metadata().is_ok_and(|there| there.is_file() && there.len() == size) {
            return Ok(());
        }
        let name = || -> io::Result<()> {
            make_folder(&folder)?;
            file.as_file().sync_data()?;
            file.persist(&path)?;
            sync_folder(&path)
        };
        name().map_err(doing("writing", &path))
    }
}

/// The digest of what is in a file now.
pub(super) fn hash_file(path: &Path, algorithm: Algorithm) -> io::Result<Digest> {
    let mut reader = HashingReader::new(open_regular(path)?, algorithm);
    let mut buffer = vec![0; 1 << 17];
    while reader.read(&mut buffer)? > 0 {}
    Ok(reader.finish().0)
}

impl Store {
    /// Every file in `blobs/`, sorted, with the digest that its path says, if it says one.
    pub(super) fn blob_files(&self) -> Result<Vec<(PathBuf, Option<Digest>)>, StoreError> {
        let list = |folder: &Path| sorted_entries(folder).map_err(doing("reading", folder));
        let mut found = Vec::new();
        for folder in list(&self.blobs())? {
            let files = if folder.is_dir() { list(&folder)? } else { vec![folder] };
            found.extend(files.into_iter().map(|path| {
                let digest = digest_in(path.strip_prefix(self.blobs()).unwrap_or(&path));
                (path, digest)
            }));
        }
        Ok(found)
    }
}

/// `sha256/…` → `sha256:…`
fn digest_in(path: &Path) -> Option<Digest> {
    path.to_str()?.replacen('/', ":", 1).parse().ok()
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.digester.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The digest that a descriptor names, strictly parsed.
pub fn digest_of(blob: &Descriptor) -> io::Result<Digest> {
    Digest::try_from(blob.digest()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Passes a blob's bytes on while it verifies them. The last of them are held back until the digest is known
/// to be right, so that whoever counts on the size alone can't be given a wrong blob either.
#[derive(Debug)]
pub struct Verified<R> {
    inner: R,
    left: u64,
    digester: Option<Digester>,
    expected: Digest,
    /// The store's file, if it is one: that its bytes are wrong is damage to the store.
    file: Option<PathBuf>,
}

impl<R: Read> Verified<R> {
    pub fn new(inner: R, blob: &Descriptor) -> io::Result<Self> {
        let expected = digest_of(blob)?;
        let digester = Some(Digester::new(expected.algorithm()));
        Ok(Self { inner, left: blob.size(), digester, expected, file: None })
    }

    /// A blob of the store: its errors hold a [`StoreError::Damaged`].
    pub(super) fn in_store(inner: R, blob: &Descriptor, file: PathBuf) -> io::Result<Self> {
        Ok(Self { file: Some(file), ..Self::new(inner, blob)? })
    }

    /// The digest that the bytes are to have.
    pub fn digest(&self) -> &Digest {
        &self.expected
    }

    fn check_digest(&mut self) -> io::Result<()> {
        let Some(digester) = self.digester.take() else { return Ok(()) };
        let found = digester.finish();
        if found == self.expected {
            return Ok(());
        }
        Err(self.invalid(format!("its bytes have the digest `{found}`")))
    }

    fn invalid(&self, what: impl std::fmt::Display) -> io::Error {
        let kind = io::ErrorKind::InvalidData;
        match &self.file {
            Some(path) => {
                io::Error::new(kind, StoreError::Damaged { path: path.clone(), why: what.to_string() })
            }
            None => io::Error::new(kind, format!("blob `{}`: {what}", self.expected)),
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buffer)?;
        if n as u64 > self.left {
            return Err(self.invalid("it is longer than its descriptor says"));
        }
        if n == 0 && self.left > 0 {
            return Err(self.invalid(format!("it ends {} bytes before its descriptor says", self.left)));
        }
        self.left -= n as u64;
        if let Some(digester) = &mut self.digester {
            digester.update(&buffer[..n]);
        }
        if self.left == 0 {
            self.check_digest()?;
        }
        Ok(n)
    }
}
