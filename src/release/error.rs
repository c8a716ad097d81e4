//! Why something was not released, or can't be told.

use super::{Environment, WholeError};
use crate::image::LoadError;
use crate::oci::Digest;
use crate::oci::canonical::CanonicalError;
use crate::transport::TransportError;

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Whole(#[from] WholeError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    #[error("`{0}` has no releases")]
    Empty(Environment),
    /// Nothing leads to it, and it counts for something.
    #[error("entry {number} `{digest}` of `{environment}` is beside the chain: no later entry leads to it")]
    Fork { environment: Environment, number: u64, digest: String },
    #[error("entry `{digest}` of `{environment}` {why}")]
    Broken { environment: Environment, digest: String, why: String },
    /// Nothing is known of it.
    #[error("entry `{digest}` of `{environment}` can't be read: {why}")]
    Unread { environment: Environment, digest: String, why: String },
    #[error("nothing is left of the ledger of `{environment}`, nor does its tag stand for an image")]
    NothingLeft { environment: Environment },
    /// Somebody else's entry came between looking and writing.
    #[error("`{environment}` has a new entry, {number}, made by `{actor}` meanwhile")]
    Overtaken { environment: Environment, number: u64, actor: String },
    #[error("`{environment}` has so many writers at once that none of {tries} tries came through")]
    Contended { environment: Environment, tries: u32 },
    #[error("`{environment}` has no release `{wanted}`")]
    NoSuchRelease { environment: Environment, wanted: String },
    #[error("`{environment}` has no earlier release that is good")]
    NothingToGoBackTo { environment: Environment },
    #[error("`{environment}` has `{digest}` already")]
    AlreadyThere { environment: Environment, digest: Digest },
    /// What was taken away by the registry has been put back.
    #[error(
        "the registry has removed the entries {entries} together with `{digest}`, which they are about; they have been put back"
    )]
    TakenAlong { digest: String, entries: String },
    /// The entry is in the ledger, and only the tags are not where they should be.
    #[error("entry {number} of `{environment}` is in the ledger, but its tag could not be moved: {error}")]
    NotMoved { environment: Environment, number: u64, error: TransportError },
}
