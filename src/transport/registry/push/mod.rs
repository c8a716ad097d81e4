//! A repository, as a sink.
//!
//! First all tags are judged, then blobs go side by side, each once, then what refers to them, and the tags last: so
//! whatever breaks, no name stands for something that isn't whole.

mod blob;
mod commit;
mod manifest;
mod note;
mod session;
mod tags;
mod upload;

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Registries, RegistryError, Repository};
use crate::image::{Artifact, Blobs};
use crate::oci::{Descriptor, Digest};
use crate::parallel;
use crate::transport::copy::TRANSFERS;
use crate::transport::{Sink, TransportError, Watch};

pub use tags::MovePolicy;

/// How to push.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    pub moving: MovePolicy,
    /// Where unfinished uploads are noted, so that another process can go on with them; without it, none can.
    pub uploads: Option<PathBuf>,
}

/// Puts an image into a repository, under tags (or none: by digest alone).
#[derive(Debug)]
pub struct RegistrySink<'a> {
    registries: &'a Registries,
    repository: Repository,
    tags: Vec<String>,
    options: PushOptions,
    watch: Option<&'a dyn Watch>,
}

impl<'a> RegistrySink<'a> {
    pub fn new(
        registries: &'a Registries,
        repository: Repository,
        tags: Vec<String>,
        options: PushOptions,
    ) -> Self {
        Self { registries, repository, tags, options, watch: None }
    }

    /// Tells of each blob on its way.
    #[must_use]
    pub fn watched(self, watch: &'a dyn Watch) -> Self {
        Self { watch: Some(watch), ..self }
    }

    fn tell(&self, tell: impl FnOnce(&dyn Watch)) {
        if let Some(watch) = self.watch {
            tell(watch);
        }
    }

    /// All that an artifact refers to, and it itself unless it gets its name later.
    fn push_parts(&self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<(), TransportError> {
        if let Artifact::Index(index) = artifact {
            for entry in &index.entries {
                self.push_entry(entry, blobs)?;
            }
            return Ok(());
        }
        let contents: Vec<Sent<'_>> = artifact.contents().into_iter().map(Sent::Blob).collect();
        parallel::each(&contents, TRANSFERS, |blob| self.push_blob(blob, blobs))?;
        if let Artifact::Image(image) = artifact {
            let config = &image.config;
            self.push_blob(&Sent::Document(&config.descriptor, &config.bytes), blobs)?;
        }
        Ok(())
    }

    /// One manifest of an index, by its digest. What is there has all that it refers to.
    fn push_entry(&self, entry: &Artifact, blobs: &dyn Blobs) -> Result<(), TransportError> {
        let digest = entry.digest().to_string();
        if self.registries.digest_at(&self.repository, &digest)?.is_some() {
            log::debug!("`{}@{digest}` is there", self.repository);
            return Ok(());
        }
        self.push_parts(entry, blobs)?;
        self.put_manifest(entry, &digest)
    }
}

impl Sink for RegistrySink<'_> {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        let digest = artifact.digest();
        let mut names: BTreeSet<String> = self.tags.iter().cloned().collect();
        if names.is_empty() {
            names.insert(digest.to_string());
        }
        let missing = self.judge(&names, &digest)?;
        // What a tag stands for already is whole.
        if missing.len() == names.len() {
            self.push_parts(artifact, blobs)?;
        }
        for name in &missing {
            self.put_manifest(artifact, name)?;
        }
        Ok(digest)
    }
}

/// What is sent as a blob: from where it is, or from memory.
#[derive(Debug)]
enum Sent<'a> {
    Blob(&'a Descriptor),
    Document(&'a Descriptor, &'a [u8]),
}

impl Sent<'_> {
    fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Blob(descriptor) | Self::Document(descriptor, _) => descriptor,
        }
    }
}

#[cfg(test)]
mod tests;
