//! A lock's blobs in a folder that goes with the source.

use std::sync::Arc;

use super::outside::{Outside, OutsideError};
use super::{BuildError, Request, Stages, parse, plan, wanted};
use crate::buildfile::Source;
use crate::exec::Report;
use crate::image::{MAX_MANIFEST, descriptor, digest_of};
use crate::lock::{Lock, LockedManifest};
use crate::oci::{Descriptor, Digest, MediaType};
use crate::plan::Plan;
use crate::store::{Store, Vendor};

impl Outside {
    /// Brings what the lock names, the store has not and the folder has: all but the answers to steps, which come when
    /// they are asked for.
    pub(super) fn bring_vendored(&self) -> Result<(), OutsideError> {
        let (Some(folder), Some(lock)) = (&self.vendor, self.with_lock(|memo| memo.lock().clone())) else {
            return Ok(());
        };
        let bring = |blob: &Descriptor| -> Result<bool, OutsideError> {
            Ok(has(&self.store, blob) || folder.bring(&self.store, blob)?)
        };
        for file in files(&lock) {
            bring(&file)?;
        }
        for manifest in manifests(&lock) {
            let manifest = document(manifest);
            if bring(&manifest)? {
                for blob in parts(&self.store, &manifest)? {
                    bring(&blob)?;
                }
            }
        }
        Ok(())
    }
}

/// Puts all that the lock names into a folder, images with their layers; gives how many blobs were not there yet.
pub fn vendor(
    source: &Source,
    request: &Request,
    outside: &Outside,
    store: &Arc<Store>,
    report: &dyn Report,
    folder: &Vendor,
) -> Result<usize, BuildError> {
    let file = parse(source)?;
    for whole in plan(&file, request, Stages::Run, outside, &|_| {})? {
        for target in wanted(&whole, request) {
            let plan = Plan { target, ..whole.clone() };
            outside.fetch(&plan, request, source.name(), report)?;
        }
    }
    let Some(lock) = outside.with_lock(|memo| memo.lock().clone()) else { return Ok(0) };
    let answers = lock.network.values().filter_map(|a| Some((a.digest.as_ref()?, a.size?)));
    let answers = answers.map(|(digest, size)| crate::proxy::descriptor(digest, size));
    let mut blobs: Vec<Descriptor> = files(&lock).chain(answers).collect();
    for manifest in manifests(&lock).map(document) {
        if has(store, &manifest) {
            blobs.extend(parts(store, &manifest)?);
            blobs.push(manifest);
        }
    }
    let mut new = 0;
    for blob in blobs {
        new += usize::from(folder.put(store, &blob).map_err(OutsideError::from)?);
    }
    Ok(new)
}

fn files(lock: &Lock) -> impl Iterator<Item = Descriptor> {
    let archives = lock.git.values().filter_map(|git| git.archive.as_ref());
    let files = lock.urls.values().chain(archives);
    files.map(|file| crate::proxy::descriptor(&file.digest, file.size))
}

fn manifests(lock: &Lock) -> impl Iterator<Item = &LockedManifest> {
    let images = lock.images.values().chain(lock.contexts.values().map(|context| &context.image));
    images.flat_map(|image| image.platforms.values())
}

fn document(manifest: &LockedManifest) -> Descriptor {
    descriptor(manifest.media_type.clone(), &manifest.digest, manifest.size)
}

/// The config and the layers that a manifest names.
pub(super) fn parts(store: &Store, manifest: &Descriptor) -> Result<Vec<Descriptor>, OutsideError> {
    let bytes = store.read_blob(manifest, MAX_MANIFEST)?;
    // What is no manifest is told by whoever reads it as one.
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let layers = value["layers"].as_array().into_iter().flatten();
    let blobs = layers.chain(value.get("config")).filter_map(|blob| {
        let digest: Digest = blob["digest"].as_str()?.parse().ok()?;
        let media_type = MediaType::from(blob["mediaType"].as_str()?);
        Some(descriptor(media_type, &digest, blob["size"].as_u64()?))
    });
    Ok(blobs.collect())
}

fn has(store: &Store, blob: &Descriptor) -> bool {
    digest_of(blob).is_ok_and(|digest| store.has(&digest))
}
