//! Registries: the distribution specification 1.1, as a source and as a sink.
//!
//! What a registry says is believed only as far as a digest bears it out. Credentials go to the host they were made
//! for and appear nowhere else. A transfer that breaks goes on from where it was.

mod answer;
mod auth;
mod call;
mod challenge;
mod client;
mod complaint;
mod error;
mod fault;
mod guard;
mod host;
mod keychain;
mod name;
mod pull;
mod push;
mod redirect;
mod repository;
mod retry;
mod scope;
mod send;
mod settings;
#[cfg(test)]
mod testing;
mod tls;
mod token;

pub use challenge::Challenge;
pub use complaint::Complaint;
pub use error::RegistryError;
pub use keychain::{
    AuthFile, Credential, CredentialFile, CredentialFiles, Helpers, Kept, Keychain, KeychainError,
    NoKeychain, ParseAuthError,
};
pub use name::registry_name;
pub use pull::RegistrySource;
pub use push::{MovePolicy, PushOptions, RegistrySink};
pub use repository::Repository;
pub use retry::Retry;
pub use settings::{HostSettings, Settings};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use host::Host;

use crate::oci::{Descriptor, Digest, Reference};

/// The way to all registries. It keeps connections and tokens, so one is made and shared.
pub struct Registries {
    settings: Settings,
    keychain: Arc<dyn Keychain>,
    /// Those that have been asked, by name.
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    system: tls::System,
}

impl Registries {
    pub fn new(settings: Settings, keychain: Arc<dyn Keychain>) -> Self {
        Self { settings, keychain, hosts: Mutex::default(), system: tls::System::default() }
    }

    /// What a tag or digest stands for: the descriptor of a manifest or index, its digest verified if need be.
    /// `None` if the registry has it not.
    pub fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>, RegistryError> {
        Err(RegistryError::unbuilt(name, self))
    }

    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        Err(RegistryError::unbuilt(repository, self))
    }

    /// The manifests that say `digest` is their subject, of one artifact type or of all.
    pub fn referrers(
        &self,
        repository: &Repository,
        _digest: &Digest,
        _artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        Err(RegistryError::unbuilt(repository, self))
    }

    /// Removes a tag, or with a digest a manifest (and so every tag of it).
    pub fn delete(&self, name: &Reference) -> Result<(), RegistryError> {
        Err(RegistryError::unbuilt(name, self))
    }
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("settings", &self.settings).finish_non_exhaustive()
    }
}
