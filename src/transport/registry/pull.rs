//! An image in a registry, as a source.

use std::io::{self, Read};

use super::{Registries, RegistryError, Repository};
use crate::image::Blobs;
use crate::oci::{Descriptor, Reference};
use crate::transport::Source;

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
        Ok(root.map(|root| Self { registries, repository: name.into(), root }))
    }

    /// The image of that descriptor, which nobody is asked for before it is opened.
    pub fn at(registries: &'a Registries, repository: Repository, root: Descriptor) -> Self {
        Self { registries, repository, root }
    }
}

impl Blobs for RegistrySource<'_> {
    fn open(&self, _: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        Err(io::Error::other(RegistryError::unbuilt(&self.repository, self.registries)))
    }
}

impl Source for RegistrySource<'_> {
    fn root(&self) -> &Descriptor {
        &self.root
    }
}
