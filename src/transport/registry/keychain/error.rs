//! Why a keychain can't be used.

use std::io;
use std::path::{Path, PathBuf};

use super::ParseAuthError;

/// What stood in the way, and where. Nothing of a file's content is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeychainError {
    #[error("{doing} the credentials in `{path}`: {error}", path = path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    #[error("`{path}`, {error}", path = path.display())]
    Malformed { path: PathBuf, error: ParseAuthError },
    #[error("`{path}` names a credential helper `{name}`, which no program can be called", path = path.display())]
    HelperName { path: PathBuf, name: String },
    #[error("the credential helper `{program}` is not in the PATH")]
    NoHelper { program: String },
    #[error("the credential helper `{program} {action}` failed for `{server}`: {why}")]
    Helper { program: String, action: &'static str, server: String, why: String },
    #[error("{0}")]
    Other(String),
}

impl KeychainError {
    /// Gives an I/O error its context: a gerund.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { doing, path, error }
    }
}
