//! A new entry, and then the tags. How several agree is told in `slots`.

use std::thread;
use std::time::Duration;

use super::entry::bare;
use super::{Entry, Kind, Ledger, Link, ReleaseError};
use crate::image::{Artifact, Memory};
use crate::oci::Descriptor;
use crate::transport::TransportError;

/// Who writes, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Author {
    /// Seconds since 1970.
    pub time: u64,
    pub actor: String,
    pub reason: String,
}

/// An entry that is in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    pub link: Link,
    /// Somebody else wrote at the same time, and had the number before.
    pub overtaken: bool,
}

/// How often a number is tried for.
const TRIES: u32 = 60;
/// The longest pause before another try.
const PAUSE: Duration = Duration::from_millis(1500);

impl Ledger<'_> {
    /// Adds an entry and moves the tags. `entry` gets its number and the entry before it here. With `expected`, that one
    /// has to be the last: who has looked at a chain and decided on it is told if it isn't so any more.
    pub fn append(
        &self,
        entry: &Entry,
        image: &Artifact,
        expected: Option<&Descriptor>,
    ) -> Result<Appended, ReleaseError> {
        let appended = self.add(entry, image, expected)?;
        self.point().map_err(|error| match error {
            ReleaseError::Transport(error) => ReleaseError::NotMoved {
                environment: self.environment.clone(),
                number: appended.link.entry.number,
                error,
            },
            error => error,
        })?;
        Ok(appended)
    }

    fn add(
        &self,
        entry: &Entry,
        image: &Artifact,
        expected: Option<&Descriptor>,
    ) -> Result<Appended, ReleaseError> {
        let mut unsure: Option<Descriptor> = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                pause(attempt);
            }
            let mut slots = self.slots()?;
            let open = slots.open();
            for number in &open {
                self.shelf.put(image, &Memory::default(), &self.environment.closed_tag(*number))?;
            }
            if !open.is_empty() {
                slots = self.slots()?;
                if !slots.open().is_empty() {
                    continue;
                }
            }
            let head = self.head(&slots)?;
            if let Some(own) = unsure.take()
                && let Some(link) = head.clone().and_then(|head| self.in_chain(head, &own))
            {
                return Ok(Appended { link, overtaken: true });
            }
            if let Some(expected) = expected
                && let Some(head) = &head
                && head.digest() != expected.digest()
            {
                let (newer, environment) = (self.entry(head)?, self.environment.clone());
                return Err(ReleaseError::Overtaken {
                    environment,
                    number: newer.number,
                    actor: newer.actor,
                });
            }
            let number = slots.next();
            let entry = Entry { number, previous: head.as_ref().map(bare), ..entry.clone() };
            let (artifact, blobs) = entry.artifact()?;
            let own = bare(artifact.descriptor());
            match self.take(number, &artifact, &blobs)? {
                Taken::Accepted => {
                    return Ok(Appended { link: Link { entry, descriptor: own }, overtaken: attempt > 0 });
                }
                Taken::Unsure => unsure = Some(own),
                Taken::Lost => {
                    log::info!("`{}` has other writers: number {number} is given up", self.environment)
                }
            }
        }
        Err(ReleaseError::Contended { environment: self.environment.clone(), tries: TRIES })
    }

    /// Tries to have a number for an entry.
    fn take(&self, number: u64, artifact: &Artifact, blobs: &Memory) -> Result<Taken, ReleaseError> {
        let claim = self.environment.claim_tag(number, &artifact.digest());
        self.shelf.put(artifact, blobs, &claim)?;
        let slot = self.slots()?.slot(number);
        if slot.taken || slot.closed || slot.claims.len() != 1 {
            self.shelf.forget(&claim);
            return Ok(Taken::Lost);
        }
        self.shelf.put(artifact, blobs, &self.environment.entry_tag(number))?;
        let is_closed = self.slots()?.slot(number).closed;
        // The entry's own tag keeps it from here on.
        self.shelf.forget(&claim);
        Ok(if is_closed { Taken::Unsure } else { Taken::Accepted })
    }

    /// An entry, if the chain from `head` on has it.
    fn in_chain(&self, head: Descriptor, wanted: &Descriptor) -> Option<Link> {
        let chain = self.walk(head, |link| link.descriptor.digest() != wanted.digest());
        chain.links.into_iter().find(|link| link.descriptor.digest() == wanted.digest())
    }

    /// Moves the environment's tag and the head's to where the last entry says. Whoever moves them looks afterwards
    /// whether that is still the last, so that the last move is right, however many there are.
    pub fn point(&self) -> Result<(), ReleaseError> {
        let mut slots = self.slots()?;
        for _ in 0..TRIES {
            let Some(head) = self.head(&slots)? else { return Ok(()) };
            let chain = self.walk(head.clone(), |link| !link.entry.moves());
            if let Some(current) = chain.current() {
                self.retag(&current.entry.image, self.environment.tag())?;
            } else if let Some(error) = chain.broken {
                return Err(error);
            }
            self.retag(&head, &self.environment.head_tag())?;
            let now = self.slots()?;
            if now.head() == slots.head() {
                return Ok(());
            }
            slots = now;
        }
        Err(ReleaseError::Contended { environment: self.environment.clone(), tries: TRIES })
    }

    fn retag(&self, to: &Descriptor, tag: &str) -> Result<(), TransportError> {
        let artifact = self.shelf.image(to)?;
        self.shelf.put(&artifact, &Memory::default(), tag)
    }

    /// Says something of an entry.
    pub fn mark(
        &self,
        of: &Link,
        verdict: super::Verdict,
        author: Author,
        expected: &Descriptor,
    ) -> Result<Appended, ReleaseError> {
        let entry = Entry {
            kind: Kind::Mark { of: of.entry.number, verdict },
            previous: None,
            time: author.time,
            actor: author.actor,
            reason: author.reason,
            gates: Vec::new(),
            ..of.entry.clone()
        };
        // What is marked may be gone: a word about it needs but what it was.
        let current = self.walk(expected.clone(), |link| !link.entry.moves());
        let current = current.current().ok_or_else(|| ReleaseError::Empty(self.environment.clone()))?;
        let image = self.shelf.image(&current.entry.image)?;
        self.append(&entry, &image, None)
    }
}

enum Taken {
    Accepted,
    Lost,
    /// Somebody has closed the number. It counts if a later entry names this one.
    Unsure,
}

/// The more have been tried, the longer; and never as long as another's.
fn pause(attempt: u32) {
    let longest = PAUSE.min(Duration::from_millis(40) * 2u32.saturating_pow(attempt.min(8)));
    thread::sleep(longest.mul_f64(fastrand::f64()));
}
