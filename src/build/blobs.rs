//! Blobs that are partly here and partly where an image is from.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};

use super::images::Found;
use super::outside::{Outside, OutsideError, lock};
use crate::image::{Blobs, digest_of, not_found};
use crate::oci::media_type::is_index;
use crate::oci::{Descriptor, Digest, Repository};
use crate::store::Store;
use crate::transport::registry::RegistrySource;
use crate::transport::{Source, put_blob};

/// An image of a registry, of which the store may have something, and gets each document that is read.
pub(super) struct Cached<'a> {
    pub(super) store: &'a Store,
    pub(super) source: RegistrySource<'a>,
}

impl Blobs for Cached<'_> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let is_here = self.store.has(&digest_of(blob)?);
        if !is_here && is_index(blob.media_type().as_ref()) {
            // Manifests and configs are put there by those who read them; of an index only one image is.
            put_blob(self.store, &self.source, blob).map_err(io::Error::other)?;
            return Blobs::open(self.store, blob);
        }
        if is_here { Blobs::open(self.store, blob) } else { self.source.open(blob) }
    }

    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        if self.store.has(&digest_of(blob)?) || is_index(blob.media_type().as_ref()) {
            return self.open(blob);
        }
        self.source.open_unverified(blob)
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        self.source.origins(blob)
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        self.store.file(blob)
    }
}

impl Source for Cached<'_> {
    fn root(&self) -> &Descriptor {
        self.source.root()
    }
}

/// The blobs of what was built.
pub struct BuiltBlobs<'a> {
    store: &'a Store,
    /// The layers of each base, and where they are.
    bases: Vec<(BTreeSet<Digest>, Box<dyn Source + 'a>)>,
}

impl std::fmt::Debug for BuiltBlobs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuiltBlobs").field("store", self.store).finish_non_exhaustive()
    }
}

impl Outside {
    /// All that is in what was built: from the store, or from where its base is.
    pub fn blobs(&self) -> Result<BuiltBlobs<'_>, OutsideError> {
        let images = lock(&self.images);
        let is_elsewhere =
            |found: &&Found| found.image.layers.iter().any(|layer| !self.store.has(&layer.digest()));
        let sources = images.values().filter(is_elsewhere).map(|Found { image, origin }| {
            let layers = image.layers.iter().map(crate::layer::Layer::digest).collect();
            Ok((layers, self.image_source(origin)?))
        });
        Ok(BuiltBlobs { store: &self.store, bases: sources.collect::<Result<_, OutsideError>>()? })
    }
}

impl BuiltBlobs<'_> {
    fn base(&self, digest: &Digest) -> Option<&dyn Source> {
        self.bases.iter().find(|(layers, _)| layers.contains(digest)).map(|(_, source)| &**source)
    }
}

impl Blobs for BuiltBlobs<'_> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        if self.store.has(&digest) {
            return Blobs::open(self.store, blob);
        }
        self.base(&digest).ok_or_else(|| not_found(&digest))?.open(blob)
    }

    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        match self.base(&digest) {
            Some(base) if !self.store.has(&digest) => base.open_unverified(blob),
            _ => self.open(blob),
        }
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        let Ok(digest) = digest_of(blob) else { return Vec::new() };
        let mut origins = self.base(&digest).map(|base| base.origins(blob)).unwrap_or_default();
        origins.extend(self.store.origins(blob));
        origins.dedup();
        origins
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        self.store.file(blob)
    }
}
