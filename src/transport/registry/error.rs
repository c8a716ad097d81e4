//! Why a registry could not be used.

use std::io;

use crate::oci::Digest;
use crate::tree::pattern::GlobError;

/// What stood in the way, and where: host, repository, what was asked for and the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    #[error("`{0}`: unbuilt")]
    Unbuilt(String),
    #[error("`{name}` is `{from}`, and would become `{to}`")]
    TagMoves { name: String, from: Digest, to: Digest },
    #[error("a pattern of tags that may move: {0}")]
    Pattern(#[from] GlobError),
    #[error("`{what}`: expected the digest `{expected}`, the registry has `{found}`")]
    OtherDigest { what: String, expected: Digest, found: Digest },
    #[error("`{what}` is a manifest of schema version 1; only version 2 can be read")]
    Schema1 { what: String },
    #[error("`{what}` is no manifest or index; the registry answered with `{found}`")]
    NotAManifest { what: String, found: String },
    #[error("`{what}`: the registry's answer makes no sense: {why}")]
    Malformed { what: String, why: String },
    #[error("`{what}`: reading the registry's answer: {error}")]
    Body { what: String, error: io::Error },
    #[error("`{what}`: the registry's answer has more than {limit} bytes")]
    TooLarge { what: String, limit: u64 },
    #[error("`{what}`: the registry's list does not end")]
    Endless { what: String },
    #[error("the registry has no `{what}`")]
    Absent { what: String },
    #[error("the registry does not let anybody delete `{what}`")]
    Undeletable { what: String },
    #[error("`{what}`: the registry loses what is uploaded: {why}")]
    UploadLost { what: String, why: String },
}

impl RegistryError {
    pub(super) fn unbuilt(what: impl std::fmt::Display, _: &super::Registries) -> Self {
        Self::Unbuilt(what.to_string())
    }
}
