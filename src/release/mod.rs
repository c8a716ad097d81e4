//! Releases: which image an environment has, and which it had, as a chain that can't be quietly rewritten.
//!
//! An environment's ledger stands in the image's own repository. Each entry is an artifact whose subject is the image
//! and that names the entry before it by digest; it keeps a tag, so that no registry takes it for garbage. What may be
//! released is said by [`Policy`]; the clock and the actor are the caller's. Signatures of entries are to be referrers of
//! an entry's manifest: nothing here changes when they come.
//!
//! Invariant: an entry that [`Ledger::append`] has accepted is in the chain of every later one, whoever writes at the
//! same time ([`slots`](self) says why), and nothing is ever taken out of a chain.

mod append;
mod chain;
mod entry;
mod environment;
mod error;
mod evidence;
mod facts;
mod policy;
mod repair;
mod retention;
mod rollback;
mod shelf;
mod slots;
mod verify;
mod whole;

pub use append::{Appended, Author};
pub use chain::{Chain, Link};
pub use entry::{ARTIFACT_TYPE, Entry, Kind, Verdict};
pub use environment::{Environment, ParseEnvironmentError};
pub use error::ReleaseError;
pub use evidence::{Evidence, EvidenceError, Testimony, attached};
pub use facts::Facts;
pub use policy::{Policy, PolicyError, REBUILT, Refusal, Rules, duration, seconds};
pub use repair::{Break, Repair};
pub use retention::{Keep, Kept, Tidying, Use, Waste, Why};
pub use rollback::Candidates;
pub use shelf::{LayoutShelf, RegistryShelf, Shelf};
pub use verify::Problem;
pub use whole::{WholeError, whole};

/// An environment's ledger, where its images are.
#[derive(Debug)]
pub struct Ledger<'a> {
    shelf: &'a dyn Shelf,
    environment: Environment,
}

impl<'a> Ledger<'a> {
    pub fn new(shelf: &'a dyn Shelf, environment: Environment) -> Self {
        Self { shelf, environment }
    }

    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

#[cfg(test)]
mod tests;
