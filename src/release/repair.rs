//! A ledger that has lost entries, and how it goes on: by an entry that says what is lost. Nothing is taken out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::append::After;
use super::entry::bare;
use super::slots::Slots;
use super::{Appended, Author, Entry, Kind, Ledger, Link, ReleaseError};
use crate::oci::Descriptor;
use crate::text::shown;

/// A place where a chain was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Break {
    /// The digest, or else the tag, of the entry that could not be read; a tag that did not stand for its entry.
    pub entry: String,
    pub why: String,
    /// The numbers of entries of which nothing could be read there.
    pub lost: Vec<u64>,
    /// The last entry before it that is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Descriptor>,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", shown(&self.entry), shown(&self.why))?;
        if !self.lost.is_empty() {
            let numbers: Vec<String> = self.lost.iter().map(ToString::to_string).collect();
            write!(f, "; lost: {}", numbers.join(", "))?;
        }
        match &self.resumes {
            Some(entry) => write!(f, "; whole before it: `{}`", shown(entry.digest())),
            None => f.write_str("; nothing before it is whole"),
        }
    }
}

/// What is wrong with a chain, and what lets it go on.
#[derive(Debug)]
pub struct Repair {
    pub breaks: Vec<Break>,
    /// What the environment has: as the last move says that is left, or as its tag does, where later ones are lost.
    pub image: Descriptor,
    /// The tag says it, and nothing that is left does.
    pub adopts: bool,
    /// The last move that is left.
    moved: Option<Link>,
    /// The last entry that is left.
    last: Option<Descriptor>,
    /// The last number.
    head: u64,
    /// Where tags belong that stand for something else, or nothing.
    tags: Vec<(String, Descriptor)>,
}

/// What is left, found from the last to the first.
#[derive(Default)]
struct Left {
    links: Vec<Link>,
    breaks: Vec<Break>,
    /// A break comes after the last move that is left.
    is_late: bool,
}

impl Ledger<'_> {
    /// What the ledger has lost that no entry names yet. That something can't be reached is an error, and no loss.
    pub fn damage(&self) -> Result<Option<Repair>, ReleaseError> {
        let slots = self.slots()?;
        let mut left = self.left(&slots)?;
        let mut tags = Vec::new();
        for link in &left.links {
            let tag = self.environment.entry_tag(link.entry.number);
            let found = match self.at(&tag) {
                Err(ReleaseError::Broken { .. }) => None,
                found => found?,
            };
            if found.as_ref().is_some_and(|found| found.digest() == link.descriptor.digest()) {
                continue;
            }
            let stood = |found: &Descriptor| format!("stood for `{}`", found.digest());
            let why = found.as_ref().map_or_else(|| "was missing".to_owned(), stood);
            let resumes = Some(link.descriptor.clone());
            left.breaks.push(Break { entry: tag.clone(), why, lost: Vec::new(), resumes });
            tags.push((tag, link.descriptor.clone()));
        }
        if left.breaks.is_empty() {
            return Ok(None);
        }
        let moved = left.links.iter().find(|link| link.entry.moves()).cloned();
        let (image, adopts) = self.image_of(moved.as_ref(), left.is_late)?;
        let first = left.links.first();
        let head = slots.head().unwrap_or(0).max(first.map_or(0, |link| link.entry.number));
        let last = first.map(|link| link.descriptor.clone());
        Ok(Some(Repair { breaks: left.breaks, image, adopts, moved, last, head, tags }))
    }

    /// Puts tags back to their entries, and adds an entry that names what is lost. What the environment has stays.
    pub fn repair(&self, repair: &Repair, author: Author) -> Result<Appended, ReleaseError> {
        for (tag, entry) in &repair.tags {
            self.shelf.tag(entry, tag)?;
        }
        let known = repair.moved.as_ref().filter(|_| !repair.adopts).map(|link| &link.entry);
        let entry = Entry {
            environment: self.environment.tag().to_owned(),
            number: 0,
            kind: Kind::Repair { breaks: repair.breaks.clone(), adopts: repair.adopts },
            image: repair.image.clone(),
            previous: None,
            time: author.time,
            actor: author.actor,
            reason: author.reason,
            tags: known.map(|known| known.tags.clone()).unwrap_or_default(),
            source: known.and_then(|known| known.source.clone()),
            revision: known.and_then(|known| known.revision.clone()),
            gates: Vec::new(),
            statements: Vec::new(),
        };
        self.append_after(&entry, After::Damage { head: repair.head, last: repair.last.as_ref() })
    }

    fn left(&self, slots: &Slots) -> Result<Left, ReleaseError> {
        let mut left = Left::default();
        let mut start = match self.forgotten(slots)? {
            Some(head) => Ok(head),
            None => self
                .head(slots)
                .and_then(|head| head.ok_or_else(|| ReleaseError::Empty(self.environment.clone()))),
        };
        loop {
            let broken = start.map_or_else(Some, |from| self.extend(&mut left.links, from, |_| true));
            let (entry, why) = match broken {
                None => return Ok(left),
                Some(ReleaseError::Broken { digest, why, .. }) => (digest, why),
                Some(error) => return Err(error),
            };
            left.is_late |= !left.links.iter().any(|link| link.entry.moves());
            let below = left.links.last().map_or(u64::MAX, |link| link.entry.number);
            let (whole, lost) = self.whole_before(slots, below)?;
            left.breaks.push(Break { entry, why, lost, resumes: whole.clone() });
            let Some(whole) = whole else { return Ok(left) };
            start = Ok(whole);
        }
    }

    /// The last entry, where its number's tag is gone and the head's is still there.
    fn forgotten(&self, slots: &Slots) -> Result<Option<Descriptor>, ReleaseError> {
        let found = match self.at(&self.environment.head_tag()) {
            Err(ReleaseError::Broken { .. }) => None,
            found => found?,
        };
        let Some(found) = found else { return Ok(None) };
        match self.entry(&found) {
            Ok(entry) if slots.head().is_none_or(|head| entry.number > head) => Ok(Some(bare(&found))),
            Ok(_) | Err(ReleaseError::Broken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last entry before a number that is whole, and the numbers between that have none.
    fn whole_before(
        &self,
        slots: &Slots,
        below: u64,
    ) -> Result<(Option<Descriptor>, Vec<u64>), ReleaseError> {
        let mut lost = Vec::new();
        for number in slots.taken().rev().filter(|number| *number < below) {
            let found = self
                .at(&self.environment.entry_tag(number))
                .and_then(|found| found.map(|found| Ok((self.entry(&found)?.number, found))).transpose());
            match found {
                Ok(Some((own, found))) if own == number => return Ok((Some(bare(&found)), lost)),
                Ok(_) | Err(ReleaseError::Broken { .. }) => lost.push(number),
                Err(error) => return Err(error),
            }
        }
        Ok((None, lost))
    }

    /// What the environment has. Where moves are lost, nobody but its tag knows.
    fn image_of(&self, moved: Option<&Link>, is_late: bool) -> Result<(Descriptor, bool), ReleaseError> {
        let told = moved.map(|link| bare(&link.entry.image));
        let tagged = if is_late { self.shelf.resolve(self.environment.tag())? } else { None };
        match (told, tagged) {
            (Some(told), Some(tagged)) if told.digest() == tagged.digest() => Ok((told, false)),
            (_, Some(tagged)) => Ok((bare(&tagged), true)),
            (Some(told), None) => Ok((told, false)),
            (None, None) => Err(ReleaseError::NothingLeft { environment: self.environment.clone() }),
        }
    }
}
