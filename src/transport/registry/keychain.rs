//! Who lith is at a registry.

use std::fmt;

/// What a registry, or the token server that speaks for it, is to be shown. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Basic {
        user: String,
        password: String,
    },
    /// A refresh token (docker's `identitytoken`, the user `<token>` of helpers).
    Identity(String),
    /// A bearer token, ready for use (docker's `registrytoken`).
    Bearer(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// Where credentials are kept.
pub trait Keychain: fmt::Debug + Send + Sync {
    /// The credential for a repository of a registry (its name as in references); `None` to ask as a stranger.
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, KeychainError>;
}

/// Why a keychain can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainError {
    #[error("{0}")]
    Other(String),
}

/// A stranger's.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeychain;

impl Keychain for NoKeychain {
    fn find(&self, _: &str, _: &str) -> Result<Option<Credential>, KeychainError> {
        Ok(None)
    }
}
