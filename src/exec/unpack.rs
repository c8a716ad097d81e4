//! ADD of an archive: a file becomes the tree that is packed in it.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::sync::{Arc, OnceLock};

use super::ExecError;
use crate::compression;
use crate::layer::read::{self, ReadError};
use crate::layer::{LISTINGS, Listing};
use crate::store::Store;
use crate::tree::{Backing, Content, ContentError, Tree};

/// The tree in `content`, if that is a tar, compressed or not. Looks at the bytes, never at the name.
///
/// What is compressed and holds no tar, or breaks before its first header, is a file like any other.
pub(super) fn tree(store: &Arc<Store>, content: &Content) -> Result<Option<Tree>, ExecError> {
    if !is_archive(content)? {
        return Ok(None);
    }
    let packed = Packed { store: Arc::clone(store), content: content.clone(), file: OnceLock::new() };
    let key = |fingerprint| format!("archive {fingerprint:?}");
    let known = content.known_fingerprint().and_then(|f| store.memo::<Listing>(LISTINGS, &key(f)));
    let listing = match known {
        Some(listing) => listing,
        None => {
            let (listing, file) = packed.unpack()?;
            packed.file.get_or_init(|| file);
            store.remember(LISTINGS, &key(content.fingerprint()?), &listing)?;
            listing
        }
    };
    let backing: Arc<dyn Backing> = Arc::new(packed);
    Ok(Some(listing.tree(&backing)?))
}

fn is_archive(content: &Content) -> Result<bool, ContentError> {
    let mut header = Vec::new();
    let mut reading = content.open()?;
    let decoded = compression::decode(BufReader::new(&mut reading))
        .and_then(|decoder| decoder.take(512).read_to_end(&mut header));
    Ok(decoded.is_ok() && read::is_header(&header))
}

/// An archive, unpacked to a temporary file when the first of its files is read.
#[derive(Debug)]
struct Packed {
    store: Arc<Store>,
    content: Content,
    file: OnceLock<Arc<File>>,
}

impl Packed {
    /// Reads the archive once: what is in it, and its bytes for later.
    fn unpack(&self) -> Result<(Listing, Arc<File>), ExecError> {
        let mut spool = self.store.temp_file()?;
        let mut reading = self.content.open()?;
        let decoder =
            compression::decode(BufReader::with_capacity(1 << 17, &mut reading)).map_err(ReadError::Io)?;
        let listing = read::list(decoder, Some(&mut spool))?;
        io::copy(&mut reading, &mut io::sink()).map_err(ReadError::Io)?;
        reading.finish()?;
        Ok((listing, Arc::new(spool)))
    }
}

impl Backing for Packed {
    fn file(&self) -> io::Result<Arc<File>> {
        if let Some(file) = self.file.get() {
            return Ok(Arc::clone(file));
        }
        let (_, file) = self.unpack().map_err(io::Error::other)?;
        Ok(Arc::clone(self.file.get_or_init(|| file)))
    }
}
