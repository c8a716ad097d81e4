//! How registries are reached.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Retry;
use crate::http::Http;

/// What is known of registries before any is asked. The values of lith's configuration file, and of options.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub http: Http,
    /// By the registry's name in references, with its port: `docker.io`, `localhost:5000`.
    pub hosts: BTreeMap<String, HostSettings>,
    /// Files with certificate authorities (PEM) that are trusted beside the system's.
    pub ca: Vec<PathBuf>,
    /// Folders like `/etc/docker/certs.d`: `HOST[:PORT]/*.crt`, `*.cert` with `*.key`.
    pub certs_d: Vec<PathBuf>,
    pub retry: Retry,
}

/// What is known of one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Hosts that are asked first, in this order, when something is pulled: `HOST[:PORT][/PREFIX]`.
    pub mirrors: Vec<String>,
    /// Speak plain http. Loopback hosts may without.
    pub insecure: bool,
    /// Certificate authorities (PEM) for this host.
    pub ca: Option<PathBuf>,
    /// A client certificate and its key (PEM).
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}
