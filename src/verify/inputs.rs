//! What a lock names, out of a store that is there already: each blob is verified on its way.

use std::sync::Arc;

use crate::image::{Image, descriptor};
use crate::lock::Lock;
use crate::oci::Digest;
use crate::store::Store;
use crate::text::causes;
use crate::transport::{StoreSource, TransportError, import_documents, put_blob};

/// Copies what `known` has. Says which of it are not what their names say.
pub(super) fn take(
    lock: &Lock,
    known: &Arc<Store>,
    store: &Arc<Store>,
) -> Result<Vec<String>, TransportError> {
    let mut damaged = Vec::new();
    let contexts = lock.contexts.iter().map(|(name, context)| (name, &context.image));
    for (name, image) in lock.images.iter().chain(contexts) {
        // What leads to them.
        if let Some(index) = known.manifest(&image.digest).map_err(TransportError::from)? {
            put_blob(store, &**known, &index)?;
        }
        for (platform, manifest) in &image.platforms {
            if !known.has(&manifest.digest) {
                continue;
            }
            let root = descriptor(manifest.media_type.clone(), &manifest.digest, manifest.size);
            let source = StoreSource::new(known, root);
            let copied = import_documents(&source, store, &platform.platform())
                .and_then(|image| layers(&image, known, store));
            if let Err(error) = copied {
                damaged.push(format!("the base `{}`: {}", crate::text::shown(name), causes(&error)));
            }
        }
    }
    let urls = lock.urls.iter().map(|(name, known)| (name, &known.digest, known.size));
    let network = lock.network.iter();
    let network = network.filter_map(|(name, known)| Some((name, known.digest.as_ref()?, known.size?)));
    for (name, digest, size) in urls.chain(network) {
        if let Err(error) = blob(digest, size, known, store) {
            damaged.push(format!("`{}`: {}", crate::text::shown(name), causes(&error)));
        }
    }
    Ok(damaged)
}

fn layers(image: &Image, known: &Arc<Store>, store: &Store) -> Result<(), TransportError> {
    // Those that are not here come from the registry, when somebody wants them.
    let here = image.layers.iter().filter(|layer| known.has(&layer.digest()));
    here.map(|layer| &layer.descriptor).try_for_each(|layer| put_blob(store, &**known, layer))
}

fn blob(digest: &Digest, size: u64, known: &Arc<Store>, store: &Store) -> Result<(), TransportError> {
    if !known.has(digest) {
        return Ok(());
    }
    put_blob(store, &**known, &crate::proxy::descriptor(digest, size))
}
