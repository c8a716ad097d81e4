//! Why a registry could not be used.

use std::fmt::Display;

/// What stood in the way, and where: host, repository, what was asked for and the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    #[error("`{0}`: unbuilt")]
    Unbuilt(String),
}

impl RegistryError {
    pub(super) fn unbuilt(what: impl Display, _: &super::Registries) -> Self {
        Self::Unbuilt(what.to_string())
    }
}
