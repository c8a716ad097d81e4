//! The step cache: which changes were made into which layer.
//!
//! A layer is a function of its changes, so the key is made of them, contents included: nothing about times or
//! sizes is believed here. What it costs is knowing each file's fingerprint.

use super::ExecError;
use super::report::How;
use crate::compression::Compression;
use crate::image::descriptor;
use crate::layer::{self, Layer};
use crate::oci::{DiffId, Digest, MediaType};
use crate::parallel;
use crate::store::{Store, StoreError};
use crate::tree::{Changes, Content, ContentError, Node};

/// A layer, and what it is known by.
pub(super) struct Made {
    pub(super) layer: Layer,
    pub(super) how: How,
    pub(super) key: Option<String>,
}

/// The layer of these changes, from the store or made now.
///
/// With a cold cache, files are fingerprinted while their layer is written, in the one pass over them. Only
/// where a step of this `shape` was run before is it worth reading the new files first: most likely the rest is
/// unchanged, or all of it is and was only checked out anew.
pub(super) fn layer(
    store: &Store,
    changes: &Changes,
    shape: &str,
    options: &layer::Options,
    cache: bool,
) -> Result<Made, ExecError> {
    let shape = blake3::hash(shape.as_bytes()).to_hex();
    if cache {
        if store.memo::<()>("shape", &shape).is_some() {
            fingerprint_all(changes, options.threads)?;
        }
        if let Some(key) = layer::key(changes, options)
            && let Some(layer) = recall(store, &key)
        {
            return Ok(Made { layer, how: How::Cached, key: Some(key) });
        }
    }
    let layer = layer::create(store, changes, options)?;
    let key = layer::key(changes, options);
    if let Some(key) = &key {
        remember(store, key, &layer)?;
        store.remember("shape", &shape, &())?;
    }
    let how = How::Built { size: layer.descriptor.size() };
    Ok(Made { layer, how, key })
}

/// The layer that a step made which is known by that key, or that it made none.
pub(super) fn recall_run(store: &Store, kind: &str, key: &str) -> Option<Option<Layer>> {
    Some(store.memo::<Option<Record>>(kind, key)?.map(layer_of))
}

pub(super) fn remember_run(
    store: &Store,
    kind: &str,
    key: &str,
    layer: Option<&Layer>,
) -> Result<(), StoreError> {
    let needs = layer.map(Layer::digest).into_iter().collect();
    store.remember_with(kind, key, &layer.map(record_of), needs)
}

/// The kind under which it is remembered what a layer's tar becomes when it is compressed. A tar and a way to compress it
/// have one result, whichever step made the tar; a new profile may have another.
const COMPRESSED: &str = "compressed-1";

/// The same layer, compressed like that.
pub(super) fn recall_compressed(store: &Store, layer: &Layer, compression: Compression) -> Option<Layer> {
    store.memo(COMPRESSED, &compressed_key(layer, compression)).map(layer_of)
}

pub(super) fn remember_compressed(
    store: &Store,
    layer: &Layer,
    compression: Compression,
) -> Result<(), StoreError> {
    let key = compressed_key(layer, compression);
    store.remember_with(COMPRESSED, &key, &record_of(layer), vec![layer.digest()])
}

fn compressed_key(layer: &Layer, compression: Compression) -> String {
    format!("{} {compression} {}", layer.diff_id, layer::FORMAT_PROFILE)
}

/// A [`Layer`] as the memo keeps it: media type, digest, size, diff ID.
type Record = (String, Digest, u64, DiffId);

fn recall(store: &Store, key: &str) -> Option<Layer> {
    store.memo("layer", key).map(layer_of)
}

fn remember(store: &Store, key: &str, layer: &Layer) -> Result<(), StoreError> {
    store.remember_with("layer", key, &record_of(layer), vec![layer.digest()])
}

fn layer_of((media_type, digest, size, diff_id): Record) -> Layer {
    Layer { descriptor: descriptor(MediaType::from(media_type.as_str()), &digest, size), diff_id }
}

fn record_of(layer: &Layer) -> Record {
    let descriptor = &layer.descriptor;
    (descriptor.media_type().to_string(), layer.digest(), descriptor.size(), layer.diff_id.clone())
}

/// Reads every file that has no fingerprint yet, on all cores.
fn fingerprint_all(changes: &Changes, threads: usize) -> Result<(), ContentError> {
    let unknown: Vec<&Content> = changes
        .puts
        .values()
        .filter_map(Node::content)
        .filter(|content| content.known_fingerprint().is_none())
        .collect();
    parallel::each(&unknown, threads, |content| content.fingerprint().map(drop))
}
