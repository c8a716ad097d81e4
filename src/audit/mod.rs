//! What is deployed: the references in what people deploy with, and the releases that they belong to.
//!
//! Here are ledgers put beside references, and the page that shows both. Files are found, and registries chosen, by the
//! caller; nothing is changed anywhere. Invariant: nothing that a file, a ledger or a registry says reaches the page other
//! than as text.

mod escape;
mod page;
mod timeline;

pub use page::page;

use crate::oci::Digest;
use crate::pin::{Site, Target};
use crate::release::{Chain, Entry, Environment, Ledger, ReleaseError, Shelf, Verdict};

/// The ledgers of a repository or layout.
#[derive(Debug)]
pub struct Ledgers {
    pub place: String,
    pub environments: Vec<(Environment, Chain)>,
}

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
        Ok(Self { place: shelf.name(), environments })
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
}

/// Each environment's last move to an image.
pub fn standings(ledgers: &[Ledgers], image: &Digest) -> Vec<Standing> {
    let mut found = Vec::new();
    for of in ledgers {
        for (_, chain) in &of.environments {
            let is_it = |entry: &Entry| entry.moves() && entry.digest() == image.to_string();
            let Some(link) = chain.links.iter().find(|link| is_it(&link.entry)) else { continue };
            found.push(Standing {
                place: of.place.clone(),
                entry: link.entry.clone(),
                verdict: chain.verdict(link.entry.number),
                is_current: chain.current().is_some_and(|current| is_it(&current.entry)),
            });
        }
    }
    found
}

/// A reference, and all that is known of it.
#[derive(Debug, Clone)]
pub struct Row {
    pub file: String,
    pub line: usize,
    pub text: String,
    pub state: State,
    /// What it is pinned to, or what its tag stands for now.
    pub digest: Option<Digest>,
    pub standings: Vec<Standing>,
    /// What could not be found out.
    pub problem: Option<String>,
}
