//! From a source to a sink, and into the store.

use std::io::{self, Write as _};

use super::{Sink, Source, TransportError};
use crate::image::{Artifact, Blobs, Image, load, load_all};
use crate::oci::{Descriptor, Digest, Platform};
use crate::parallel;
use crate::store::{Store, digest_of};

/// Copies what `source` has into `sink`: all of it or, of an index, only the image for `platform`.
pub fn copy(
    source: &dyn Source,
    sink: &mut dyn Sink,
    platform: Option<&Platform>,
) -> Result<Digest, TransportError> {
    sink.put(&read(source, platform)?, source)
}

/// Reads the documents of what `source` has: all of it or, of an index, only the image for `platform`.
pub fn read(source: &dyn Source, platform: Option<&Platform>) -> Result<Artifact, TransportError> {
    Ok(match platform {
        Some(platform) => Artifact::Image(load(source, source.root(), platform)?),
        None => load_all(source, source.root())?,
    })
}

/// Brings the image for `platform` into the store, whole.
pub fn import(source: &dyn Source, store: &Store, platform: &Platform) -> Result<Image, TransportError> {
    let image = import_documents(source, store, platform)?;
    import_layers(&image, source, store)?;
    Ok(image)
}

/// Brings an image's manifest and config into the store, and leaves its layers for when somebody needs them.
pub fn import_documents(
    source: &dyn Source,
    store: &Store,
    platform: &Platform,
) -> Result<Image, TransportError> {
    let image = load(source, source.root(), platform)?;
    put_bytes(store, &image.config.descriptor, &image.config.bytes)?;
    put_bytes(store, &image.manifest.descriptor, &image.manifest.bytes)?;
    Ok(image)
}

/// Brings those layers of an image that the store hasn't got into it.
pub fn import_layers(image: &Image, blobs: &dyn Blobs, store: &Store) -> Result<(), TransportError> {
    each(&image.layers, |layer| put_blob(store, blobs, &layer.descriptor))
}

/// Brings one blob into the store, verified on its way, unless it is there.
pub fn put_blob(store: &Store, blobs: &dyn Blobs, blob: &Descriptor) -> Result<(), TransportError> {
    let failed = |error| TransportError::Io { what: format!("copying blob `{}`", blob.digest()), error };
    let digest = digest_of(blob).map_err(failed)?;
    let origins = blobs.origins(blob);
    if !store.has(&digest) {
        let mut writer = store.writer()?;
        super::file::pump(&mut *blobs.open_unverified(blob).map_err(failed)?, &mut writer).map_err(failed)?;
        writer.finish_expecting(blob).map_err(|error| match origins.first() {
            Some(origin) => {
                let what = format!("copying blob `{}` from `{origin}`", blob.digest());
                TransportError::Io { what, error: io::Error::new(io::ErrorKind::InvalidData, error) }
            }
            None => error.into(),
        })?;
    }
    store.note_origins(&digest, &origins);
    Ok(())
}

/// Brings a document that has been read and verified already into the store, unless it is there.
pub(super) fn put_bytes(store: &Store, blob: &Descriptor, bytes: &[u8]) -> Result<(), TransportError> {
    let failed = |error| TransportError::Io { what: "writing to the store".into(), error };
    if store.has(&digest_of(blob).map_err(failed)?) {
        return Ok(());
    }
    let mut writer = store.writer()?;
    writer.write_all(bytes).map_err(failed)?;
    Ok(writer.finish_expecting(blob)?)
}

/// As many transfers at once as a registry doesn't mind.
pub(super) const TRANSFERS: usize = 6;

/// Does `work` on each item, several at once: on as many as there are cores to hash them, too.
pub(super) fn each<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), TransportError> + Sync,
) -> Result<(), TransportError> {
    parallel::each(items, parallel::cores().max(TRANSFERS), work)
}
