//! A repository, as a sink.

use std::path::PathBuf;

use super::{Registries, RegistryError, Repository};
use crate::image::{Artifact, Blobs};
use crate::oci::Digest;
use crate::transport::{Sink, TransportError};

/// How to push.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    pub moving: MovePolicy,
    /// Where unfinished uploads are noted, so that another process can go on with them; without it, none can.
    pub uploads: Option<PathBuf>,
}

/// Which tags may be moved from one digest to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovePolicy {
    /// All of them: `--move-tag`.
    pub any: bool,
    /// Those that match one of these globs.
    pub tags: Vec<String>,
}

/// Puts an image into a repository, under tags (or none: by digest alone).
#[derive(Debug)]
pub struct RegistrySink<'a> {
    registries: &'a Registries,
    repository: Repository,
    tags: Vec<String>,
    options: PushOptions,
}

impl<'a> RegistrySink<'a> {
    pub fn new(
        registries: &'a Registries,
        repository: Repository,
        tags: Vec<String>,
        options: PushOptions,
    ) -> Self {
        Self { registries, repository, tags, options }
    }
}

impl Sink for RegistrySink<'_> {
    fn put(&mut self, _: &Artifact, _: &dyn Blobs) -> Result<Digest, TransportError> {
        let _ = (&self.tags, &self.options);
        Err(RegistryError::unbuilt(&self.repository, self.registries).into())
    }
}
