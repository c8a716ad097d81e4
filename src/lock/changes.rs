//! What is another in one lock than in another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::{Lock, LockedImage};

/// An entry that came, went or moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    pub kind: Kind,
    /// The entry's, as the lock has it.
    pub name: String,
    /// None if it is for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// A digest or a commit; None if it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// None if it went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The parts of a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Image,
    Context,
    Url,
    Git,
    Network,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Context => "context",
            Self::Url => "url",
            Self::Git => "git",
            Self::Network => "network",
        })
    }
}

/// Where a lock differs from an older one, sorted. A platform's manifest is told where its index has not moved.
pub fn changes(old: &Lock, new: &Lock) -> Vec<Change> {
    let (old, new) = (flat(old), flat(new));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differ = keys.into_iter().filter(|key| old.get(key) != new.get(key));
    let change = |key: &Key| {
        let (kind, name, platform) = key.clone();
        Change { kind, name, platform, from: old.get(key).cloned(), to: new.get(key).cloned() }
    };
    let found: Vec<Change> = differ.map(change).collect();
    let moved: BTreeSet<(Kind, String)> = found
        .iter()
        .filter(|change| change.platform.is_none())
        .map(|change| (change.kind, change.name.clone()))
        .collect();
    let is_told =
        |change: &Change| change.platform.is_some() && moved.contains(&(change.kind, change.name.clone()));
    found.into_iter().filter(|change| !is_told(change)).collect()
}

type Key = (Kind, String, Option<String>);

fn flat(lock: &Lock) -> BTreeMap<Key, String> {
    let mut flat = BTreeMap::new();
    let mut image = |kind: Kind, name: &String, image: &LockedImage| {
        flat.insert((kind, name.clone(), None), image.digest.to_string());
        for (platform, manifest) in &image.platforms {
            flat.insert((kind, name.clone(), Some(platform.to_string())), manifest.digest.to_string());
        }
    };
    lock.images.iter().for_each(|(name, found)| image(Kind::Image, name, found));
    lock.contexts.iter().for_each(|(name, found)| image(Kind::Context, name, &found.image));
    let urls = lock.urls.iter().map(|(name, url)| (Kind::Url, name, url.digest.to_string()));
    let git = lock.git.iter().map(|(name, git)| (Kind::Git, name, git.commit.as_str().to_owned()));
    let network = lock.network.iter().map(|(name, got)| (Kind::Network, name, got.summary()));
    for (kind, name, value) in urls.chain(git).chain(network) {
        flat.insert((kind, name.clone(), None), value);
    }
    flat
}
