//! The only door to the outside while planning.

use crate::oci::{Digest, ImageConfig, ParseReferenceError, Pinned, Platform};

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
    /// A registry wants to know who asks, or doesn't know who that is.
    #[error("resolving `{name}`: {source}")]
    Unauthorized { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("`{name}` has no image for {wanted}; it has {found}")]
    NoPlatform { name: String, wanted: Platform, found: String },
    /// The lock must not be changed, and has none for it.
    #[error("`{name}` is not in the lock file{}", .platform.as_ref().map_or(String::new(), |p| format!(" for {p}")))]
    NotLocked { name: String, platform: Option<Platform> },
    /// The lock has it for a build that is given a context of that name.
    #[error("`{name}` is locked as a named context, `{context}`, and this build has none of that name")]
    LockedContext { name: String, context: String },
    /// What the lock says can't be had any more.
    #[error("`{name}` is locked to {digest}, which can't be had from {place}: {source}")]
    Gone { name: String, digest: Digest, place: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("`{name}` is locked to {locked}, and {place} has {found}")]
    Moved { name: String, locked: Digest, place: String, found: Digest },
    #[error("the lock file's config of `{name}` is not that of {digest}")]
    OtherConfig { name: String, digest: Digest },
    /// The network is refused.
    #[error("`{name}` is not in the store, and the network is refused")]
    Offline { name: String },
    #[error("resolving `{name}`: {source}")]
    Other { name: String, source: Box<dyn std::error::Error + Send + Sync> },
}

impl ResolveError {
    /// What kind of error it is, as a diagnostic's code: what would help follows from that.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::NotInRegistry { .. } | Self::Registry { .. } => "resolve-not-found",
            Self::Unauthorized { .. } => "resolve-unauthorized",
            Self::NotLocked { .. } => "resolve-not-locked",
            Self::LockedContext { .. } => "resolve-locked-context",
            Self::Gone { .. } | Self::Moved { .. } | Self::OtherConfig { .. } => "resolve-moved",
            Self::Offline { .. } => "resolve-offline",
            Self::Name(_) | Self::NoPlatform { .. } | Self::Other { .. } => "resolve",
        }
    }
}
