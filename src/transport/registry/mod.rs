//! Registries: the distribution specification 1.1, as a source and as a sink.
//!
//! What a registry says is believed only as far as a digest bears it out. Credentials go to the host they were made
//! for and appear nowhere else. A transfer that breaks goes on from where it was.

mod answer;
mod ask;
mod auth;
mod call;
mod challenge;
mod client;
mod complaint;
mod delete;
mod error;
mod exists;
#[cfg(test)]
mod fake;
mod fault;
mod host;
mod keychain;
mod listing;
mod name;
mod pull;
mod push;
mod ranges;
mod redirect;
mod referrers;
mod resolve;
mod retry;
mod scope;
mod send;
mod settings;
mod tags;
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
pub use retry::Retry;
pub use settings::{HostSettings, Settings};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::oci::Repository;
use host::Host;

/// The way to all registries. It keeps connections and tokens, so one is made and shared.
pub struct Registries {
    settings: Settings,
    keychain: Arc<dyn Keychain>,
    /// Those that have been asked, by name.
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
}

impl Registries {
    pub fn new(settings: Settings, keychain: Arc<dyn Keychain>) -> Self {
        Self { settings, keychain, hosts: Mutex::default() }
    }
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
