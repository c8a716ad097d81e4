//! A host that is asked: a registry, or a mirror of one. What is learnt about it is kept here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::Agent;

use super::auth::Auth;
use super::call::{Call, To};
use super::{Registries, RegistryError, tls};
use crate::http::{Http, Origin, Url, guarded};

/// A host under the name that references, settings and the keychain have for it.
pub(super) struct Host {
    pub(super) name: String,
    /// Where it is: its root, over https, or http if that is sure.
    home: Url,
    /// Whether plain http is what the user wants.
    pub(super) insecure: bool,
    /// Which of the two it speaks, where that has to be found out.
    secure: Mutex<Option<bool>>,
    pub(super) origin: Arc<Origin>,
    agents: Mutex<BTreeMap<Key, Agent>>,
    pub(super) auth: Mutex<Auth>,
    /// A mirror that could not be reached is not tried again.
    pub(super) down: AtomicBool,
}

/// What agents differ in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    secure: bool,
    home: bool,
    proxied: bool,
    /// Another host that the settings know.
    known: Option<String>,
}

/// Idle connections to keep: no fewer than blobs are pushed side by side.
const IDLE: usize = 8;

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Host {
    pub(super) fn new(name: &str, registries: &Registries) -> Result<Self, RegistryError> {
        let bad = || RegistryError::Host { host: crate::text::shown(name) };
        let place = if name == "docker.io" { "registry-1.docker.io" } else { name };
        let insecure = registries.is_insecure(name);
        let home =
            Url::new(!insecure, place, "/").filter(|_| !name.contains(['/', '?', '#'])).ok_or_else(bad)?;
        if home.host().trim_end_matches('.').split('.').any(str::is_empty) {
            return Err(bad());
        }
        let secure = if insecure { Some(false) } else { (!home.names_loopback()).then_some(true) };
        Ok(Self {
            name: name.to_owned(),
            origin: Arc::new(Origin::new(&home)),
            home,
            insecure,
            secure: Mutex::new(secure),
            agents: Mutex::default(),
            auth: Mutex::default(),
            down: AtomicBool::new(false),
        })
    }

    /// Whether it speaks https; `None` if nobody knows yet.
    pub(super) fn secure(&self) -> Option<bool> {
        *self.secure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn found_to_be(&self, secure: bool) {
        let mut known = self.secure.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            log::debug!("`{}` speaks {}", self.name, if secure { "https" } else { "http" });
            *known = Some(secure);
        }
    }

    /// Where to ask; `rest` begins with a slash.
    pub(super) fn url(&self, secure: bool, rest: &str) -> Option<Url> {
        let place = if self.name == "docker.io" { self.home.host() } else { &self.name };
        Url::new(secure, place, rest)
    }

    /// Whether a URL is one of this host's own, so that its credential may go there.
    pub(super) fn owns(&self, url: &Url) -> bool {
        self.url(self.secure().unwrap_or(true), "/").is_some_and(|home| home.same_origin(url))
    }

    /// The agent for a URL that this host has, or leads to.
    pub(super) fn agent(&self, registries: &Registries, url: &Url) -> Result<Agent, RegistryError> {
        let settings = &registries.settings;
        let home = self.owns(url);
        let target = url.authority();
        let known = (!home && registries.knows(&target)).then_some(target);
        // A proxy would look for it on its own machine.
        let proxied = !url.names_loopback();
        let key = Key { secure: url.secure(), home, proxied, known };
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let http = &settings.http;
        let direct = Http { http_proxy: None, https_proxy: None, ..http.clone() };
        let mut config = (if proxied { http } else { &direct })
            .config(&url.text())?
            .max_redirects(0)
            .max_idle_connections(2 * IDLE)
            .max_idle_connections_per_host(IDLE);
        if url.secure() {
            let trusted: Vec<&str> = [self.name.as_str()].into_iter().chain(key.known.as_deref()).collect();
            let known_as = if home { Some(self.name.as_str()) } else { key.known.as_deref() };
            let tls = tls::config(settings, &trusted, known_as, !proxied)?;
            config = config.tls_config(tls);
        }
        let origin = Arc::clone(&self.origin);
        let agent = guarded(config.build(), move |host, addresses| origin.judge(host, addresses));
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

impl Registries {
    pub(super) fn is_insecure(&self, name: &str) -> bool {
        self.settings.hosts.get(name).is_some_and(|host| host.insecure)
    }

    /// Whether the settings say something about certificates of a host that is no registry of this request.
    fn knows(&self, name: &str) -> bool {
        self.settings.hosts.contains_key(name) || self.settings.certs_d.iter().any(|d| d.join(name).is_dir())
    }

    /// The one host of this name.
    pub(super) fn host(&self, name: &str) -> Result<Arc<Host>, RegistryError> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(name, self)?);
        hosts.insert(name.to_owned(), Arc::clone(&host));
        Ok(host)
    }

    /// The mirrors to ask before the registry itself, each with the repository's name there. Only what a digest
    /// or a tag names is asked of them, and only to be read.
    pub(super) fn mirrors(&self, call: &Call<'_>) -> Result<Vec<(Arc<Host>, String)>, RegistryError> {
        let To::Path(path) = &call.to else { return Ok(Vec::new()) };
        let reads =
            matches!(call.method.as_str(), "GET" | "HEAD") && !call.access.push && !call.access.delete;
        let thing = path.starts_with("manifests/")
            || (path.starts_with("blobs/") && !path.starts_with("blobs/uploads/"));
        if !reads || !thing || call.direct {
            return Ok(Vec::new());
        }
        let Some(host) = self.settings.hosts.get(&call.repository.registry) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for mirror in &host.mirrors {
            let (name, prefix) = mirror.split_once('/').unwrap_or((mirror, ""));
            let prefix = prefix.trim_matches('/');
            let slash = if prefix.is_empty() { "" } else { "/" };
            found.push((self.host(name)?, format!("{prefix}{slash}{}", call.repository.name)));
        }
        Ok(found)
    }
}
