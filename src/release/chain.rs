//! A ledger as it is read: from the last entry to the first.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Duration;

use super::slots::Slots;
use super::{Break, Entry, Kind, Ledger, ReleaseError, Verdict};
use crate::oci::Descriptor;
use crate::text::shown;
use crate::transport::TransportError;
use crate::transport::registry::RegistryError;

/// An entry, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub entry: Entry,
    /// Of its manifest.
    pub descriptor: Descriptor,
}

/// All entries that the last one leads to, the last first.
#[derive(Debug)]
pub struct Chain {
    pub links: Vec<Link>,
    /// Where the chain breaks off, and why; not where an entry says how it goes on.
    pub broken: Option<ReleaseError>,
}

impl Chain {
    /// What the environment has.
    pub fn current(&self) -> Option<&Link> {
        self.links.iter().find(|link| link.entry.moves())
    }

    /// The breaks that entries name, each with that entry's number.
    pub fn breaks(&self) -> impl Iterator<Item = (u64, &Break)> {
        breaks(&self.links)
    }

    /// The entry of this number.
    pub fn get(&self, number: u64) -> Option<&Link> {
        self.links.iter().find(|link| link.entry.number == number)
    }

    /// The last word about an entry.
    pub fn verdict(&self, number: u64) -> Option<Verdict> {
        self.links.iter().find_map(|link| match link.entry.kind {
            Kind::Mark { of, verdict } if of == number => Some(verdict),
            _ => None,
        })
    }

    /// The last move to what a number, a digest or its beginning, or a tag that the image had then says.
    pub fn find(&self, text: &str) -> Option<&Link> {
        let moves = || self.links.iter().filter(|link| link.entry.moves());
        if let Ok(number) = text.parse::<u64>()
            && let Some(link) = moves().find(|link| link.entry.number == number)
        {
            return Some(link);
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        let is_it = |link: &&Link| {
            link.entry.digest().strip_prefix("sha256:").is_some_and(|own| own.starts_with(hex))
        };
        let by_digest = if hex.len() < 7 { None } else { moves().find(is_it) };
        by_digest.or_else(|| moves().find(|link| link.entry.tags.iter().any(|tag| tag == text)))
    }
}

/// How often the last entry's tag is looked at, until it stands for something, and how long to wait.
const LOOKS: u32 = 8;
const LOOK: Duration = Duration::from_millis(50);

/// How many tags are tried to find out whether a registry answers at all.
const WITNESSES: usize = 8;

impl Ledger<'_> {
    /// What the environment has. Of the chain only so much is read.
    pub fn current(&self) -> Result<Option<Link>, ReleaseError> {
        let Some(head) = self.head(&self.slots()?)? else { return Ok(None) };
        let chain = self.walk(head, |link| !link.entry.moves());
        if let Some(current) = chain.current() {
            return Ok(Some(current.clone()));
        }
        chain.broken.map_or(Ok(None), Err)
    }

    pub(super) fn slots(&self) -> Result<Slots, ReleaseError> {
        Ok(Slots::of(&self.environment, &self.shelf.tags()?))
    }

    /// The last entry's manifest. No second entry is written before there is a tag of the last one: without it, later entries
    /// may be gone, as registries drop the tags of a manifest that is deleted together with it.
    pub(super) fn head(&self, slots: &Slots) -> Result<Option<Descriptor>, ReleaseError> {
        let tag = self.environment.head_tag();
        if !slots.pointed && slots.head() > Some(1) && self.settled(&tag)?.is_none() {
            return Err(
                self.broken(&tag, "is missing: entries after the last that is left may be gone with it")
            );
        }
        self.last(slots)
    }

    /// The manifest of the last entry that there is.
    pub(super) fn last(&self, slots: &Slots) -> Result<Option<Descriptor>, ReleaseError> {
        let Some(number) = slots.head() else { return Ok(None) };
        let tag = self.environment.entry_tag(number);
        match self.settled(&tag)? {
            Some(found) => Ok(Some(found)),
            None => Err(self.broken(&tag, "is missing: its tag stands for nothing")),
        }
    }

    /// What a tag stands for that ought to be there. Some registries list a tag before it stands for something, or have it
    /// stand for nothing while it is moved.
    fn settled(&self, tag: &str) -> Result<Option<Descriptor>, ReleaseError> {
        for attempt in 0..LOOKS {
            if let Some(found) = self.at(tag)? {
                return Ok(Some(found));
            }
            thread::sleep(LOOK * attempt);
        }
        Ok(None)
    }

    /// What a tag stands for. Some registries answer so (500) of a manifest whose bytes are spoiled.
    pub(super) fn at(&self, tag: &str) -> Result<Option<Descriptor>, ReleaseError> {
        self.shelf.resolve(tag).map_err(|error| match &error {
            TransportError::Registry(inner) if inner.status() == Some(500) && self.answers() => {
                self.broken(tag, &format!("can't be read: {}", shown(&error)))
            }
            _ => error.into(),
        })
    }

    /// Whether any manifest of the repository can be read: one that can't be is a matter of its own then, and no outage.
    fn answers(&self) -> bool {
        let Ok(tags) = self.shelf.tags() else { return false };
        let own = [self.environment.tag().to_owned(), self.environment.head_tag()];
        let reads = |tag: &String| {
            let found = self.shelf.resolve(tag).ok().flatten();
            found.is_some_and(|found| self.shelf.bytes(&found).is_ok())
        };
        own.iter().chain(tags.iter().rev()).take(WITNESSES).any(reads)
    }

    /// The whole chain. What can't be read ends it, and is told.
    pub fn chain(&self) -> Result<Chain, ReleaseError> {
        let slots = self.slots()?;
        let head = match self.head(&slots) {
            Ok(None) => return Err(ReleaseError::Empty(self.environment.clone())),
            Ok(Some(head)) => head,
            Err(error @ ReleaseError::Broken { .. }) => {
                return Ok(Chain { links: Vec::new(), broken: Some(error) });
            }
            Err(error) => return Err(error),
        };
        Ok(self.walk(head, |_| true))
    }

    /// The entries from one on, as long as `further` says so.
    pub(super) fn walk(&self, from: Descriptor, further: impl Fn(&Link) -> bool) -> Chain {
        let mut links = Vec::new();
        let broken = self.extend(&mut links, from, further);
        Chain { links, broken }
    }

    /// Adds the entries from one on to those after it; gives where that breaks off.
    pub(super) fn extend(
        &self,
        links: &mut Vec<Link>,
        from: Descriptor,
        further: impl Fn(&Link) -> bool,
    ) -> Option<ReleaseError> {
        self.follow(links, from, further, true)
    }

    fn follow(
        &self,
        links: &mut Vec<Link>,
        from: Descriptor,
        further: impl Fn(&Link) -> bool,
        detours: bool,
    ) -> Option<ReleaseError> {
        let mut seen: BTreeSet<String> =
            links.iter().map(|link| link.descriptor.digest().to_string()).collect();
        let mut next = Some(from);
        while let Some(descriptor) = next {
            let digest = descriptor.digest().to_string();
            let read = self.entry(&descriptor).and_then(|entry| {
                let below = links.last().is_none_or(|later| entry.number < later.entry.number);
                if below && seen.insert(digest.clone()) {
                    return Ok(entry);
                }
                Err(self.broken(&digest, "has no lower number than the one after it"))
            });
            let entry = match read {
                Ok(entry) => entry,
                Err(error) => match around(links, &digest, &error) {
                    // Once for each, so that no two can lead to each other.
                    Some(resumes) if seen.insert(format!("around {digest}")) => {
                        next = resumes;
                        continue;
                    }
                    _ => return Some(error),
                },
            };
            links.push(Link { entry, descriptor });
            let at = links.len() - 1;
            if detours && let Some(found) = self.detour(links) {
                links.extend(found);
            }
            if let Some(stop) = links[at..].iter().position(|link| !further(link)) {
                links.truncate(at + stop + 1);
                break;
            }
            next = links.last().and_then(|link| link.entry.previous.clone());
        }
        None
    }

    /// What a later repair has found between a repair and the entry that this one goes on with: only if it leads there.
    fn detour(&self, links: &[Link]) -> Option<Vec<Link>> {
        let (last, later) = links.split_last()?;
        let (own, end) = (at_end(&last.entry)?, last.entry.previous.as_ref().map(Descriptor::digest));
        let (_, newer) = breaks(later).find(|(_, one)| one.entry == own.entry)?;
        let from = newer.resumes.clone().filter(|from| Some(from.digest()) != end)?;
        let mut found = links.to_vec();
        let broken = self.follow(&mut found, from, |link| Some(link.descriptor.digest()) != end, false);
        let is_there = broken.is_none()
            && (end.is_none() || found.last().is_some_and(|link| Some(link.descriptor.digest()) == end));
        is_there.then(|| found.split_off(links.len()))
    }

    /// One entry, verified.
    pub(super) fn entry(&self, descriptor: &Descriptor) -> Result<Entry, ReleaseError> {
        let digest = descriptor.digest().to_string();
        let read = |what: &Descriptor, kind: &str| {
            self.shelf.bytes(what).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    self.broken(&digest, &format!("is missing: its {kind} is not there"))
                }
                io::ErrorKind::InvalidData => {
                    self.broken(&digest, &format!("has been altered: its {kind}: {}", shown(&error)))
                }
                _ if is_spoiled(&error) && self.answers() => {
                    self.broken(&digest, &format!("can't be read: {}", shown(&error)))
                }
                _ => {
                    let (environment, why) = (self.environment.clone(), shown(&error));
                    ReleaseError::Unread { environment, digest: digest.clone(), why }
                }
            })
        };
        let altered = |why: String| self.broken(&digest, &format!("is not valid: {why}"));
        let (blob, subject) = Entry::blob_of(&read(descriptor, "manifest")?).map_err(altered)?;
        Entry::parse(&read(&blob, "blob")?, &self.environment, subject.as_ref()).map_err(altered)
    }

    pub(super) fn broken(&self, digest: &str, why: &str) -> ReleaseError {
        let environment = self.environment.clone();
        ReleaseError::Broken { environment, digest: digest.to_owned(), why: why.to_owned() }
    }
}

fn breaks(links: &[Link]) -> impl Iterator<Item = (u64, &Break)> {
    links.iter().flat_map(|link| {
        let found = match &link.entry.kind {
            Kind::Repair { breaks, .. } => &breaks[..],
            _ => &[],
        };
        found.iter().map(|one| (link.entry.number, one))
    })
}

/// Where the chain goes on behind an entry that is broken, if a later one says so.
fn around(links: &[Link], digest: &str, error: &ReleaseError) -> Option<Option<Descriptor>> {
    let is_broken = matches!(error, ReleaseError::Broken { .. });
    let found = breaks(links).find(|(_, one)| is_broken && one.entry == digest);
    found.map(|(_, one)| one.resumes.clone())
}

/// What a repair says of the place that it goes on at itself.
fn at_end(entry: &Entry) -> Option<&Break> {
    let Kind::Repair { breaks, .. } = &entry.kind else { return None };
    let digest = |of: &Option<Descriptor>| of.as_ref().map(|of| of.digest().to_string());
    breaks.iter().find(|one| digest(&one.resumes) == digest(&entry.previous))
}

/// Of what is left out after one of the entries: by which name a later repair can tell more of it.
pub(super) fn gap(links: &[Link], at: usize) -> Option<String> {
    let entry = &links.get(at)?.entry;
    let is_read = |digest: &str| links.iter().any(|link| link.descriptor.digest().as_ref() == digest);
    match entry.previous.as_ref().map(|previous| previous.digest().to_string()) {
        Some(previous) if !is_read(&previous) => Some(previous),
        _ => at_end(entry).map(|one| one.entry.clone()),
    }
}

/// A registry that fails with a manifest alone has it with other bytes.
pub(super) fn is_spoiled(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<RegistryError>());
    inner.is_some_and(|inner| inner.status() == Some(500))
}
