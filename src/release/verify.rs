//! Whether a ledger is what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Chain, Ledger, ReleaseError};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// An entry is missing, altered or not valid: the chain ends there.
    Broken(String),
    /// An entry that no later one names.
    Fork { number: u64, digest: String },
    /// A tag that stands for something else, or nothing.
    Tag { tag: String, expected: String, found: Option<String> },
}

impl Problem {
    pub(super) fn is_fork(&self) -> bool {
        matches!(self, Self::Fork { .. })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) => f.write_str(what),
            Self::Fork { number, digest } => {
                write!(f, "entry {number} `{digest}` is beside the chain: no later entry leads to it")
            }
            Self::Tag { tag, expected, found: Some(found) } => {
                write!(f, "the tag `{tag}` stands for `{found}`; expected `{expected}`")
            }
            Self::Tag { tag, expected, found: None } => {
                write!(f, "the tag `{tag}` is missing; expected `{expected}`")
            }
        }
    }
}

impl Ledger<'_> {
    /// The chain, and all that is wrong with it and its tags, but for breaks that an entry names.
    pub fn verify(&self) -> Result<(Chain, Vec<Problem>), ReleaseError> {
        let chain = self.chain()?;
        let slots = self.slots()?;
        let mut problems: Vec<Problem> =
            chain.broken.iter().map(|error| Problem::Broken(error.to_string())).collect();
        let own: BTreeMap<u64, String> = chain
            .links
            .iter()
            .map(|link| (link.entry.number, link.descriptor.digest().to_string()))
            .collect();
        for (number, digest) in &own {
            problems.extend(self.tag(&self.environment.entry_tag(*number), digest)?);
        }
        let lost: BTreeSet<u64> = chain.breaks().flat_map(|(_, one)| one.lost.clone()).collect();
        for number in slots.taken().filter(|number| !own.contains_key(number)) {
            // What an entry calls lost is excused as long as it can't be read, whoever says so.
            problems.extend(self.beside(number, lost.contains(&number), chain.broken.is_some())?);
        }
        if let (Some(head), Some(current)) = (chain.links.first(), chain.current()) {
            let head = head.descriptor.digest().to_string();
            problems.extend(self.tag(&self.environment.head_tag(), &head)?);
            problems.extend(self.tag(self.environment.tag(), &current.entry.digest())?);
        }
        let mut seen = Vec::new();
        problems.retain(|problem| {
            let is_new = !seen.contains(problem);
            seen.extend(is_new.then(|| problem.clone()));
            is_new
        });
        Ok((chain, problems))
    }

    /// What is wrong with a number whose entry is not in the chain.
    fn beside(&self, number: u64, is_lost: bool, is_broken: bool) -> Result<Option<Problem>, ReleaseError> {
        let tag = self.environment.entry_tag(number);
        let found = self.at(&tag).and_then(|found| {
            let missing = || self.broken(&tag, "is missing: its tag stands for nothing");
            let found = found.ok_or_else(missing)?;
            Ok((self.entry(&found)?, found))
        });
        Ok(match found {
            Err(ReleaseError::Broken { .. }) if is_lost => None,
            // Its tag was given to another entry.
            Ok((entry, _)) if is_lost && entry.number != number => None,
            // Beyond where the chain breaks off nothing can be said of what leads where.
            Ok(_) if is_broken => None,
            Ok((_, found)) => Some(Problem::Fork { number, digest: found.digest().to_string() }),
            Err(error @ (ReleaseError::Broken { .. } | ReleaseError::Unread { .. })) => {
                Some(Problem::Broken(error.to_string()))
            }
            Err(error) => return Err(error),
        })
    }

    fn tag(&self, tag: &str, expected: &str) -> Result<Option<Problem>, ReleaseError> {
        let found = self.shelf.resolve(tag)?.map(|found| found.digest().to_string());
        let problem =
            || Problem::Tag { tag: tag.to_owned(), expected: expected.to_owned(), found: found.clone() };
        Ok((found.as_deref() != Some(expected)).then(problem))
    }
}
