//! Changes → a layer in the store.

use super::entries::entries;
use super::open::{remember, remember_files};
use super::{Layer, LayerError, Options, pipeline};
use crate::oci::{Descriptor, DiffId};
use crate::store::Store;
use crate::tree::Changes;

/// Writes the changes as a layer, in one pass over their files, each of which is read once. Sets the fingerprints
/// of their contents, and remembers what is where in the tar. If a file can't be read, or isn't what it was when
/// it was first seen, nothing is left behind.
pub fn create(store: &Store, changes: &Changes, options: &Options) -> Result<Layer, LayerError> {
    let entries = entries(changes)?;
    let mut writer = store.writer()?;
    let (listing, diff_id) = pipeline::write(&entries, options, &mut writer)?;
    let (digest, size) = writer.finish()?;
    let diff_id = diff_id.unwrap_or_else(|| DiffId::from_uncompressed(digest.clone()));
    let media_type = options.compression.media_type();
    let descriptor = Descriptor::new(media_type, size, oci_spec::image::Digest::from(&digest));
    let layer = Layer { descriptor, diff_id };
    remember(store, &layer, &listing)?;
    remember_files(store, &layer, changes)?;
    Ok(layer)
}
