//! A layer in the store → changes, whose contents are unpacked when the first of them is wanted.

use std::fs::File;
use std::io::{self, BufReader};
use std::sync::{Arc, Mutex, PoisonError};

use super::read::{self, Limits};
use super::{Layer, LayerError, Listing};
use crate::compression::Format;
use crate::oci::{DiffId, HashingReader, MediaType};
use crate::store::{Store, StoreError};
use crate::tree::{Backing, Changes, Fingerprint, ImagePath};

/// The kind under which listings are remembered, by diff ID here. A change to what they hold, or to how a tar is
/// read, is another kind: an older lith's reading must not reach a newer one's digest.
pub(crate) const LISTINGS: &str = "listing-1";

/// What a layer does. Its blob is read, and verified, if it has never been read before; and once more when the
/// first content is wanted.
pub fn open(store: &Arc<Store>, layer: &Layer) -> Result<Changes, LayerError> {
    let listing = listing(store, layer)?;
    let unpacked = Unpacked { store: Arc::clone(store), layer: layer.clone(), file: Mutex::default() };
    let backing: Arc<dyn Backing> = Arc::new(unpacked);
    Ok(listing.changes(&backing)?)
}

/// What is in a layer's tar.
pub fn listing(store: &Store, layer: &Layer) -> Result<Listing, LayerError> {
    if let Some(listing) = store.memo(LISTINGS, &layer.diff_id.to_string()) {
        return Ok(listing);
    }
    let listing = unpack(store, layer, None, |_| ())?;
    remember(store, layer, &listing)?;
    Ok(listing)
}

/// A hash of the order in which a layer's tar has its entries, which no listing keeps.
pub(crate) fn order(store: &Store, layer: &Layer) -> Result<Fingerprint, LayerError> {
    let mut hash = blake3::Hasher::new();
    unpack(store, layer, None, |path| _ = hash.update(path.as_bytes()).update(&[0]))?;
    Ok(Fingerprint(*hash.finalize().as_bytes()))
}

/// Remembers a listing for as long as the layer's blob is there.
pub(super) fn remember(store: &Store, layer: &Layer, listing: &Listing) -> Result<(), LayerError> {
    Ok(store.remember_with(LISTINGS, &layer.diff_id.to_string(), listing, vec![layer.digest()])?)
}

/// Reads a layer's blob to its end and verifies all: its digest, its size, its framing and its diff ID.
fn unpack(
    store: &Store,
    layer: &Layer,
    spool: Option<&mut File>,
    seen: impl FnMut(&ImagePath),
) -> Result<Listing, LayerError> {
    let broken = |error| LayerError::Blob { layer: layer.diff_id.clone(), error };
    let mut blob = BufReader::with_capacity(128 << 10, store.open_blob(&layer.descriptor)?);
    let format = format(layer, &mut blob).map_err(broken)?;
    let decoder = format.decoder(&mut blob).map_err(broken)?;
    let mut tar = HashingReader::new(decoder, layer.diff_id.algorithm());
    let listing = read::list_within(&mut tar, spool, Limits::default(), seen)
        .map_err(|error| LayerError::Read { layer: layer.diff_id.clone(), error })?;
    let found = DiffId::from_uncompressed(tar.finish().0);
    // A decoder may stop before the end of what it was given.
    io::copy(&mut blob, &mut io::sink()).map_err(broken)?;
    if found != layer.diff_id {
        return Err(LayerError::DiffId { expected: layer.diff_id.clone(), found });
    }
    Ok(listing)
}

/// How the blob is compressed: as its first bytes say, since media types of old images can't be relied on, but
/// for a plain tar, which may begin with any name.
fn format(layer: &Layer, blob: &mut impl io::BufRead) -> io::Result<Format> {
    match layer.descriptor.media_type() {
        MediaType::ImageLayer | MediaType::ImageLayerNonDistributable => Ok(Format::Plain),
        _ => Ok(Format::detect(blob.fill_buf()?)),
    }
}

/// The uncompressed tar of a layer, in an unnamed file.
#[derive(Debug)]
struct Unpacked {
    store: Arc<Store>,
    layer: Layer,
    file: Mutex<Option<Arc<File>>>,
}

impl Backing for Unpacked {
    fn file(&self) -> io::Result<Arc<File>> {
        // What a panic elsewhere left is whole: it is set last.
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*slot {
            return Ok(Arc::clone(file));
        }
        let mut file = self.store.temp_file().map_err(into_io)?;
        unpack(&self.store, &self.layer, Some(&mut file), |_| ()).map_err(io::Error::other)?;
        Ok(Arc::clone(slot.insert(Arc::new(file))))
    }
}

fn into_io(error: StoreError) -> io::Error {
    io::Error::other(error)
}
