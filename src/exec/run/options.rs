//! What a build gives to its steps, beside what the Buildfile says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::cleaners::Cleaners;
use crate::plan::{Clock, Network};
use crate::proxy::Session;
use crate::sandbox::{self, Hidden, Limits};

/// What steps that run programs get.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Without one, no step can be run; those that are cached are used.
    pub sandbox: Option<sandbox::Options>,
    /// By id.
    pub secrets: BTreeMap<String, Secret>,
    /// Agents' sockets by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// For steps that say nothing of it.
    pub network: Network,
    /// What steps with `--network=locked` are answered. Without one, none can be run.
    pub locked: Option<Arc<Session>>,
    /// The one that steps see; without one, the machine's.
    pub clock: Option<Clock>,
    /// Steps that want a network are not run: what is cached of them is used.
    pub no_network: bool,
    pub allow: BTreeSet<Entitlement>,
    pub limits: Limits,
    pub cleaners: Cleaners,
    /// Run each step once more, elsewhere as far as it can see, and compare what it changes.
    pub check: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            sandbox: None,
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            network: Network::None,
            locked: None,
            clock: None,
            no_network: false,
            allow: BTreeSet::new(),
            limits: Limits::default(),
            cleaners: Cleaners::default(),
            check: false,
        }
    }
}

/// What a step may ask for, and a build has to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entitlement {
    NetworkHost,
    /// Of steps whose network is recorded: what this machine itself serves.
    NetworkLoopback,
    SecurityInsecure,
}

impl Entitlement {
    const ALL: [Self; 3] = [Self::NetworkHost, Self::NetworkLoopback, Self::SecurityInsecure];
}

impl fmt::Display for Entitlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetworkHost => "network.host",
            Self::NetworkLoopback => "network.loopback",
            Self::SecurityInsecure => "security.insecure",
        })
    }
}

impl std::str::FromStr for Entitlement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|entitlement| entitlement.to_string() == text)
            .ok_or_else(|| "expected `network.host`, `network.loopback` or `security.insecure`".into())
    }
}

/// A value that only the steps that ask for it see. It is read once, when the first of them does.
#[derive(Debug, Clone)]
pub struct Secret {
    from: From,
    value: Arc<OnceLock<Hidden>>,
}

#[derive(Debug, Clone)]
enum From {
    File(PathBuf),
    Value,
}

/// As large as other builders take.
const MAX_SECRET: u64 = 500 * 1024;

impl Secret {
    pub fn file(path: PathBuf) -> Self {
        Self { from: From::File(path), value: Arc::default() }
    }

    pub fn value(value: impl Into<Vec<u8>>) -> Self {
        let known = OnceLock::new();
        known.get_or_init(|| Hidden(value.into()));
        Self { from: From::Value, value: Arc::new(known) }
    }

    pub(super) fn read(&self, id: &str) -> Result<&Hidden, super::RunError> {
        if let (None, From::File(path)) = (self.value.get(), &self.from) {
            let bytes = read_bounded(path).map_err(|error| super::RunError::ReadSecret {
                id: id.into(),
                path: path.clone(),
                error,
            })?;
            let bytes =
                bytes.ok_or_else(|| super::RunError::SecretTooLarge { id: id.into(), limit: MAX_SECRET })?;
            self.value.get_or_init(|| Hidden(bytes));
        }
        Ok(self.value.get().expect("a value, or just read"))
    }
}

/// Not only from files: shells give pipes for `<(…)`.
fn read_bounded(path: &PathBuf) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SECRET + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_SECRET).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_bounded_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        std::fs::write(&path, "hunter2").unwrap();
        let secret = Secret::file(path.clone());
        assert_eq!(secret.read("s").unwrap().0, b"hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        std::fs::write(&path, vec![0; 600 << 10]).unwrap();
        assert_eq!(secret.read("s").unwrap().0, b"hunter2");
        let error = Secret::file(path).read("s").unwrap_err();
        assert_eq!(error.to_string(), "the secret `s` has more than 512000 bytes");
        let error = Secret::file("/not/there".into()).read("s").unwrap_err();
        assert!(error.to_string().starts_with("reading the secret `s` from `/not/there`: "), "{error}");
        assert_eq!(Secret::value("v").read("v").unwrap().0, b"v");
    }

    #[test]
    fn entitlements_have_dockers_names() {
        assert_eq!("network.host".parse(), Ok(Entitlement::NetworkHost));
        assert_eq!("security.insecure".parse(), Ok(Entitlement::SecurityInsecure));
        assert!("device".parse::<Entitlement>().is_err());
    }
}
