//! What can't be had through the proxy, and why.

use std::fmt;

use crate::http::shown;
use crate::oci::Digest;
use crate::store::StoreError;

/// Why a step that was answered can't count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    #[error("`{url}` gives other bytes than the lock has: expected `{expected}`, found `{found}`")]
    Changed { url: String, expected: Digest, found: Digest },
    #[error("`{url}` is in the lock, but its bytes can't be had: {why}")]
    Unreachable { url: String, why: String },
    #[error("the bytes of `{url}` (`{digest}`) are not in the store, and the network is not to be used")]
    Offline { url: String, digest: Digest },
    #[error("the lock has no digest for `{url}`")]
    NoBody { url: String },
    #[error("the store's bytes of `{url}` are not those of the lock (`{digest}`): {why}")]
    Damaged { url: String, digest: Digest, why: String },
    #[error("making a certificate authority: {0}")]
    Authority(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A request that was not answered as the program wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The method and the place, as they may be shown.
    pub request: String,
    pub why: Why,
}

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// The lock has no answer to it.
    NotLocked,
    /// Only what has the same answer each time can be recorded.
    NotRecordable,
    /// What came through the tunnel was neither TLS nor HTTP.
    NotHttp,
    /// The program does not believe the step's certificate authority.
    Distrusted,
    /// This machine, or its link.
    Address,
    /// Malformed, or more than is taken.
    Malformed(String),
    /// The server could not be asked, or what came is nothing to be recorded.
    Failed(String),
}

impl Refusal {
    pub(super) fn new(method: &str, url: &str, why: Why) -> Self {
        Self { request: format!("{} {}", crate::text::shown(method), shown(url)), why }
    }
}

impl Why {
    /// Whether the lock says that there was no answer, when it is recorded.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Address | Self::Failed(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.request, self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLocked => write!(f, "is not in the lock"),
            Self::NotRecordable => write!(f, "can't be recorded: only GET, HEAD and fetches of git can"),
            Self::NotHttp => write!(f, "is neither HTTP nor TLS: nothing else can be recorded"),
            Self::Distrusted => {
                write!(
                    f,
                    "was given up: the program does not look for certificate authorities where the step's is"
                )
            }
            Self::Address => write!(f, "is refused: it leads to this machine or its link"),
            Self::Malformed(why) => write!(f, "is not understood: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}
