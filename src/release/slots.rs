//! Who has which number, when several want it.
//!
//! Registries have no compare-and-swap: a tag that is written twice has what was written last. So agreement rests on tags
//! that are only ever added, each of one writer's own, and on the list of tags. A writer
//!
//! 1. adds a claim for the number after all that are taken, and lists the tags. If it sees another claim, it gives
//!    the number up. Of two writers, the one whose claim was later sees the other's: so at most one goes on;
//! 2. adds the number's own tag, which so has but one writer, and lists again. If the number is not closed, it is accepted.
//!
//! Who finds a number claimed by somebody who has not gone on (it may have died) adds a tag that closes it, lists again,
//! and then goes by whether the number's tag is there. If it is not, it can't be accepted any more, as its writer will
//! see that it is closed. If it is, it counts. Either way all agree on what an accepted entry is, and each later one names it
//! or one after it.

use std::collections::{BTreeMap, BTreeSet};

use super::Environment;
use super::environment::Tag;

/// What the tags say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slots {
    numbers: BTreeMap<u64, Slot>,
    /// The tag of the last entry is there.
    pub(super) pointed: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its number's own tag is there.
    pub(super) taken: bool,
    pub(super) closed: bool,
    pub(super) claims: BTreeSet<String>,
}

impl Slots {
    pub(super) fn of(environment: &Environment, tags: &[String]) -> Self {
        let pointed = tags.contains(&environment.head_tag());
        let mut slots = Self { pointed, ..Self::default() };
        for tag in tags.iter().filter_map(|tag| environment.read(tag)) {
            match tag {
                Tag::Entry(number) => slots.numbers.entry(number).or_default().taken = true,
                Tag::Closed(number) => slots.numbers.entry(number).or_default().closed = true,
                Tag::Claim(number, claim) => {
                    slots.numbers.entry(number).or_default().claims.insert(claim);
                }
            }
        }
        slots
    }

    /// The last number that has an entry.
    pub(super) fn head(&self) -> Option<u64> {
        self.taken().next_back()
    }

    /// All numbers that have an entry, in the chain or beside it.
    pub(super) fn taken(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.numbers.iter().filter(|(_, slot)| slot.taken).map(|(number, _)| *number)
    }

    /// Those behind the head that somebody may still be going on with.
    pub(super) fn open(&self) -> Vec<u64> {
        let head = self.head().unwrap_or(0);
        self.numbers
            .iter()
            .filter(|(number, slot)| **number > head && !slot.closed)
            .map(|(number, _)| *number)
            .collect()
    }

    /// The first number that nobody has wanted.
    pub(super) fn next(&self) -> u64 {
        self.numbers.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    pub(super) fn slot(&self, number: u64) -> Slot {
        self.numbers.get(&number).cloned().unwrap_or_default()
    }
}
