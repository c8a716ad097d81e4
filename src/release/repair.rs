//! A ledger that has lost entries, and how it goes on: by an entry that says what is lost. Nothing is taken out.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::append::After;
use super::chain::gap;
use super::entry::bare;
use super::slots::Slots;
use super::{Appended, Author, Entry, Kind, Ledger, Link, ReleaseError, whole};
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
    /// Each with the number of the entry after it, if there is one.
    breaks: Vec<(u64, Break)>,
    /// A break comes after the last move that is left.
    is_late: bool,
    /// The entry after what was last found to be readable again.
    back: Option<u64>,
}

impl Ledger<'_> {
    /// What the ledger has lost that no entry names yet. That something can't be reached is an error, and no loss.
    pub fn damage(&self) -> Result<Option<Repair>, ReleaseError> {
        let slots = self.slots()?;
        let left = self.left(&slots)?;
        let mut breaks: Vec<Break> = left.breaks.into_iter().map(|(_, one)| one).collect();
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
            breaks.push(Break { entry: tag.clone(), why, lost: Vec::new(), resumes });
            tags.push((tag, link.descriptor.clone()));
        }
        if breaks.is_empty() {
            return Ok(None);
        }
        let moved = left.links.iter().find(|link| link.entry.moves()).cloned();
        let (image, adopts) = self.image_of(moved.as_ref(), left.is_late)?;
        let first = left.links.first();
        let head = slots.head().unwrap_or(0).max(first.map_or(0, |link| link.entry.number));
        let last = first.map(|link| link.descriptor.clone());
        Ok(Some(Repair { breaks, image, adopts, moved, last, head, tags }))
    }

    /// Puts tags back to their entries, and adds an entry that names what is lost. What the environment has stays.
    pub fn repair(&self, repair: &Repair, author: Author) -> Result<Appended, ReleaseError> {
        // Before anything is written down, only that is put back without which the next number can't be told.
        let head = self.environment.entry_tag(repair.head);
        let is_behind = self.slots()?.head().is_none_or(|number| number < repair.head);
        let (first, rest): (Vec<_>, Vec<_>) =
            repair.tags.iter().partition(|(tag, _)| is_behind && *tag == head);
        for (tag, entry) in first {
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
        let after = After::Damage { head: repair.head, last: repair.last.as_ref() };
        let appended = self.append_after(&entry, after)?;
        for (tag, entry) in rest {
            self.shelf.tag(entry, tag).map_err(|error| ReleaseError::NotMoved {
                environment: self.environment.clone(),
                number: appended.link.entry.number,
                error,
            })?;
        }
        Ok(appended)
    }

    fn left(&self, slots: &Slots) -> Result<Left, ReleaseError> {
        let mut left = Left::default();
        let mut start = match self.forgotten(slots)? {
            Some(head) => Ok(Some(head)),
            None => self
                .head(slots)
                .and_then(|head| head.map(Some).ok_or_else(|| ReleaseError::Empty(self.environment.clone()))),
        };
        // What is added each time has a lower number than all that was there.
        loop {
            let broken = match start {
                Ok(None) => None,
                Ok(Some(from)) => self.extend(&mut left.links, from, |_| true),
                Err(error) => Some(error),
            };
            let (whole, one) = match broken {
                Some(ReleaseError::Broken { digest: entry, why, .. }) => {
                    let below = left.links.last().map_or(u64::MAX, |link| link.entry.number);
                    let (whole, lost) = self.whole_before(slots, 0, below)?;
                    (whole, Break { entry, why, lost, resumes: None })
                }
                Some(error) => return Err(error),
                None => match self.back(slots, &left)? {
                    None => return Ok(left),
                    Some((at, whole, one)) => {
                        left.links.truncate(at + 1);
                        left.breaks.retain(|(after, _)| *after > whole.entry.number);
                        left.back = Some(left.links[at].entry.number);
                        (Some(whole), one)
                    }
                },
            };
            left.is_late |= !left.links.iter().any(|link| link.entry.moves());
            let resumes = whole.as_ref().map(|link| link.descriptor.clone());
            let below = left.links.last().map_or(u64::MAX, |link| link.entry.number);
            left.breaks.push((below, Break { resumes, ..one }));
            let Some(whole) = whole else {
                start = Ok(None);
                continue;
            };
            start = Ok(whole.entry.previous.clone());
            left.links.push(whole);
        }
    }

    /// The last entry that an earlier repair leaves out, and that can be read: after which link it belongs, and the break
    /// that says so.
    fn back(&self, slots: &Slots, left: &Left) -> Result<Option<(usize, Link, Break)>, ReleaseError> {
        let is_new = |number: u64| {
            left.back.is_none_or(|back| number < back)
                && left.breaks.iter().all(|(after, _)| *after != number)
        };
        for (at, after) in left.links.iter().enumerate().filter(|(_, link)| is_new(link.entry.number)) {
            let Some(entry) = gap(&left.links, at) else { continue };
            let above = left.links.get(at + 1).map_or(0, |link| link.entry.number);
            let (whole, lost) = self.whole_before(slots, above, after.entry.number)?;
            if let Some(whole) = whole {
                let why = format!("was not the last: entry {} can be read", whole.entry.number);
                return Ok(Some((at, whole, Break { entry, why, lost, resumes: None })));
            }
        }
        Ok(None)
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

    /// The last entry between two numbers that is whole, and the numbers after it that have none.
    fn whole_before(
        &self,
        slots: &Slots,
        above: u64,
        below: u64,
    ) -> Result<(Option<Link>, Vec<u64>), ReleaseError> {
        let mut lost = Vec::new();
        for number in slots.taken().rev().filter(|number| (above + 1..below).contains(number)) {
            let found = self
                .at(&self.environment.entry_tag(number))
                .and_then(|found| found.map(|found| Ok((self.entry(&found)?, found))).transpose());
            match found {
                Ok(Some((entry, found))) if entry.number == number => {
                    return Ok((Some(Link { entry, descriptor: bare(&found) }), lost));
                }
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
            (_, Some(tagged)) => {
                let tagged = bare(&tagged);
                whole(self.shelf, &tagged)?;
                Ok((tagged, true))
            }
            (Some(told), None) => Ok((told, false)),
            (None, None) => Err(ReleaseError::NothingLeft { environment: self.environment.clone() }),
        }
    }
}
