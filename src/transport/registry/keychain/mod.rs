//! Who lith is at a registry: credentials, and the files and helper programs of docker and of containers (podman,
//! skopeo, buildah) where they are kept.
//!
//! Nothing here looks at the environment: files, the PATH and what helpers are started with come in as values.
//! Invariant: no secret is in a message, a log, a `Debug`, or the arguments of a program.

mod auth_file;
mod document;
mod edit;
mod error;
mod files;
mod helper;
mod server;
#[cfg(test)]
mod testing;

use std::fmt;

pub use auth_file::{AuthFile, ParseAuthError};
pub use edit::{CredentialFile, Kept};
pub use error::KeychainError;
pub use files::CredentialFiles;
pub use helper::Helpers;

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

/// The user whose password is an identity token.
const TOKEN_USER: &str = "<token>";

impl Credential {
    /// What a user and a password are: the user `<token>` stands for an identity token.
    pub fn of(user: String, password: String) -> Self {
        if user == TOKEN_USER { Self::Identity(password) } else { Self::Basic { user, password } }
    }
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

/// A stranger's.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKeychain;

impl Keychain for NoKeychain {
    fn find(&self, _: &str, _: &str) -> Result<Option<Credential>, KeychainError> {
        Ok(None)
    }
}
