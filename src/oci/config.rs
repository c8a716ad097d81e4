//! The image config (image-spec, config.md).
//!
//! Ours instead of `oci-spec`'s: maps that are sorted, and fields that lith doesn't know kept in `extra`, so
//! that a base's Healthcheck, OnBuild, Shell or a vendor's own key survives a build.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{DiffId, Platform};

/// The document that a manifest's `config` descriptor points at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub config: RuntimeConfig,
    pub rootfs: RootFs,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The layers that the root file system is made of, by diff ID, base first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootFs {
    #[serde(rename = "type", default = "RootFs::kind")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<DiffId>,
}

impl RootFs {
    fn kind() -> String {
        "layers".into()
    }

    pub fn new(diff_ids: Vec<DiffId>) -> Self {
        Self { kind: Self::kind(), diff_ids }
    }
}

/// One instruction's line in the image's record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// How a container of the image is run: the `config` object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeConfig {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(default, with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// `NAME=value`, in the order in which they were set.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(default, with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl RuntimeConfig {
    /// The value of the environment variable `name`.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// Sets `name` to `value`, in its old place if it was set before.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={value}");
        let same = |old: &&mut String| old.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        match self.env.iter_mut().find(same) {
            Some(old) => *old = pair,
            None => self.env.push(pair),
        }
    }
}

/// Docker's extension of the config (moby image-spec v1.2, "Healthcheck"). Times are in nanoseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub interval: i64,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub timeout: i64,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub start_period: i64,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub start_interval: i64,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_default")]
    pub retries: i64,
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Other builders write `null` where they mean "absent".
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A Go `map[string]struct{}`: a set written as `{"name": {}}`.
mod set {
    use super::*;

    pub(super) fn serialize<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(set.iter().map(|name| (name, Map::new())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map: BTreeMap<String, Value> = or_default(deserializer)?;
        Ok(map.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::canonical;

    #[test]
    fn a_strangers_config_passes_through_whole() {
        let text = concat!(
            r#"{"architecture":"amd64","author":"a","config":{"ArgsEscaped":true,"Cmd":["sh"],"Env":["B=1","A=2"],"#,
            r#""ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Interval":3,"Test":["NONE"],"X":1},"Labels":{"z":"1"},"#,
            r#""OnBuild":["RUN x"],"Shell":["/bin/bash"],"Vendor":{"k":[1]},"Volumes":{"/v":{}}},"created":"now","#,
            r#""history":[{"created_by":"x","empty_layer":true}],"os":"linux","rootfs":{"diff_ids":[],"type":"layers"},"#,
            r#""vendor.key":1}"#
        );
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(String::from_utf8(canonical::to_vec(&config).unwrap()).unwrap(), text);
    }

    #[test]
    fn null_is_absent() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"Env":null,"Cmd":null,"Labels":null,"Volumes":null},"rootfs":{"type":"layers","diff_ids":null},"history":null}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        let written = String::from_utf8(canonical::to_vec(&config).unwrap()).unwrap();
        assert_eq!(
            written,
            r#"{"architecture":"amd64","os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}"#
        );
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut config = RuntimeConfig::default();
        config.set_env("PATH", "/bin");
        config.set_env("PA", "x");
        config.set_env("PATH", "/usr/bin");
        assert_eq!(config.env, ["PATH=/usr/bin", "PA=x"]);
        assert_eq!(config.env("PA"), Some("x"));
        assert_eq!(config.env("P"), None);
    }
}
