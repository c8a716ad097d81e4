//! lith's configuration file: how registries are reached, and which tags may move. docs/configuration.md is for
//! people.
//!
//! What is wrong in it is an error that names file and line: a misspelt `insecure` or `moving-tags` must not go
//! unnoticed.

mod reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lith::transport::registry::HostSettings;

use super::error::Hinted;
use reader::Reader;

/// More than anybody writes.
const MAX_FILE: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) ca: Vec<PathBuf>,
    /// Instead of docker's and containers' folders.
    pub(super) certs_d: Option<Vec<PathBuf>>,
    moving_tags: Vec<String>,
    registries: BTreeMap<String, Host>,
}

/// What it says of one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Host {
    settings: HostSettings,
    moving_tags: Option<Vec<String>>,
}

impl Default for Config {
    fn default() -> Self {
        let (ca, registries) = (Vec::new(), BTreeMap::new());
        Self { ca, certs_d: None, moving_tags: vec!["latest".into()], registries }
    }
}

impl Config {
    /// Reads the file; if nobody named it, it may be missing.
    pub(super) fn read(path: &Path, named: bool) -> anyhow::Result<Self> {
        match read_bounded(path) {
            Ok(text) => Ok(Self::parse(path, &text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => Ok(Self::default()),
            Err(error) => {
                Err(error).with_context(|| format!("reading the configuration in `{}`", path.display()))
            }
        }
    }

    pub(super) fn hosts(&self) -> BTreeMap<String, HostSettings> {
        self.registries.iter().map(|(name, host)| (name.clone(), host.settings.clone())).collect()
    }

    /// Globs of the tags of a registry that may be moved.
    pub(super) fn moving_tags(&self, registry: &str) -> &[String] {
        let own = self.registries.get(registry).and_then(|host| host.moving_tags.as_ref());
        own.unwrap_or(&self.moving_tags)
    }

    /// `path` is what relative paths in it start from, and what errors name.
    fn parse(path: &Path, text: &str) -> Result<Self, Hinted> {
        let reader = Reader::new(path, text);
        let document = reader.document()?;
        let mut config = Self::default();
        for (key, value) in document.get_ref() {
            match &**key.get_ref() {
                "ca" => config.ca = reader.paths(value)?,
                "certs-d" => config.certs_d = Some(reader.paths(value)?),
                "moving-tags" => config.moving_tags = reader.globs(value)?,
                "registry" => {
                    for (name, value) in reader.table(value)? {
                        config.registries.insert(reader.registry(name)?, host(&reader, value)?);
                    }
                }
                _ => return Err(reader.unknown(key, &KEYS)),
            }
        }
        Ok(config)
    }
}

const KEYS: [&str; 4] = ["ca", "certs-d", "moving-tags", "registry"];
const HOST_KEYS: [&str; 6] = ["ca", "client-certificate", "client-key", "insecure", "mirrors", "moving-tags"];

fn host(reader: &Reader<'_>, value: &reader::Value<'_>) -> Result<Host, Hinted> {
    let mut host = Host::default();
    let (mut certificate, mut private_key) = (None, None);
    for (key, value) in reader.table(value)? {
        match &**key.get_ref() {
            "ca" => host.settings.ca = Some(reader.path(value)?),
            "client-certificate" => certificate = Some(reader.path(value)?),
            "client-key" => private_key = Some(reader.path(value)?),
            "insecure" => host.settings.insecure = reader.switch(value)?,
            "mirrors" => host.settings.mirrors = reader.mirrors(value)?,
            "moving-tags" => host.moving_tags = Some(reader.globs(value)?),
            _ => return Err(reader.unknown(key, &HOST_KEYS)),
        }
    }
    if certificate.is_some() != private_key.is_some() {
        return Err(reader.error(value.span(), "`client-certificate` and `client-key` need each other"));
    }
    host.settings.client_certificate = certificate.zip(private_key);
    Ok(host)
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is too large to be one"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
