//! Why a registry could not be used.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Complaint, KeychainError};
use crate::http::HttpError;
use crate::oci::Digest;
use crate::tree::pattern::GlobError;

/// What stood in the way. `doing` says what was asked for, of which repository: "pulling blob `sha256:…` of `host/repo`".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Nobody was named, or one whom the registry doesn't know.
    #[error("{doing}: `{host}` {}: {complaint}", if *.credential { "refuses the credential" } else { "wants a credential" })]
    Unauthorized { doing: String, host: String, credential: bool, complaint: Complaint },
    /// The registry knows who asks, or doesn't care, and says no.
    #[error("{doing}: `{host}` refuses it: {complaint}")]
    Denied { doing: String, host: String, complaint: Complaint },
    #[error("{doing}: `{host}` has it not: {complaint}")]
    NotFound { doing: String, host: String, complaint: Complaint },
    #[error("{doing}: `{host}` was asked too often: {complaint}")]
    TooManyRequests { doing: String, host: String, complaint: Complaint },
    #[error("{doing}: `{host}` answered {complaint}")]
    Status { doing: String, host: String, complaint: Complaint },
    /// No secure connection. `certificate` if it is the server's certificate that is not trusted.
    #[error("{doing}: no TLS with `{host}`: {why}")]
    Tls { doing: String, host: String, certificate: bool, why: String },
    #[error("{doing}: `{host}` cannot be reached: {why}")]
    Connect { doing: String, host: String, why: String },
    #[error("{doing}: the name `{host}` does not resolve: {why}")]
    Unresolved { doing: String, host: String, why: String },
    #[error("{doing}: nothing came from `{host}` for {} seconds", .patience.as_secs_f32())]
    Timeout { doing: String, host: String, patience: Duration },
    /// The connection broke, or the token ran out, while something was sent that only the caller can send again.
    /// `sent` bytes of it were taken.
    #[error("{doing}: interrupted after {sent} bytes: {why}")]
    Interrupted { doing: String, host: String, sent: u64, why: String },
    /// What was to be sent could not be read.
    #[error("{doing}: reading what is to be sent: {error}")]
    Body { doing: String, error: io::Error },
    /// The registry leads to an address that a stranger has no business with.
    #[error("{doing}: `{host}` leads to `{to}`, an address of this machine or its link, which is refused")]
    Guarded { doing: String, host: String, to: String },
    #[error("{doing}: `{host}` leads elsewhere: {why}")]
    Redirect { doing: String, host: String, why: String },
    /// The answer is not what the specification has.
    #[error("{doing}: `{host}` does not speak as a registry: {why}")]
    Protocol { doing: String, host: String, why: String },
    #[error("finding the credential for `{registry}`: {error}")]
    Keychain { registry: String, error: KeychainError },
    #[error("`{path}`: {why}", path = path.display())]
    Certificate { path: PathBuf, why: String },
    #[error("`{host}` is no registry's name")]
    Host { host: String },
    #[error("`{name}` is `{from}`, and would become `{to}`")]
    TagMoves { name: String, from: Digest, to: Digest },
    #[error("a pattern of tags that may move: {0}")]
    Pattern(#[from] GlobError),
    #[error("{doing}: expected the digest `{expected}`; `{host}` has `{found}`")]
    OtherDigest { doing: String, host: String, expected: Digest, found: Digest },
    #[error("{doing}: it is a manifest of schema version 1; only version 2 can be read")]
    Schema1 { doing: String },
    #[error("{doing}: reading the answer of `{host}`: {error}")]
    Answer { doing: String, host: String, error: io::Error },
    #[error("{doing}: the answer of `{host}` has more than {limit} bytes")]
    TooLarge { doing: String, host: String, limit: u64 },
    #[error("{doing}: the list of `{host}` does not end")]
    Endless { doing: String, host: String },
    #[error("{doing}: `{host}` has none")]
    Absent { doing: String, host: String },
    #[error("{doing}: `{host}` does not do that: {complaint}")]
    Undeletable { doing: String, host: String, complaint: Complaint },
    #[error("{doing}: `{host}` loses what it is sent: {why}")]
    Lost { doing: String, host: String, why: String },
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl RegistryError {
    /// What the server said, if it said anything.
    pub fn complaint(&self) -> Option<&Complaint> {
        match self {
            Self::Unauthorized { complaint, .. }
            | Self::Denied { complaint, .. }
            | Self::NotFound { complaint, .. }
            | Self::TooManyRequests { complaint, .. }
            | Self::Undeletable { complaint, .. }
            | Self::Status { complaint, .. } => Some(complaint),
            _ => None,
        }
    }

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.complaint().map(|complaint| complaint.status)
    }
}
