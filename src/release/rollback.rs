//! What an environment can go back to.

use super::{Chain, Kind, Ledger, Link, ReleaseError, Verdict};
use crate::oci::Digest;

/// The releases to go back to, the best first.
#[derive(Debug)]
pub struct Candidates<'a> {
    pub current: &'a Link,
    pub links: Vec<&'a Link>,
}

impl Chain {
    /// What came before what is there now, the last first, each image once: without what is marked bad, and without what
    /// somebody has already gone back from, unless it is marked good.
    pub fn good(&self, ledger: &Ledger<'_>) -> Result<Candidates<'_>, ReleaseError> {
        let current = self.current().ok_or_else(|| ReleaseError::Empty(ledger.environment().clone()))?;
        let mut links: Vec<&Link> = Vec::new();
        for link in self.links.iter().filter(|link| link.entry.moves()) {
            let is_known = links.iter().any(|known| known.entry.image.digest() == link.entry.image.digest());
            let is_current = link.entry.image.digest() == current.entry.image.digest();
            if !is_known && !is_current && self.is_good(link) {
                links.push(link);
            }
        }
        Ok(Candidates { current, links })
    }

    /// What is said of an image counts for each entry that has it.
    fn is_good(&self, link: &Link) -> bool {
        let same = |other: &&Link| other.entry.image.digest() == link.entry.image.digest();
        for (at, later) in self.links.iter().enumerate() {
            let left = self.links[at + 1..].iter().find(|before| before.entry.moves());
            match later.entry.kind {
                Kind::Mark { verdict, .. } if same(&later) => return verdict == Verdict::Good,
                Kind::Rollback { .. } if left.is_some_and(|left| same(&left)) => return false,
                _ => {}
            }
        }
        true
    }

    /// When the environment first got an image that nobody has marked bad here.
    pub fn since(&self, image: &Digest) -> Option<u64> {
        let is_it = |link: &&Link| link.entry.moves() && link.entry.digest() == image.to_string();
        let first = self.links.iter().rev().find(is_it)?;
        self.is_good(first).then_some(first.entry.time)
    }
}
