//! From a source to a sink, and into the store.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Sink, Source, TransportError};
use crate::image::{Artifact, Blobs, Image, load, load_all};
use crate::oci::{Descriptor, Digest, Platform};
use crate::store::Store;

/// Copies what `source` has into `sink`: all of it or, of an index, only the image for `platform`.
pub fn copy(
    source: &dyn Source,
    sink: &mut dyn Sink,
    platform: Option<&Platform>,
) -> Result<Digest, TransportError> {
    let artifact = match platform {
        Some(platform) => Artifact::Image(load(source, source.root(), platform)?),
        None => load_all(source, source.root())?,
    };
    sink.put(&artifact, source)
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
    put_blob(store, source, &image.config.descriptor)?;
    put_blob(store, source, &image.manifest.descriptor)?;
    Ok(image)
}

/// Brings those layers of an image that the store hasn't got into it.
pub fn import_layers(image: &Image, blobs: &dyn Blobs, store: &Store) -> Result<(), TransportError> {
    each(&image.layers, |layer| put_blob(store, blobs, &layer.descriptor))
}

/// Brings one blob into the store, verified on its way, unless it is there.
pub(super) fn put_blob(store: &Store, blobs: &dyn Blobs, blob: &Descriptor) -> Result<(), TransportError> {
    let failed = |error| TransportError::Io { what: format!("copying blob `{}`", blob.digest()), error };
    if store.has(&crate::image::digest_of(blob).map_err(failed)?) {
        return Ok(());
    }
    let mut writer = store.writer()?;
    super::file::pump(&mut *blobs.open(blob).map_err(failed)?, &mut writer).map_err(failed)?;
    Ok(writer.finish_expecting(blob)?)
}

/// Does `work` on each item, on all cores, and gives the first error. What has begun when one fails is finished.
pub(super) fn each<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), TransportError> + Sync,
) -> Result<(), TransportError> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                failure.lock().expect("no holder panics").get_or_insert(error);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    failure.into_inner().expect("no holder panics").map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_its_turn_until_one_fails() {
        let done = AtomicUsize::new(0);
        let count = |_: &u8| {
            done.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        each(&[0; 100], count).unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 100);
        each(&[], count).unwrap();
        let fail = |_: &u8| Err(TransportError::NoImage { sink: "a test" });
        assert!(matches!(each(&[0; 100], fail), Err(TransportError::NoImage { .. })));
    }
}
