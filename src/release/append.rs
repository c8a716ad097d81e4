//! A new entry, and then the tags. How several agree is told in `slots`.

use std::thread;
use std::time::Duration;

use super::entry::bare;
use super::slots::Slots;
use super::{Entry, Kind, Ledger, Link, ReleaseError};
use crate::oci::{Descriptor, Digest};

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

/// What an entry comes after.
#[derive(Debug, Clone, Copy)]
pub(super) enum After<'a> {
    /// The last entry; if one is named, that has to be it.
    Last(Option<&'a Descriptor>),
    /// The last entry that is whole, while `head` is the last number.
    Damage { head: u64, last: Option<&'a Descriptor> },
}

/// How often a number is tried for.
const TRIES: u32 = 100;
/// The longest pause before another try.
const PAUSE: Duration = Duration::from_millis(1500);

impl Ledger<'_> {
    /// Adds an entry and moves the tags. `entry` gets its number and the entry before it here. With `expected`, that one
    /// has to be the last: who has looked at a chain and decided on it is told if it isn't so any more.
    pub fn append(&self, entry: &Entry, expected: Option<&Descriptor>) -> Result<Appended, ReleaseError> {
        self.append_after(entry, After::Last(expected))
    }

    pub(super) fn append_after(&self, entry: &Entry, after: After<'_>) -> Result<Appended, ReleaseError> {
        let appended = self.add(entry, after)?;
        self.move_tags().map_err(|error| match error {
            ReleaseError::Transport(error) => ReleaseError::NotMoved {
                environment: self.environment.clone(),
                number: appended.link.entry.number,
                error,
            },
            error => error,
        })?;
        Ok(appended)
    }

    fn add(&self, entry: &Entry, after: After<'_>) -> Result<Appended, ReleaseError> {
        let (mut unsure, mut waited): (Option<Descriptor>, Vec<u64>) = (None, Vec::new());
        let mut overtaken = false;
        for attempt in 0..TRIES {
            if attempt > 0 {
                pause(attempt);
            }
            let slots = self.slots()?;
            let open = slots.open();
            if !open.is_empty() {
                // Most are just about to go on.
                if open == waited {
                    self.close(&open, &slots, entry)?;
                }
                waited = open;
                continue;
            }
            let head = match after {
                After::Damage { head, last } if slots.head() == Some(head) => last.cloned(),
                _ => self.head(&slots)?,
            };
            if let Some(own) = unsure.take()
                && let Some(link) = head.clone().and_then(|head| self.in_chain(head, &own))
            {
                return Ok(Appended { link, overtaken: true });
            }
            let is_other = match after {
                After::Last(expected) => {
                    expected.zip(head.as_ref()).is_some_and(|(a, b)| a.digest() != b.digest())
                }
                After::Damage { head, .. } => slots.head() != Some(head),
            };
            if let Some(head) = head.as_ref().filter(|_| is_other) {
                let (newer, environment) = (self.entry(head)?, self.environment.clone());
                return Err(ReleaseError::Overtaken {
                    environment,
                    number: newer.number,
                    actor: newer.actor,
                });
            }
            // Whoever wrote the first entry has not come to it, or died. From the second on it is never missing.
            if let Some(head) = head.as_ref().filter(|_| slots.head() == Some(1) && !slots.pointed) {
                self.shelf.tag(head, &self.environment.head_tag())?;
            }
            let number = slots.next();
            let entry = Entry { number, previous: head.as_ref().map(bare), ..entry.clone() };
            let (artifact, blobs) = entry.artifact()?;
            let own = bare(artifact.descriptor());
            self.shelf.add(&artifact, &blobs)?;
            match self.take(number, &own)? {
                Taken::Accepted => {
                    return Ok(Appended { link: Link { entry, descriptor: own }, overtaken });
                }
                Taken::Unsure => unsure = Some(own),
                Taken::Lost => {
                    log::info!("`{}` has other writers: number {number} is given up", self.environment);
                }
            }
            overtaken = true;
        }
        Err(ReleaseError::Contended { environment: self.environment.clone(), tries: TRIES })
    }

    /// Closes numbers that somebody has claimed and not gone on with. What the tags stand for says nothing.
    fn close(&self, numbers: &[u64], slots: &Slots, entry: &Entry) -> Result<(), ReleaseError> {
        let any = self.head(slots).ok().flatten().unwrap_or_else(|| bare(&entry.image));
        for number in numbers {
            self.shelf.tag(&any, &self.environment.closed_tag(*number))?;
        }
        Ok(())
    }

    /// Tries to have a number for an entry that is there. Between claim and number there is one look, and nothing else.
    fn take(&self, number: u64, entry: &Descriptor) -> Result<Taken, ReleaseError> {
        let digest = Digest::try_from(entry.digest()).expect("made from a digest of ours");
        let claim = self.environment.claim_tag(number, &digest);
        self.shelf.tag(entry, &claim)?;
        let slot = self.slots()?.slot(number);
        if slot.taken || slot.closed || slot.claims.len() != 1 {
            self.shelf.forget(&claim);
            return Ok(Taken::Lost);
        }
        self.shelf.tag(entry, &self.environment.entry_tag(number))?;
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

    /// Moves the environment's tag and the head's to where the last entry says, if nothing is lost.
    pub fn point(&self) -> Result<(), ReleaseError> {
        self.head(&self.slots()?)?;
        self.move_tags()
    }

    /// Whoever moves the tags looks afterwards whether that is still the last entry, so that the last move is right, however
    /// many there are.
    pub(super) fn move_tags(&self) -> Result<(), ReleaseError> {
        let mut slots = self.slots()?;
        for _ in 0..TRIES {
            let Some(head) = self.last(&slots)? else { return Ok(()) };
            let chain = self.walk(head.clone(), |link| !link.entry.moves());
            if let Some(current) = chain.current() {
                self.shelf.tag(&current.entry.image, self.environment.tag())?;
            } else if let Some(error) = chain.broken {
                return Err(error);
            }
            self.shelf.tag(&head, &self.environment.head_tag())?;
            let now = self.slots()?;
            if now.head() == slots.head() {
                return Ok(());
            }
            slots = now;
        }
        Err(ReleaseError::Contended { environment: self.environment.clone(), tries: TRIES })
    }

    /// Says something of an entry.
    pub fn mark(&self, of: &Link, verdict: super::Verdict, author: Author) -> Result<Appended, ReleaseError> {
        let entry = Entry {
            kind: Kind::Mark { of: of.entry.number, verdict },
            previous: None,
            time: author.time,
            actor: author.actor,
            reason: author.reason,
            gates: Vec::new(),
            statements: Vec::new(),
            ..of.entry.clone()
        };
        self.append(&entry, None)
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
