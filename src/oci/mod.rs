//! The words of the OCI specifications: digest, diff ID, descriptor, manifest, index, config, platform and
//! reference, and the one way in which lith writes JSON.
//!
//! Nothing here does I/O. Descriptor, manifest and index are `oci-spec`'s types; the image config is ours,
//! because a config that passes through lith must keep the fields that lith has never heard of.

pub mod canonical;
mod config;
mod digest;
mod epoch;
pub mod media_type;
pub mod platform;
mod reference;
mod repository;

pub use config::{Healthcheck, History, ImageConfig, RootFs, RuntimeConfig};
pub use digest::{Algorithm, DiffId, Digest, Digester, HashingReader, ParseDigestError};
pub use epoch::Epoch;
pub use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};
pub use platform::Platform;
pub(crate) use reference::is_tag;
pub use reference::{ParseReferenceError, Pinned, Reference};
pub use repository::Repository;
