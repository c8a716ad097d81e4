//! Why references were not pinned.

use crate::oci::Reference;
use crate::text::shown;

/// Why a file can't be read: nothing in it is changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    #[error("it is not UTF-8")]
    Encoding { line: usize },
    #[error("it is not valid YAML: {why}")]
    Yaml { line: usize, why: String },
    #[error("it is not valid: {why}")]
    Buildfile { line: usize, why: String },
}

impl PinError {
    /// Where it is wrong, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::Encoding { line } | Self::Yaml { line, .. } | Self::Buildfile { line, .. } => *line,
        }
    }
}

/// Why there is no digest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError<E: std::error::Error + 'static> {
    #[error("there is no image `{0}`")]
    Absent(Reference),
    #[error("building `{}`: {error}", shown(.folder))]
    Build { folder: String, error: E },
    #[error("looking for `{name}`: {error}")]
    Image { name: Reference, error: E },
}
