//! Registries: the distribution specification 1.1, as a source and as a sink.
//!
//! What a registry says is believed only as far as a digest bears it out. Credentials go to the host they were made
//! for and appear nowhere else. A transfer that breaks goes on from where it was.

mod answer;
mod ask;
mod call;
mod client;
mod complaint;
mod delete;
mod error;
mod keychain;
mod listing;
mod name;
mod pull;
mod push;
mod ranges;
mod referrers;
mod resolve;
mod settings;
mod tags;
#[cfg(test)]
mod testing;
mod tries;

pub use complaint::Complaint;
pub use error::RegistryError;
pub use keychain::{
    AuthFile, Credential, CredentialFile, CredentialFiles, Helpers, Kept, Keychain, KeychainError,
    NoKeychain, ParseAuthError,
};
pub use name::registry_name;
pub use pull::RegistrySource;
pub use push::{MovePolicy, PushOptions, RegistrySink};
pub use settings::{HostSettings, Settings};

use std::sync::Arc;

pub use crate::oci::Repository;

/// The way to all registries. It keeps connections and tokens, so one is made and shared.
#[derive(Debug)]
pub struct Registries {
    settings: Settings,
    keychain: Arc<dyn Keychain>,
}

impl Registries {
    pub fn new(settings: Settings, keychain: Arc<dyn Keychain>) -> Self {
        Self { settings, keychain }
    }

    /// Whether the registry lets somebody with this credential in: what `login` asks.
    pub fn check(&self, registry: &str, _credential: &Credential) -> Result<(), RegistryError> {
        Err(RegistryError::unbuilt(registry, self))
    }
}

#[cfg(test)]
mod tests;
