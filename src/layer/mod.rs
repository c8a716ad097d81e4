//! Layers: [`Changes`] → canonical tar → blob, in one pass; and a blob → `Changes`, safely.
//!
//! What a layer's bytes are is the image contract, format profile 1: `entries` has the order and the
//! markers, [`tar`] the headers, `chunk` the cuts, [`crate::compression`] the encoders. A change to any of them is
//! a new profile. Nothing here follows a path on the machine: reading an archive gives a value.

mod chunk;
mod create;
mod entries;
mod key;
mod listing;
mod open;
mod pipeline;
mod produce;
pub mod read;
pub mod tar;
#[cfg(test)]
mod tests;

use std::io;

pub use create::create;
pub use key::key;
pub use listing::{Listing, ListingError};
pub(crate) use open::LISTINGS;
pub use open::{listing, open, open_whole};
pub use read::ReadError;

use crate::compression::Compression;
use crate::oci::{Descriptor, DiffId, Digest, Epoch};
use crate::store::StoreError;
#[cfg(doc)]
use crate::tree::Changes;
use crate::tree::{ContentError, ImagePath};

/// The number of the image contract's format profile: docs/image-contract.md.
pub const FORMAT_PROFILE: u32 = 1;

/// The format profile's name, which is in the cache keys.
const PROFILE: &str = "lith layer, profile 1";

/// A layer whose blob is in the store: only writers that finished, and readers that verified, make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub descriptor: Descriptor,
    pub diff_id: DiffId,
}

impl Layer {
    /// The digest of its blob.
    pub fn digest(&self) -> Digest {
        Digest::try_from(self.descriptor.digest()).expect("only blobs with a valid digest get into the store")
    }
}

/// How to write a layer.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub compression: Compression,
    pub epoch: Epoch,
    /// How many threads may compress. It has no influence on the bytes.
    pub threads: usize,
}

/// Why a layer can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading the layer `{layer}`: {error}")]
    Blob { layer: DiffId, error: io::Error },
    #[error("reading the layer `{layer}`: {error}")]
    Read { layer: DiffId, error: ReadError },
    #[error("the layer's tar has the diff ID `{found}`, expected `{expected}`")]
    DiffId { expected: DiffId, found: DiffId },
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error("writing a layer: {0}")]
    Write(io::Error),
    #[error("`{path}` can't be in a layer, as names beginning with `.wh.` mark what is deleted")]
    MarkerName { path: ImagePath },
    #[error("a layer can't delete the root folder")]
    RootWhiteout,
    #[error("`{path}` stands below `{file}`, which is no folder")]
    BelowFile { path: ImagePath, file: ImagePath },
    #[error("the hard link `{path}` leads to a folder or to itself")]
    BadLink { path: ImagePath },
    #[error("the link `{path}` has a target that holds a NUL byte")]
    NulInLink { path: ImagePath },
    #[error("the extended attribute `{}` of `{path}` has a name that a tar can't hold", .name.escape_ascii())]
    XattrName { path: ImagePath, name: Vec<u8> },
    #[error("`{path}` has more extended attributes than the {max} bytes that readers take", max = tar::MAX_PAX)]
    TooManyXattrs { path: ImagePath },
    #[error("the device number {major}:{minor} of `{path}` is larger than a tar can hold")]
    DeviceNumber { path: ImagePath, major: u32, minor: u32 },
}
