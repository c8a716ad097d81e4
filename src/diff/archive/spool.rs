//! The temporary file that gets what an archive holds, one file after another.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::sync::Arc;

use super::{OpenError, Scratch};
use crate::tree::{Backing, Content, Fingerprint, Source};

#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    limit: u64,
    position: u64,
}

/// A part of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) fingerprint: Fingerprint,
}

impl Slice {
    pub(super) fn content(self, backing: &Arc<dyn Backing>) -> Content {
        let source = Source::Slice { file: Arc::clone(backing), offset: self.offset };
        Content::with_fingerprint(self.size, source, self.fingerprint)
    }
}

impl Spool {
    pub(super) fn new(scratch: &Scratch<'_>, limit: u64) -> Result<Self, OpenError> {
        Ok(Self { file: scratch().map_err(OpenError::Scratch)?, limit, position: 0 })
    }

    pub(super) fn left(&self) -> u64 {
        self.limit - self.position
    }

    /// For a reader of tars, which keeps its own count; nothing else is to be written then.
    pub(super) fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// As many bytes as it has taken, whoever wrote them.
    pub(super) fn written(&self) -> u64 {
        self.file.metadata().map_or(self.position, |metadata| metadata.len())
    }

    /// The whole of what `reader` gives.
    pub(super) fn take(&mut self, mut reader: impl Read) -> Result<Slice, OpenError> {
        let offset = self.position;
        let mut hash = blake3::Hasher::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(OpenError::Decode(error)),
            };
            if n as u64 > self.left() {
                return Err(OpenError::Limit { what: "content", limit: self.limit });
            }
            hash.update(&buffer[..n]);
            self.file.write_all(&buffer[..n]).map_err(OpenError::Scratch)?;
            self.position += n as u64;
        }
        let fingerprint = Fingerprint(*hash.finalize().as_bytes());
        Ok(Slice { offset, size: self.position - offset, fingerprint })
    }

    /// What was written, to read it.
    pub(super) fn backing(&mut self) -> Result<Arc<dyn Backing>, OpenError> {
        self.file.flush().and_then(|()| self.file.stream_position()).map_err(OpenError::Scratch)?;
        Ok(Arc::new(Arc::new(self.file.try_clone().map_err(OpenError::Scratch)?)))
    }
}
