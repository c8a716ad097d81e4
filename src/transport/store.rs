//! The store as a source and as a sink.

use std::fs::File;
use std::io::{self, Read};

use super::copy::{each, put_blob, put_bytes};
use super::{Sink, Source, TransportError};
use crate::image::{Artifact, Blobs};
use crate::oci::{Descriptor, Digest, Reference, Repository};
use crate::store::{Store, digest_of};

/// An image in the store.
#[derive(Debug)]
pub struct StoreSource<'a> {
    store: &'a Store,
    root: Descriptor,
}

impl<'a> StoreSource<'a> {
    pub fn new(store: &'a Store, root: Descriptor) -> Self {
        Self { store, root }
    }

    /// The image that is called so in the store; `None` if none is.
    pub fn named(store: &'a Store, name: &Reference) -> Result<Option<Self>, TransportError> {
        Ok(store.resolve(name)?.map(|root| Self { store, root }))
    }
}

impl Blobs for StoreSource<'_> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Blobs::open(self.store, blob)
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        self.store.origins(blob)
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        self.store.file(blob)
    }
}

impl Source for StoreSource<'_> {
    fn root(&self) -> &Descriptor {
        &self.root
    }
}

/// Puts an image into the store and calls it by `names`.
#[derive(Debug)]
pub struct StoreSink<'a> {
    store: &'a Store,
    names: Vec<Reference>,
}

impl<'a> StoreSink<'a> {
    pub fn new(store: &'a Store, names: Vec<Reference>) -> Self {
        Self { store, names }
    }

    /// Puts the documents alone: of an image that is on its way to somewhere else, and whose blobs are not all here.
    /// It has no name then.
    pub fn put_documents(&self, artifact: &Artifact) -> Result<(), TransportError> {
        artifact.documents().into_iter().try_for_each(|(blob, bytes)| put_bytes(self.store, blob, bytes))
    }
}

impl Sink for StoreSink<'_> {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        let contents = artifact.contents();
        let is_here = |blob: &&&Descriptor| digest_of(blob).is_ok_and(|digest| self.store.has(&digest));
        let (here, missing): (Vec<_>, Vec<_>) = contents.iter().partition(is_here);
        // No threads for what there is nothing to do about.
        here.into_iter().try_for_each(|blob| put_blob(self.store, blobs, blob))?;
        each(&missing, |blob| put_blob(self.store, blobs, blob))?;
        self.put_documents(artifact)?;
        for name in &self.names {
            self.store.tag(name, artifact.descriptor())?;
        }
        Ok(artifact.digest())
    }
}
