//! What a build gives and a sink takes: an image, or an index of several.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::{DescriptorBuilder, ImageIndexBuilder};

use super::{Document, Image};
use crate::oci::canonical::CanonicalError;
use crate::oci::{Descriptor, Digest, ImageIndex, ImageManifest, MediaType};

/// What one digest stands for.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are a few of them in a build")]
pub enum Artifact {
    Image(Image),
    Index(Index),
    /// A manifest that is no image: an attestation, a signature, a chart. It is copied, never looked into.
    Other(Document<ImageManifest>),
}

/// An image index with all that it refers to, in its order.
#[derive(Debug, Clone)]
pub struct Index {
    pub document: Document<ImageIndex>,
    pub entries: Vec<Artifact>,
}

impl Artifact {
    /// The index of these images, in this order, each with its platform from its config. Part of the image
    /// contract: what it writes decides the digest.
    pub fn index(images: Vec<Image>, annotations: BTreeMap<String, String>) -> Result<Self, CanonicalError> {
        let entry = |image: &Image| {
            DescriptorBuilder::default()
                .media_type(image.manifest.descriptor.media_type().clone())
                .digest(image.manifest.descriptor.digest().clone())
                .size(image.manifest.descriptor.size())
                .platform(oci_spec::image::Platform::from(&image.config.value.platform))
                .build()
                .expect("the required fields are set")
        };
        let mut index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(images.iter().map(entry).collect::<Vec<_>>())
            .build()
            .expect("the required fields are set");
        if !annotations.is_empty() {
            index.set_annotations(Some(annotations.into_iter().collect()));
        }
        let document = Document::write(index, MediaType::ImageIndex)?;
        Ok(Self::Index(Index { document, entries: images.into_iter().map(Self::Image).collect() }))
    }

    /// The descriptor of its manifest or index.
    pub fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Image(image) => &image.manifest.descriptor,
            Self::Index(index) => &index.document.descriptor,
            Self::Other(manifest) => &manifest.descriptor,
        }
    }

    pub fn digest(&self) -> Digest {
        match self {
            Self::Image(image) => image.manifest.digest(),
            Self::Index(index) => index.document.digest(),
            Self::Other(manifest) => manifest.digest(),
        }
    }

    /// The images in it, in order.
    pub fn images(&self) -> Vec<&Image> {
        match self {
            Self::Image(image) => vec![image],
            Self::Index(index) => index.entries.iter().flat_map(Self::images).collect(),
            Self::Other(_) => Vec::new(),
        }
    }

    /// The documents that it holds itself, each once, what is referred to before what refers to it.
    pub fn documents(&self) -> Vec<(&Descriptor, &[u8])> {
        let mut found = Vec::new();
        self.collect_documents(&mut found);
        let mut seen = BTreeSet::new();
        found.retain(|(descriptor, _)| seen.insert(descriptor.digest().to_string()));
        found
    }

    fn collect_documents<'a>(&'a self, found: &mut Vec<(&'a Descriptor, &'a [u8])>) {
        match self {
            Self::Image(Image { config, manifest, .. }) => {
                found.push((&config.descriptor, &config.bytes));
                found.push((&manifest.descriptor, &manifest.bytes));
            }
            Self::Index(index) => {
                index.entries.iter().for_each(|entry| entry.collect_documents(found));
                found.push((&index.document.descriptor, &index.document.bytes));
            }
            Self::Other(manifest) => found.push((&manifest.descriptor, &manifest.bytes)),
        }
    }

    /// The blobs beside the documents, each once: the layers, and all that an artifact of another kind has.
    pub fn contents(&self) -> Vec<&Descriptor> {
        let mut found = Vec::new();
        self.collect_contents(&mut found);
        let mut seen = BTreeSet::new();
        found.retain(|descriptor| seen.insert(descriptor.digest().to_string()));
        found
    }

    fn collect_contents<'a>(&'a self, found: &mut Vec<&'a Descriptor>) {
        match self {
            Self::Image(image) => found.extend(image.layers.iter().map(|layer| &layer.descriptor)),
            Self::Index(index) => index.entries.iter().for_each(|entry| entry.collect_contents(found)),
            Self::Other(manifest) => {
                found.push(manifest.value.config());
                found.extend(manifest.value.layers());
            }
        }
    }
}
