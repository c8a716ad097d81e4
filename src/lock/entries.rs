//! What a lock knows of each kind of input.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{PlatformName, unique};
use crate::oci::{Digest, ImageConfig, MediaType, Platform, RootFs, RuntimeConfig};

/// What an image's name stood for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedImage {
    /// Of the index, or of the manifest of an image that has none.
    pub digest: Digest,
    pub media_type: MediaType,
    /// By the platform that was asked for.
    #[serde(with = "unique")]
    pub platforms: BTreeMap<PlatformName, LockedManifest>,
}

/// The image for a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedManifest {
    pub digest: Digest,
    pub media_type: MediaType,
    pub size: u64,
    pub config: LockedConfig,
}

/// What planning needs to know of an image's config: all but its history and layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedConfig {
    /// Of the blob. The rest is what stands in that.
    pub digest: Digest,
    /// As the image says it.
    pub platform: Platform,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub runtime: RuntimeConfig,
}

impl LockedConfig {
    pub fn new(digest: Digest, config: &ImageConfig) -> Self {
        Self {
            digest,
            platform: config.platform.clone(),
            author: config.author.clone(),
            runtime: config.config.clone(),
        }
    }

    /// The config as far as it is known here: no history, no layers.
    pub fn to_config(&self) -> ImageConfig {
        ImageConfig {
            author: self.author.clone(),
            platform: self.platform.clone(),
            config: self.runtime.clone(),
            rootfs: RootFs::new(Vec::new()),
            ..ImageConfig::default()
        }
    }
}

/// A named context that is an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedContext {
    /// What `--build-context` said, like `docker-image://alpine:3.20`. With another one, it is another input.
    pub source: String,
    pub image: LockedImage,
}

/// A file's content: what a URL gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedUrl {
    pub digest: Digest,
    pub size: u64,
}

/// What a git reference led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedGit {
    /// The whole hash.
    pub commit: Commit,
    /// Its files and those of its submodules, as a tar that is a blob of the store. Not for an ADD that keeps the
    /// repository or leaves submodules out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<LockedUrl>,
}

/// A commit's whole hash, SHA-1 or SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl Commit {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Commit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match text.len() {
            40 | 64 if is_hex => Ok(Self(text)),
            _ => Err(format!("expected a commit's whole hash, found `{text}`")),
        }
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
