//! The only door to the outside while planning.

use crate::oci::{ImageConfig, ParseReferenceError, Pinned, Platform};

use super::{Git, Url};

/// Answers for everything that the world names loosely, with a digest.
pub trait Resolve {
    /// Whether a named context (`--build-context`) stands behind `name`, and of which kind. Names are compared
    /// as written, and as image references: a context `alpine` is meant by `FROM alpine:latest` too.
    fn named(&self, name: &str) -> Option<Named>;

    /// The image of that name for that platform: from a named context, or from where images come from.
    fn image(&mut self, name: &str, platform: &Platform) -> Result<ResolvedImage, ResolveError>;

    /// Pins a URL that says no checksum, if this resolver can.
    fn url(&mut self, url: &mut Url) -> Result<(), ResolveError>;

    /// Pins a git reference, if this resolver can.
    fn git(&mut self, git: &mut Git) -> Result<(), ResolveError>;
}

/// The two kinds of named contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    Image,
    Files,
}

/// What planning needs to know of a base.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    pub pinned: Pinned,
    pub config: ImageConfig,
}

/// Why a name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    #[error(transparent)]
    Name(#[from] ParseReferenceError),
    #[error("no image `{name}` is at hand")]
    NotFound { name: String },
    #[error("no image `{name}` is in the store, and `{registry}` has none")]
    NotInRegistry { name: String, registry: String },
    /// Its registry was asked, as the store has none, and did not answer the question.
    #[error("no image `{name}` is in the store, and none comes from its registry: {source}")]
    Registry { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("`{name}` has no image for {wanted}; it has {found}")]
    NoPlatform { name: String, wanted: Platform, found: String },
    #[error("resolving `{name}`: {source}")]
    Other { name: String, source: Box<dyn std::error::Error + Send + Sync> },
}
