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
        self.held(&link.entry.digest(), |_| true).is_some()
    }

    /// The entry since which the environment has, or had, an image that is good here: that nobody has marked bad, and that
    /// nobody has gone back from without its being released again or marked good. Of its moves those count that `counts`.
    fn held(&self, image: &str, counts: impl Fn(&Link) -> bool) -> Option<&Link> {
        let same = |link: &&Link| link.entry.digest() == image;
        let is_move = |link: &&Link| link.entry.moves();
        let mut again = None;
        for (at, link) in self.links.iter().enumerate() {
            let left = self.links[at + 1..].iter().find(is_move);
            match link.entry.kind {
                Kind::Mark { verdict: Verdict::Bad, .. } if same(&link) => return None,
                Kind::Mark { verdict: Verdict::Good, .. } if same(&link) => {
                    return self.links.iter().rev().filter(is_move).find(|link| same(link) && counts(link));
                }
                Kind::Release | Kind::Rollback { .. } | Kind::Repair { adopts: true, .. }
                    if same(&link) && counts(link) =>
                {
                    again = Some(link);
                }
                Kind::Rollback { .. } if left.is_some_and(|left| same(&left)) => return again,
                _ => {}
            }
        }
        again
    }

    /// Since when the environment has, or had, an image that is good here. What was only found under its tag has passed
    /// no gate, and doesn't count.
    pub fn since(&self, image: &Digest) -> Option<u64> {
        let counts = |link: &Link| !matches!(link.entry.kind, Kind::Repair { .. });
        Some(self.held(&image.to_string(), counts)?.entry.time)
    }
}
