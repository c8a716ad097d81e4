//! Where images and their ledgers stand: a repository of a registry, or a layout.

use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;

use super::ReleaseError;
use crate::image::{Artifact, Blobs, MAX_MANIFEST, Memory, digest_of};
use crate::oci::{Descriptor, Digest, Reference, Repository};
use crate::transport::registry::{PushOptions, Registries, RegistryError, RegistrySink, RegistrySource};
use crate::transport::{Layout, LayoutSink, Name, Sink as _, TransportError, read};

/// A place with tags, manifests and blobs. Its list of tags has each tag that was put before.
pub trait Shelf: Sync + fmt::Debug {
    /// What people call it.
    fn name(&self) -> String;

    fn tags(&self) -> Result<Vec<String>, TransportError>;

    /// What a tag or digest stands for.
    fn resolve(&self, name: &str) -> Result<Option<Descriptor>, TransportError>;

    /// The bytes of a manifest or blob, verified. One that isn't there is [`io::ErrorKind::NotFound`].
    fn bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>>;

    /// Whether a blob is there; its bytes are not looked at.
    fn has(&self, blob: &Descriptor) -> Result<bool, TransportError>;

    /// An image with all its platforms, its documents verified.
    fn image(&self, root: &Descriptor) -> Result<Artifact, TransportError>;

    /// Puts an artifact there under its digest alone.
    fn add(&self, artifact: &Artifact, blobs: &Memory) -> Result<(), TransportError>;

    /// Gives a tag to a manifest that is there, and takes it from what had it.
    fn tag(&self, descriptor: &Descriptor, tag: &str) -> Result<(), TransportError>;

    /// Takes a tag away that is of no more use, if that can be done.
    fn forget(&self, tag: &str);
}

/// A repository of a registry.
#[derive(Debug)]
pub struct RegistryShelf<'a> {
    registries: &'a Registries,
    repository: Repository,
}

impl<'a> RegistryShelf<'a> {
    pub fn new(registries: &'a Registries, repository: Repository) -> Self {
        Self { registries, repository }
    }

    fn reference(&self, name: &str) -> Option<Reference> {
        let sign = if name.contains(':') { '@' } else { ':' };
        format!("{}{sign}{name}", self.repository).parse().ok()
    }

    /// Removes a manifest, with every tag of it. That it is gone already is as good.
    pub(super) fn remove(&self, manifest: &Descriptor) -> Result<(), TransportError> {
        let name = self.reference(manifest.digest().as_ref()).expect("a repository and a digest");
        match self.registries.delete(&name) {
            Err(RegistryError::Absent { .. }) => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// The manifests that say `digest` is their subject.
    pub(super) fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, ReleaseError> {
        let found = self.registries.referrers(&self.repository, digest, None);
        Ok(found.map_err(TransportError::from)?)
    }

    /// Takes a manifest that is gone out of the list of its subject's referrers, if that list is kept under a tag.
    pub(super) fn forget_referrer(&self, subject: &Digest, gone: &Descriptor) -> Result<(), TransportError> {
        Ok(self.registries.take_from_fallback(&self.repository, subject, gone)?)
    }

    fn source(&self, root: &Descriptor) -> RegistrySource<'_> {
        RegistrySource::new(self.registries, self.repository.clone(), root.clone())
    }
}

impl Shelf for RegistryShelf<'_> {
    fn name(&self) -> String {
        self.repository.to_string()
    }

    fn tags(&self) -> Result<Vec<String>, TransportError> {
        Ok(self.registries.tags(&self.repository)?)
    }

    fn resolve(&self, name: &str) -> Result<Option<Descriptor>, TransportError> {
        let Some(reference) = self.reference(name) else { return Ok(None) };
        Ok(self.registries.resolve(&reference)?)
    }

    fn bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        read_all(&self.source(descriptor), descriptor)
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        let digest = digest_of(blob).map_err(|error| unreadable(blob, error))?;
        Ok(self.registries.has_blob(&self.repository, &digest)?)
    }

    fn image(&self, root: &Descriptor) -> Result<Artifact, TransportError> {
        read(&self.source(root), None)
    }

    fn add(&self, artifact: &Artifact, blobs: &Memory) -> Result<(), TransportError> {
        let (repository, options) = (self.repository.clone(), PushOptions::default());
        RegistrySink::new(self.registries, repository, Vec::new(), options).put(artifact, blobs).map(drop)
    }

    fn tag(&self, descriptor: &Descriptor, tag: &str) -> Result<(), TransportError> {
        let bytes = self.bytes(descriptor).map_err(|error| unreadable(descriptor, error))?;
        Ok(self.registries.tag(&self.repository, descriptor, &bytes, tag)?)
    }

    fn forget(&self, tag: &str) {
        let deleted = self.reference(tag).map(|name| self.registries.delete(&name));
        if let Some(Err(error)) = deleted {
            log::debug!("`{tag}` stays: {error}");
        }
    }
}

/// A layout in a folder.
#[derive(Debug)]
pub struct LayoutShelf {
    folder: PathBuf,
}

impl LayoutShelf {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn open(&self, root: &Descriptor) -> Layout {
        Layout::of(&self.folder, root.clone())
    }
}

impl Shelf for LayoutShelf {
    fn name(&self) -> String {
        format!("oci:{}", self.folder.display())
    }

    fn tags(&self) -> Result<Vec<String>, TransportError> {
        Ok(Layout::tags(&self.folder)?.into_iter().map(|(tag, _)| tag).collect())
    }

    fn resolve(&self, name: &str) -> Result<Option<Descriptor>, TransportError> {
        let found = Layout::tags(&self.folder)?;
        let is_it = |(tag, entry): &(String, Descriptor)| tag == name || entry.digest().as_ref() == name;
        Ok(found.into_iter().find(is_it).map(|(_, entry)| entry))
    }

    fn bytes(&self, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
        read_all(&self.open(descriptor), descriptor)
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, TransportError> {
        Ok(self.open(blob).file(blob).is_some())
    }

    fn image(&self, root: &Descriptor) -> Result<Artifact, TransportError> {
        read(&self.open(root), None)
    }

    fn add(&self, artifact: &Artifact, blobs: &Memory) -> Result<(), TransportError> {
        LayoutSink::new(&self.folder, Vec::new()).add(artifact, blobs)
    }

    fn tag(&self, descriptor: &Descriptor, tag: &str) -> Result<(), TransportError> {
        let (source, artifact) = (self.open(descriptor), self.image(descriptor)?);
        LayoutSink::new(&self.folder, vec![Name::tag(tag)]).put(&artifact, &source).map(drop)
    }

    fn forget(&self, _: &str) {}
}

fn read_all(blobs: &dyn Blobs, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
    let limit = MAX_MANIFEST;
    if descriptor.size() > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes")));
    }
    let mut bytes = Vec::new();
    blobs.open(descriptor)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(blob: &Descriptor, error: io::Error) -> TransportError {
    TransportError::Io { what: format!("reading `{}`", blob.digest()), error }
}
