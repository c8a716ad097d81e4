//! An image as a value: its layers, its config and its manifest, whose digest is the image's.

mod artifact;
mod assemble;
mod blobs;
mod load;
mod select;

pub use crate::store::digest_of;
pub use artifact::{Artifact, Index};
pub use assemble::{Parts, assemble};
pub use blobs::{Blobs, Memory, not_found};
pub use load::{LoadError, MAX_CONFIG, MAX_MANIFEST, load, load_all};

use crate::layer::Layer;
use crate::oci::canonical::{self, CanonicalError};
use crate::oci::{Descriptor, Digest, ImageConfig, ImageManifest, MediaType};

/// A finished image for one platform. It is never changed; a new one is made of it.
#[derive(Debug, Clone)]
pub struct Image {
    pub manifest: Document<ImageManifest>,
    pub config: Document<ImageConfig>,
    pub layers: Vec<Layer>,
}

/// A document with the exact bytes that its digest is of.
#[derive(Debug, Clone)]
pub struct Document<T> {
    pub value: T,
    pub bytes: Vec<u8>,
    pub descriptor: Descriptor,
}

impl<T: serde::Serialize> Document<T> {
    /// Writes `value` as canonical JSON.
    pub fn write(value: T, media_type: MediaType) -> Result<Self, CanonicalError> {
        let bytes = canonical::to_vec(&value)?;
        Ok(Self { descriptor: descriptor(media_type, &Digest::of(&bytes), bytes.len() as u64), value, bytes })
    }
}

impl<T> Document<T> {
    pub fn digest(&self) -> Digest {
        Digest::try_from(self.descriptor.digest()).expect("made from a digest of ours")
    }
}

/// A descriptor of nothing but the three fields that each has.
pub fn descriptor(media_type: MediaType, digest: &Digest, size: u64) -> Descriptor {
    Descriptor::new(media_type, size, oci_spec::image::Digest::from(digest))
}
