//! ADD of an archive: a file of the context becomes the tree that is packed in it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::sync::{Arc, OnceLock};

use super::ExecError;
use crate::compression::Format;
use crate::layer::{self, Listing};
use crate::store::Store;
use crate::tree::{Backing, Content, Tree};

/// The tree in `content`, if that is a tar, compressed or not. Looks at the bytes, never at the name.
///
/// What is compressed and holds no tar, or breaks before its first header, is a file like any other.
pub(super) fn tree(store: &Arc<Store>, content: &Content) -> Result<Option<Tree>, ExecError> {
    let Some(format) = detect(content)? else { return Ok(None) };
    let packed = Packed { store: Arc::clone(store), content: content.clone(), format, file: OnceLock::new() };
    let key = format!("{:?}", content.fingerprint()?);
    let listing = match store.memo::<Listing>("archive", &key) {
        Some(listing) => listing,
        None => {
            let listing = packed.list()?;
            store.remember("archive", &key, &listing)?;
            listing
        }
    };
    Ok(Some(listing.tree(Arc::new(packed))))
}

/// How the archive is compressed; `None` if it is none.
fn detect(content: &Content) -> Result<Option<Format>, ExecError> {
    let mut head = Vec::new();
    content.open()?.take(512).read_to_end(&mut head).map_err(|error| content.io(error))?;
    let format = Format::detect(&head);
    let mut header = Vec::new();
    let plain = format.decoder(BufReader::new(content.open()?));
    // Damaged or no archive at all: ADD copies it as it is.
    let is_tar = plain.take(512).read_to_end(&mut header).is_ok() && layer::read::is_header(&header);
    Ok(is_tar.then_some(format))
}

/// An archive, which is unpacked to a temporary file when the first of its files is read. One that isn't
/// compressed is its own unpacked form.
#[derive(Debug)]
struct Packed {
    store: Arc<Store>,
    content: Content,
    format: Format,
    file: OnceLock<Arc<File>>,
}

impl Packed {
    /// Reads the archive once: what is in it, and its bytes for later.
    fn list(&self) -> Result<Listing, ExecError> {
        let source = self.format.decoder(BufReader::with_capacity(1 << 17, self.content.open()?));
        let mut spool = self.store.temp_file()?;
        let listing = layer::read::list(Tee { source, spool: &mut spool }).map_err(layer::LayerError::from)?;
        spool.rewind().map_err(|error| self.content.io(error))?;
        self.file.get_or_init(|| Arc::new(spool));
        Ok(listing)
    }

    fn unpack(&self) -> io::Result<File> {
        let mut source = self.format.decoder(BufReader::with_capacity(1 << 17, self.content.open().map_err(io::Error::other)?));
        let mut spool = self.store.temp_file().map_err(io::Error::other)?;
        io::copy(&mut source, &mut spool)?;
        Ok(spool)
    }
}

impl Backing for Packed {
    fn file(&self) -> io::Result<Arc<File>> {
        if let Some(file) = self.file.get() {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(self.unpack()?);
        Ok(Arc::clone(self.file.get_or_init(|| file)))
    }
}

/// Writes what is read through it to a file.
struct Tee<'a, R> {
    source: R,
    spool: &'a mut File,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.spool.write_all(&buffer[..n])?;
        Ok(n)
    }
}
