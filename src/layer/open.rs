//! A layer in the store → changes, whose contents are unpacked when the first of them is wanted.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Layer, LayerError, Listing, read};
use crate::compression::Format;
use crate::oci::{DiffId, HashingReader, MediaType};
use crate::store::{Store, StoreError};
use crate::tree::{Backing, Changes, Fingerprint, ImagePath, Node};

/// The kind under which listings are remembered, by diff ID here. A change to what they hold, or to how a tar is
/// read, is another kind: an older lith's reading must not reach a newer one's digest.
pub(crate) const LISTINGS: &str = "listing-1";

/// The files that are looked into without any other of their layer being wanted: who users are.
const LOOKED_INTO: [&str; 2] = ["etc/group", "etc/passwd"];

/// Larger ones are read where they are.
const SMALL: u64 = 64 << 10;

/// The kind under which the bytes of small files are remembered, by fingerprint.
const FILES: &str = "file";

/// What a layer does. Its blob is read, and verified, if it has never been read before; and once more when the
/// first content is wanted.
pub fn open(store: &Arc<Store>, layer: &Layer) -> Result<Changes, LayerError> {
    let listing = listing(store, layer)?;
    Ok(listing.changes(&Unpacked::new(store, layer, None))?)
}

/// As [`open`], where the contents are wanted too: a blob that has never been read before is read once.
pub fn open_whole(store: &Arc<Store>, layer: &Layer) -> Result<Changes, LayerError> {
    if let Some(listing) = store.memo::<Listing>(LISTINGS, &layer.diff_id.to_string()) {
        return Ok(listing.changes(&Unpacked::new(store, layer, None))?);
    }
    let (listing, file) = spool(store, layer)?;
    remember(store, layer, &listing)?;
    Ok(listing.changes(&Unpacked::new(store, layer, Some(file)))?)
}

/// What is in a layer's tar.
pub fn listing(store: &Store, layer: &Layer) -> Result<Listing, LayerError> {
    if let Some(listing) = store.memo(LISTINGS, &layer.diff_id.to_string()) {
        return Ok(listing);
    }
    let listing = unpack(store, layer, None)?;
    remember(store, layer, &listing)?;
    Ok(listing)
}

/// Remembers a listing for as long as the layer's blob is there.
pub(super) fn remember(store: &Store, layer: &Layer, listing: &Listing) -> Result<(), LayerError> {
    Ok(store.remember_with(LISTINGS, &layer.diff_id.to_string(), listing, vec![layer.digest()])?)
}

/// Reads a layer's blob to its end and verifies all: its digest, its size, its framing and its diff ID.
fn unpack(store: &Store, layer: &Layer, spool: Option<&mut File>) -> Result<Listing, LayerError> {
    let broken = |error| LayerError::Blob { layer: layer.diff_id.clone(), error };
    let mut blob = BufReader::with_capacity(128 << 10, store.open_blob(&layer.descriptor)?);
    let format = format(layer, &mut blob).map_err(broken)?;
    let decoder = format.decoder(&mut blob).map_err(broken)?;
    let mut tar = HashingReader::new(decoder, layer.diff_id.algorithm());
    let listing = read::list(&mut tar, spool)
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

/// The uncompressed tar of a layer in an unnamed file, which all who read the layer now share.
fn spool(store: &Store, layer: &Layer) -> Result<(Listing, Arc<File>), LayerError> {
    let mut file = store.temp_file()?;
    let listing = unpack(store, layer, Some(&mut file))?;
    for name in LOOKED_INTO {
        if let Some(slice) = listing.file(name).filter(|slice| slice.size <= SMALL) {
            let mut bytes = vec![0; usize::try_from(slice.size).expect("it is small")];
            let broken = |error| LayerError::Blob { layer: layer.diff_id.clone(), error };
            file.read_exact_at(&mut bytes, slice.offset).map_err(broken)?;
            remember_file(store, layer, Fingerprint(slice.fingerprint), &bytes)?;
        }
    }
    let file = Arc::new(file);
    store.share_temp(&layer.diff_id.to_string(), &file);
    Ok((listing, file))
}

/// Remembers those of a new layer's files that are looked into, so that it needn't be unpacked for them.
pub(super) fn remember_files(store: &Store, layer: &Layer, changes: &Changes) -> Result<(), LayerError> {
    for name in LOOKED_INTO {
        let path = ImagePath::new(name.as_bytes()).expect("a constant");
        let Some(content) = changes.puts.get(&path).and_then(Node::content) else { continue };
        if let Some(bytes) = content.read_bounded(SMALL)? {
            remember_file(store, layer, content.fingerprint()?, &bytes)?;
        }
    }
    Ok(())
}

fn remember_file(
    store: &Store,
    layer: &Layer,
    fingerprint: Fingerprint,
    bytes: &[u8],
) -> Result<(), StoreError> {
    store.remember_with(FILES, &format!("{fingerprint:?}"), &bytes, vec![layer.digest()])
}

/// The uncompressed tar of a layer, in an unnamed file.
#[derive(Debug)]
struct Unpacked {
    store: Arc<Store>,
    layer: Layer,
    file: Mutex<Option<Arc<File>>>,
}

impl Unpacked {
    #[expect(clippy::new_ret_no_self, reason = "it is wanted as a backing only")]
    fn new(store: &Arc<Store>, layer: &Layer, file: Option<Arc<File>>) -> Arc<dyn Backing> {
        Arc::new(Self { store: Arc::clone(store), layer: layer.clone(), file: Mutex::new(file) })
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<File>>> {
        // What a panic elsewhere left is whole: it is set last.
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = self.store.shared_temp(&self.layer.diff_id.to_string());
        }
        slot
    }
}

impl Backing for Unpacked {
    fn file(&self) -> io::Result<Arc<File>> {
        let mut slot = self.known();
        if let Some(file) = &*slot {
            return Ok(Arc::clone(file));
        }
        let (_, file) = spool(&self.store, &self.layer).map_err(io::Error::other)?;
        Ok(Arc::clone(slot.insert(file)))
    }

    fn at_hand(&self, fingerprint: &Fingerprint) -> Option<Arc<[u8]>> {
        if self.known().is_some() {
            return None;
        }
        self.store.memo::<Vec<u8>>(FILES, &format!("{fingerprint:?}")).map(Arc::from)
    }
}
