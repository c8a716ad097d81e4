//! What is deployed: the references in what people deploy with, and the releases that they belong to.
//!
//! Here are ledgers put beside references, and the page that shows both. Files are found, and registries chosen, by the
//! caller; nothing is changed anywhere. Invariant: nothing that a file, a ledger or a registry says reaches the page other
//! than as text.

mod escape;
mod page;
mod timeline;

pub use page::page;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::oci::{Descriptor, Digest, ImageIndex, MediaType};
use crate::parallel;
use crate::pin::{Site, Target};
use crate::release::{Chain, Entry, Environment, Ledger, ReleaseError, Shelf, Verdict};

/// The ledgers of a repository or layout.
#[derive(Debug)]
pub struct Ledgers {
    pub place: String,
    pub environments: Vec<(Environment, Chain)>,
    /// Which index lists a manifest, and for which platform: as far as it was looked for.
    parts: BTreeMap<String, Vec<Part>>,
}

/// A place of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    index: String,
    platform: String,
}

/// As many questions at once as a registry doesn't mind.
const QUESTIONS: usize = 6;

impl Ledgers {
    /// Reads all of them; a chain that breaks off says so itself.
    pub fn read(shelf: &dyn Shelf) -> Result<Self, ReleaseError> {
        let mut environments = Vec::new();
        for environment in Environment::all(shelf.tags()?.iter().map(String::as_str)) {
            match Ledger::new(shelf, environment.clone()).chain() {
                // Somebody has claimed the first number, and no more.
                Err(ReleaseError::Empty(_)) => {}
                chain => environments.push((environment, chain?)),
            }
        }
        Ok(Self { place: shelf.name(), environments, parts: BTreeMap::new() })
    }

    /// Looks into the indexes that were released for digests that no entry has: they may be single platforms of them.
    /// An index that is gone, or can't be read, has none.
    pub fn look_for(&mut self, shelf: &dyn Shelf, digests: &BTreeSet<Digest>) {
        let images: BTreeMap<String, &Descriptor> = self
            .environments
            .iter()
            .flat_map(|(_, chain)| &chain.links)
            .filter(|link| link.entry.moves())
            .map(|link| (link.entry.digest(), &link.entry.image))
            .collect();
        if digests.iter().all(|digest| images.contains_key(&digest.to_string())) {
            return;
        }
        let indexes: Vec<&Descriptor> =
            images.into_values().filter(|image| *image.media_type() != MediaType::ImageManifest).collect();
        let found = Mutex::new(Vec::new());
        let look = |image: &&Descriptor| {
            if let Ok(bytes) = shelf.bytes(image)
                && let Ok(index) = serde_json::from_slice::<ImageIndex>(&bytes)
            {
                found.lock().expect("nobody panics with it").push((image.digest().to_string(), index));
            }
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = parallel::each(&indexes, QUESTIONS, look);
        for (index, document) in found.into_inner().expect("as above") {
            for manifest in document.manifests() {
                let platform = manifest.platform().as_ref().map(platform_of).unwrap_or_default();
                let part = Part { index: index.clone(), platform };
                self.parts.entry(manifest.digest().to_string()).or_default().push(part);
            }
        }
    }

    /// The platform for which an index that was released has a manifest.
    fn part_of(&self, manifest: &str, index: &str) -> Option<&str> {
        let parts = self.parts.get(manifest)?;
        parts.iter().find(|part| part.index == index).map(|part| &*part.platform)
    }
}

/// How a reference is fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Pinned,
    /// Whoever moves the tag changes what is deployed.
    Floating,
    /// No reference that could be looked up, and why.
    Left(String),
}

impl State {
    pub fn of(site: &Site) -> Self {
        match &site.target {
            Target::Image(named) if named.digest.is_some() => Self::Pinned,
            Target::Image(_) | Target::Folder(_) => Self::Floating,
            Target::Left(why) => Self::Left(why.to_string()),
        }
    }

    pub fn word(&self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Floating => "floating",
            Self::Left(_) => "left",
        }
    }
}

/// A release of an image, as seen from a reference to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub place: String,
    /// The last move to the image.
    pub entry: Entry,
    pub verdict: Option<Verdict>,
    /// The environment has it now.
    pub is_current: bool,
    /// Of an index that was released, the reference names this platform's image alone.
    pub platform: Option<String>,
}

/// Each environment's last move to an image.
pub fn standings(ledgers: &[Ledgers], image: &Digest) -> Vec<Standing> {
    let mut found = Vec::new();
    for of in ledgers {
        for (_, chain) in &of.environments {
            let text = image.to_string();
            let is_part = |entry: &Entry| of.part_of(&text, &entry.digest()).is_some();
            let is_it = |entry: &Entry| entry.moves() && (entry.digest() == text || is_part(entry));
            let Some(link) = chain.links.iter().find(|link| is_it(&link.entry)) else { continue };
            found.push(Standing {
                place: of.place.clone(),
                entry: link.entry.clone(),
                verdict: chain.verdict(link.entry.number),
                is_current: chain.current().is_some_and(|current| is_it(&current.entry)),
                platform: of.part_of(&text, &link.entry.digest()).map(str::to_owned),
            });
        }
    }
    found
}

/// `os/architecture[/variant]`
fn platform_of(platform: &oci_spec::image::Platform) -> String {
    let variant = platform.variant().as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os(), platform.architecture())
}

/// What is to be done about a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It is pinned, and what it should be, as far as ledgers say.
    Fine,
    /// It is pinned, and not to what the environment has now.
    NotCurrent,
    /// It is pinned to what the environment has now, and that is marked bad.
    Bad,
    /// It is not pinned, or can't be looked up.
    Floating,
}

impl Row {
    /// What a check says. `ledgers` are those of the reference's repository: where there are none, nothing is released. A
    /// tag that is an environment's name says which environment is meant; otherwise any may have it.
    pub fn finding(&self, tag: Option<&str>, ledgers: &[&Ledgers]) -> Finding {
        if self.floats || self.problem.is_some() {
            return Finding::Floating;
        }
        let environments = || ledgers.iter().flat_map(|of| &of.environments).map(|(name, _)| name.tag());
        let Some(_) = environments().next().filter(|_| self.digest.is_some()) else { return Finding::Fine };
        let meant = tag.filter(|tag| environments().any(|name| name == *tag));
        let is_meant = |standing: &&Standing| {
            let is_meant = meant.is_none_or(|tag| standing.entry.environment == tag);
            // Another repository's environments have the same names, and other images.
            let is_own = ledgers.iter().any(|of| of.place == standing.place);
            is_own && is_meant && standing.is_current
        };
        let mut current = self.standings.iter().filter(is_meant).peekable();
        if current.peek().is_none() {
            Finding::NotCurrent
        } else if current.all(|standing| standing.verdict == Some(Verdict::Bad)) {
            Finding::Bad
        } else {
            Finding::Fine
        }
    }
}

/// A reference, and all that is known of it.
#[derive(Debug, Clone)]
pub struct Row {
    pub file: String,
    pub line: usize,
    pub text: String,
    pub state: State,
    /// Whoever moves something elsewhere changes what is deployed.
    pub floats: bool,
    /// What it is pinned to, or what its tag stands for now.
    pub digest: Option<Digest>,
    pub standings: Vec<Standing>,
    /// What could not be found out.
    pub problem: Option<String>,
}
