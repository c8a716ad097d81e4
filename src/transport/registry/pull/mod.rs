//! An image in a registry, as a source.

mod pace;
mod resuming;

use std::io::{self, Read};

use super::{Registries, RegistryError, Repository};
use crate::image::{Blobs, digest_of};
use crate::oci::{Descriptor, Reference};
use crate::store::Verified;
use crate::transport::Source;
use resuming::Resuming;

/// An image in a registry. Its documents and blobs are fetched when they are opened.
#[derive(Debug)]
pub struct RegistrySource<'a> {
    registries: &'a Registries,
    repository: Repository,
    root: Descriptor,
}

impl<'a> RegistrySource<'a> {
    /// The image that is called so; `None` if the registry has none.
    pub fn open(registries: &'a Registries, name: &Reference) -> Result<Option<Self>, RegistryError> {
        let root = registries.resolve(name)?;
        Ok(root.map(|root| Self::new(registries, name.into(), root)))
    }

    /// What `root` stands for in a repository. Nothing is asked yet.
    pub fn new(registries: &'a Registries, repository: Repository, root: Descriptor) -> Self {
        Self { registries, repository, root }
    }
}

impl Blobs for RegistrySource<'_> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let inner = Verified::new(self.open_unverified(blob)?, blob)?;
        Ok(Box::new(Telling { inner, repository: &self.repository }))
    }

    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        Ok(Box::new(Resuming::open(self.registries, &self.repository, blob, &digest)?))
    }

    fn origins(&self, _: &Descriptor) -> Vec<Repository> {
        vec![self.repository.clone()]
    }
}

impl Source for RegistrySource<'_> {
    fn root(&self) -> &Descriptor {
        &self.root
    }
}

/// Adds to what a verifying reader finds wrong whose bytes they are.
struct Telling<'a, R> {
    inner: R,
    repository: &'a Repository,
}

impl<R: Read> Read for Telling<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                io::Error::new(error.kind(), format!("`{}`: {error}", self.repository))
            }
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests;
