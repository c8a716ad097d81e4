//! `Buildfile.lock`: what each outside input of a Buildfile was resolved to.
//!
//! Here are the file's types, and how it is read and written. Who asks the world, and answers from a lock instead,
//! is the build's.
//!
//! Invariants: what is written is a function of the entries alone, sorted, a line for each value, so that a change
//! of one entry is a change of its lines; what is read is of this version, whole, and has no field that is not
//! known; and no password is in it, for its names are those that [`name_of_url`] gives.

mod changes;
mod entries;
mod file;
mod memo;
mod names;
mod network;
mod policy;
mod read;
mod unique;

pub use changes::{Change, Kind, changes};
pub use entries::{Commit, LockedConfig, LockedContext, LockedGit, LockedImage, LockedManifest, LockedUrl};
use file::parse;
pub use file::{LockFileError, MAX_BYTES, load, path_beside, save};
pub use memo::{Memo, Policy};
pub use names::Entry;
pub use network::{HeaderValue, LockedResponse};
pub use policy::{Denied, SourcePolicy, SourcePolicyError};
pub use read::LockError;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::http::split;
use crate::oci::{Digest, Platform};
use crate::plan::Git;
use crate::text::escaped;

/// The version of the file's format, of which this is the only one.
pub const VERSION: u32 = 1;

/// All that was locked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// The image contract's format profile that builds with it have.
    pub profile: u32,
    /// Of what the Buildfile asks of the outside, as it was when this was written: with another one, the file has
    /// been changed since.
    pub fingerprint: Digest,
    /// The platforms that it was made for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub platforms: BTreeSet<PlatformName>,
    /// The `# syntax=` directive as written. Nothing is fetched for it: the language is lith's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syntax: Option<String>,
    /// Bases and sources of copies and mounts, by name as the Buildfile has it, arguments expanded.
    #[serde(default, with = "unique", skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, LockedImage>,
    /// Images that a named context stands for, by name as the Buildfile has it.
    #[serde(default, with = "unique", skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, LockedContext>,
    /// Sources of ADD, by [`name_of_url`].
    #[serde(default, with = "unique", skip_serializing_if = "BTreeMap::is_empty")]
    pub urls: BTreeMap<String, LockedUrl>,
    /// Sources of ADD, by [`name_of_git`].
    #[serde(default, with = "unique", skip_serializing_if = "BTreeMap::is_empty")]
    pub git: BTreeMap<String, LockedGit>,
    /// What steps with `--network=locked` were answered, by request: the URL of a GET, and more of others.
    #[serde(default, with = "unique", skip_serializing_if = "BTreeMap::is_empty")]
    pub network: BTreeMap<String, LockedResponse>,
}

impl Lock {
    /// One without entries.
    pub fn new(profile: u32, fingerprint: Digest) -> Self {
        Self {
            version: VERSION,
            profile,
            fingerprint,
            platforms: BTreeSet::new(),
            syntax: None,
            images: BTreeMap::new(),
            contexts: BTreeMap::new(),
            urls: BTreeMap::new(),
            git: BTreeMap::new(),
            network: BTreeMap::new(),
        }
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        // By way of a value, whose maps are sorted.
        let value = serde_json::to_value(self).expect("its keys are texts, and its numbers integers");
        let mut text = String::new();
        for c in format!("{value:#}\n").chars() {
            // What a terminal or an editor would obey, in JSON's words: the file is made to be reviewed.
            if c == '\n' || escaped(c.encode_utf8(&mut [0; 4])).chars().eq([c]) {
                text.push(c);
            } else {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
        }
        text
    }
}

/// A platform in the words of `--platform`, as a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlatformName(String);

impl PlatformName {
    pub fn of(platform: &Platform) -> Self {
        Self(platform.clone().normalized().to_string())
    }

    pub fn platform(&self) -> Platform {
        self.0.parse().expect("only names of platforms become one")
    }
}

impl std::fmt::Display for PlatformName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PlatformName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let platform: Platform = text.parse().map_err(|error| format!("{error}"))?;
        let name = Self::of(&platform);
        if name.0 == text { Ok(name) } else { Err(format!("expected the platform `{name}`, found `{text}`")) }
    }
}

impl From<PlatformName> for String {
    fn from(name: PlatformName) -> Self {
        name.0
    }
}

/// A URL's name in a lock: without user and password, nor fragment.
pub fn name_of_url(url: &str) -> String {
    let (bare, _) = split(url);
    bare.split('#').next().unwrap_or_default().to_owned()
}

/// The name in a lock of what a git address asks for: `URL#REFERENCE`. Which folder of it, is no matter of the commit.
pub fn name_of_git(git: &Git) -> String {
    let (bare, _) = split(&git.remote);
    format!("{bare}#{}", git.reference.as_deref().unwrap_or("HEAD"))
}

#[cfg(test)]
mod tests;
