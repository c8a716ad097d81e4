//! What a repository has and needs no more: the images of old releases, and what was left over.
//!
//! The distribution specification has no list of manifests without a tag. What is found is what something leads to: an
//! entry of a ledger, an index, a list of referrers, a claim, or the caller's own knowledge. Invariant: entries that
//! count are never waste; nor is what a tag leads to, what an environment has, or what it can go back to.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Mutex;

use serde_json::Value;

use super::chain::is_spoiled;
use super::environment::Tag;
use super::{
    ARTIFACT_TYPE, Chain, Entry, Environment, Ledger, Link, Problem, RegistryShelf, ReleaseError, Shelf as _,
};
use crate::oci::{Descriptor, Digest};
use crate::parallel;
use crate::transport::TransportError;

/// As many questions at once as a registry doesn't mind.
const QUESTIONS: usize = 6;
/// A claim that has not been gone on with for so long is nobody's: seconds.
const ABANDONED: u64 = 24 * 60 * 60;

/// What stays.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// How many images an environment can go back to; one at least.
    pub last: usize,
    /// Also what an environment had at this time or later, in seconds since 1970.
    pub since: Option<u64>,
    /// Seconds since 1970.
    pub now: u64,
}

/// A manifest that nothing needs.
#[derive(Debug, Clone)]
pub struct Waste {
    pub descriptor: Descriptor,
    pub why: Why,
    /// What it says something of: lists that a registry doesn't keep by itself have to forget it.
    subject: Option<Digest>,
    /// Entries about it, which stay.
    entries: Vec<Link>,
}

/// An image that stays, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub digest: String,
    /// One at least.
    pub uses: Vec<Use>,
}

/// What an image is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Use {
    Tag(String),
    /// An environment has it.
    Current(Environment),
    /// An environment can go back to it: to this entry.
    Back {
        environment: Environment,
        number: u64,
    },
    /// An environment had it in the time that is kept.
    Lately {
        environment: Environment,
        number: u64,
    },
    /// A writer may just be going on with an entry about it.
    Claim,
}

/// What there is to be known of a repository.
#[derive(Debug, Clone)]
pub struct Tidying {
    /// What can go, in this order.
    pub waste: Vec<Waste>,
    /// What stays, the ledgers' entries apart.
    pub kept: Vec<Kept>,
    /// How many entries stay, by environment.
    pub entries: Vec<(Environment, usize)>,
}

/// Why something is there that nothing needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// An environment had it, the last time by this entry.
    Release { environment: Environment, number: u64 },
    /// An index that goes lists it.
    Part { of: String },
    /// It says something of what goes.
    Referrer { of: String },
    /// An entry that never came to count, as another writer had its number.
    Lost { environment: Environment },
    /// The caller knew of it.
    Known,
}

/// All that is known of a repository.
struct Survey<'s> {
    shelf: &'s RegistryShelf<'s>,
    keep: Keep,
    ledgers: Vec<(Environment, Chain)>,
    /// What must stay, by digest.
    needed: BTreeSet<String>,
    kept: Vec<Kept>,
    waste: Vec<Waste>,
    seen: BTreeSet<String>,
}

impl RegistryShelf<'_> {
    /// What the repository needs no more, in the order in which it can go. `known` are manifests that the caller knows
    /// it may have. A ledger that is not whole is an error: what its rest needs can't be told.
    pub fn waste(&self, keep: &Keep, known: &[Descriptor]) -> Result<Tidying, ReleaseError> {
        let tags = self.resolved()?;
        let mut survey = Survey::new(self, *keep, &tags)?;
        let lost = survey.need_all(&tags)?;
        for (environment, descriptor) in lost {
            survey.add(&descriptor, Why::Lost { environment })?;
        }
        for (environment, link) in survey.moves() {
            let why = Why::Release { environment, number: link.entry.number };
            survey.add(&link.entry.image, why)?;
        }
        survey.lost_referrers()?;
        for descriptor in known {
            survey.add(descriptor, Why::Known)?;
        }
        let entries =
            survey.ledgers.iter().map(|(environment, chain)| (environment.clone(), chain.links.len()));
        let entries = entries.collect();
        Ok(Tidying { waste: survey.waste, kept: survey.kept, entries })
    }

    /// Takes something away for good. Should the registry take entries along that are about it, they are put back, and
    /// that is an error: it does so with the next one, too.
    pub fn dispose(&self, waste: &Waste) -> Result<(), ReleaseError> {
        self.remove(&waste.descriptor)?;
        // A list that still names it is wrong, and does no harm.
        if let Some(subject) = &waste.subject
            && let Err(error) = self.forget_referrer(subject, &waste.descriptor)
        {
            log::warn!("the list of what is about `{subject}` stays as it is: {error}");
        }
        let mut lost = Vec::new();
        for link in &waste.entries {
            if self.resolve(link.descriptor.digest().as_ref())?.is_none() {
                let (artifact, blobs) = link.entry.artifact()?;
                self.add(&artifact, &blobs)?;
                let environment: Option<Environment> = link.entry.environment.parse().ok();
                if let Some(environment) = environment {
                    self.tag(&link.descriptor, &environment.entry_tag(link.entry.number))?;
                    Ledger::new(self, environment).move_tags()?;
                }
                lost.push(link.entry.number.to_string());
            }
        }
        if lost.is_empty() {
            return Ok(());
        }
        let digest = waste.descriptor.digest().to_string();
        Err(ReleaseError::TakenAlong { digest, entries: lost.join(", ") })
    }

    /// What each tag stands for; those that stand for nothing are left out. So are entries that the registry fails with, and
    /// claims for numbers that are taken: their ledger tells of them, or of what has become of them. Of another claim nothing
    /// else tells.
    fn resolved(&self) -> Result<BTreeMap<String, Descriptor>, ReleaseError> {
        let tags = self.tags()?;
        let environments = Environment::all(tags.iter().map(String::as_str));
        let is_told = |tag: &str| {
            environments.iter().any(|own| match own.read(tag) {
                Some(Tag::Entry(_)) => true,
                Some(Tag::Claim(number, _)) => tags.contains(&own.entry_tag(number)),
                Some(Tag::Closed(_)) | None => false,
            })
        };
        let found = Mutex::new(BTreeMap::new());
        parallel::each(&tags, QUESTIONS, |tag| {
            let resolved = match self.resolve(tag) {
                Err(TransportError::Registry(error)) if error.status() == Some(500) && is_told(tag) => None,
                resolved => resolved?,
            };
            if let Some(descriptor) = resolved {
                found.lock().expect("nobody panics with it").insert(tag.clone(), descriptor);
            }
            Ok::<(), TransportError>(())
        })?;
        Ok(found.into_inner().expect("as above"))
    }

    /// A manifest; none if it isn't there, as of an index of which only some platforms were copied.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Value>, ReleaseError> {
        let failed = |error| {
            ReleaseError::from(TransportError::Io {
                what: format!("reading `{}`", descriptor.digest()),
                error,
            })
        };
        match self.bytes(descriptor) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

impl<'s> Survey<'s> {
    fn new(
        shelf: &'s RegistryShelf<'s>,
        keep: Keep,
        tags: &BTreeMap<String, Descriptor>,
    ) -> Result<Self, ReleaseError> {
        let mut ledgers = Vec::new();
        for environment in Environment::all(tags.keys().map(String::as_str)) {
            let (chain, problems) = match Ledger::new(shelf, environment.clone()).verify() {
                Ok((Chain { broken: Some(error), .. }, _)) => return Err(error),
                Err(ReleaseError::Empty(_)) => continue,
                verified => verified?,
            };
            // An entry beside the chain may be one that was cut off: what it needs can't be told.
            if let Some(Problem::Fork { number, digest }) = problems.into_iter().find(Problem::is_fork) {
                return Err(ReleaseError::Fork { environment, number, digest });
            }
            ledgers.push((environment, chain));
        }
        let (needed, seen) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { shelf, keep, ledgers, needed, kept: Vec::new(), waste: Vec::new(), seen })
    }

    /// Finds out what has to stay; gives the entries that were claimed for and never came to count.
    fn need_all(
        &mut self,
        tags: &BTreeMap<String, Descriptor>,
    ) -> Result<Vec<(Environment, Descriptor)>, ReleaseError> {
        let mut lost = Vec::new();
        let mut roots: Vec<(Descriptor, Use)> = Vec::new();
        for (_, chain) in &self.ledgers {
            self.needed.extend(chain.links.iter().map(|link| link.descriptor.digest().to_string()));
        }
        let mut claims = Vec::new();
        for (tag, descriptor) in tags.iter().filter(|(tag, _)| !is_fallback(tag)) {
            let of = |environment: &Environment| match environment.read(tag) {
                Some(Tag::Claim(..)) => Some(environment.clone()),
                _ => None,
            };
            match self.ledgers.iter().find_map(|(environment, _)| of(environment)) {
                Some(environment) => claims.push((environment, descriptor.clone())),
                None if self.is_acknowledged(tag) => {
                    // What can be read of it again stays; what can't be has been told of.
                    if let Err(error) = self.need(descriptor.clone()) {
                        log::debug!("`{tag}`: {error}");
                    }
                }
                None => roots.push((descriptor.clone(), Use::Tag(tag.clone()))),
            }
        }
        for (environment, chain) in &self.ledgers {
            roots.extend(self.kept(environment, chain)?);
        }
        for (root, own) in roots {
            self.keep(&root, own);
            self.need(root)?;
        }
        for (environment, descriptor) in claims {
            if self.is_lost(&descriptor)? {
                lost.push((environment, descriptor));
            } else {
                self.keep(&descriptor, Use::Claim);
                self.need(descriptor)?;
            }
        }
        Ok(lost)
    }

    /// Notes what something is there for. Entries that count stay whatever is said of them.
    fn keep(&mut self, root: &Descriptor, own: Use) {
        let digest = root.digest().to_string();
        let is_entry = |link: &Link| link.descriptor.digest() == root.digest();
        if self.ledgers.iter().any(|(_, chain)| chain.links.iter().any(is_entry)) {
            return;
        }
        match self.kept.iter_mut().find(|kept| kept.digest == digest) {
            Some(kept) => kept.uses.push(own),
            None => self.kept.push(Kept { digest, uses: vec![own] }),
        }
    }

    /// Whether it is the tag of an entry that is lost, and an entry says so.
    fn is_acknowledged(&self, tag: &str) -> bool {
        self.ledgers.iter().any(|(environment, chain)| match environment.read(tag) {
            Some(Tag::Entry(number)) => chain.breaks().any(|(_, one)| one.lost.contains(&number)),
            _ => false,
        })
    }

    /// What an environment has, and can go back to.
    fn kept(&self, environment: &Environment, chain: &Chain) -> Result<Vec<(Descriptor, Use)>, ReleaseError> {
        let ledger = Ledger::new(self.shelf, environment.clone());
        let good = chain.good(&ledger)?;
        let current = Use::Current(environment.clone());
        let mut kept = vec![(good.current.entry.image.clone(), current)];
        let mut left = self.keep.last.max(1);
        for link in good.links {
            if left > 0 && self.shelf.resolve(&link.entry.digest())?.is_some() {
                let (environment, number) = (environment.clone(), link.entry.number);
                kept.push((link.entry.image.clone(), Use::Back { environment, number }));
                left -= 1;
            }
        }
        if let Some(since) = self.keep.since {
            for link in chain.links.iter().filter(|link| link.entry.moves()) {
                let (environment, number) = (environment.clone(), link.entry.number);
                kept.push((link.entry.image.clone(), Use::Lately { environment, number }));
                // This one was there when the time began.
                if link.entry.time < since {
                    break;
                }
            }
        }
        Ok(kept)
    }

    /// Notes a manifest with all that it needs. Entries that count are known already, and so don't lead to their images; one
    /// that a writer is just going on with does.
    fn need(&mut self, root: Descriptor) -> Result<(), ReleaseError> {
        let mut todo = vec![root];
        while let Some(descriptor) = todo.pop() {
            if !self.needed.insert(descriptor.digest().to_string()) {
                continue;
            }
            let Some(document) = self.shelf.document(&descriptor)? else { continue };
            todo.extend(parts(&document));
            todo.extend(descriptor_in(&document["subject"]));
        }
        Ok(())
    }

    /// All that environments had, the last first.
    fn moves(&self) -> Vec<(Environment, Link)> {
        let mut found: Vec<(Environment, Link)> = Vec::new();
        for (environment, chain) in &self.ledgers {
            for link in chain.links.iter().filter(|link| link.entry.moves()) {
                found.push((environment.clone(), link.clone()));
            }
        }
        found
    }

    /// Adds something that goes, with what goes with it: first what is about it, then itself, then its parts.
    fn add(&mut self, descriptor: &Descriptor, why: Why) -> Result<(), ReleaseError> {
        let text = descriptor.digest().to_string();
        if self.needed.contains(&text) || !self.seen.insert(text.clone()) {
            return Ok(());
        }
        let Some(descriptor) = readable(self.shelf.resolve(&text).map_err(Into::into))? else {
            return Ok(());
        };
        let Some(document) = readable(self.shelf.document(&descriptor))? else { return Ok(()) };
        let is_entry = document["artifactType"].as_str() == Some(ARTIFACT_TYPE);
        if is_entry && !matches!(why, Why::Lost { .. }) {
            return Ok(());
        }
        let entries = self.about(&text);
        // What couldn't be put back must not be put at risk.
        if entries.iter().any(|link| !is_ours(link)) {
            return Ok(());
        }
        for referrer in self.referrers(&descriptor)? {
            self.add(&referrer, Why::Referrer { of: text.clone() })?;
        }
        let subject = descriptor_in(&document["subject"]).and_then(|subject| digest_of(&subject));
        self.waste.push(Waste { descriptor, why, subject, entries });
        for part in parts(&document) {
            self.add(&part, Why::Part { of: text.clone() })?;
        }
        Ok(())
    }

    /// The entries about an image.
    fn about(&self, image: &str) -> Vec<Link> {
        let links = self.ledgers.iter().flat_map(|(_, chain)| &chain.links);
        links.filter(|link| link.entry.digest() == image).cloned().collect()
    }

    fn referrers(&self, descriptor: &Descriptor) -> Result<Vec<Descriptor>, ReleaseError> {
        digest_of(descriptor).map_or(Ok(Vec::new()), |digest| self.shelf.referrers(&digest))
    }

    /// Entries that stand beside an image that has had others, without a tag: what is left where a claim's tag could go.
    fn lost_referrers(&mut self) -> Result<(), ReleaseError> {
        let links = self.ledgers.iter().flat_map(|(_, chain)| &chain.links);
        let images: BTreeMap<String, Descriptor> =
            links.map(|link| (link.entry.digest(), link.entry.image.clone())).collect();
        for image in images.values() {
            for referrer in self.referrers(image)? {
                let own = referrer.artifact_type().as_ref().map(ToString::to_string);
                let is_new = !self.needed.contains(referrer.digest().as_ref());
                if is_new && own.as_deref() == Some(ARTIFACT_TYPE) && self.is_lost(&referrer)? {
                    let entry = self.read(&referrer)?;
                    if let Some(environment) = entry.and_then(|entry| entry.environment.parse().ok()) {
                        self.add(&referrer, Why::Lost { environment })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether it is an entry that never came to count, and no writer can still be going on with.
    fn is_lost(&self, descriptor: &Descriptor) -> Result<bool, ReleaseError> {
        if self.needed.contains(descriptor.digest().as_ref()) {
            return Ok(false);
        }
        let Some(entry) = self.read(descriptor)? else { return Ok(false) };
        let head = |(environment, chain): &(Environment, Chain)| {
            let first = chain.links.first().filter(|_| environment.tag() == entry.environment)?;
            Some(first.entry.number)
        };
        let is_settled = self.ledgers.iter().find_map(head).is_some_and(|head| entry.number <= head);
        Ok(is_settled && entry.time.saturating_add(ABANDONED) < self.keep.now)
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Option<Entry>, ReleaseError> {
        let Some(document) = readable(self.shelf.document(descriptor))? else { return Ok(None) };
        let Ok((blob, _)) = Entry::blob_of(document.to_string().as_bytes()) else { return Ok(None) };
        let found = readable(self.shelf.document(&blob))?;
        Ok(found.and_then(|found| serde_json::from_value(found).ok()))
    }
}

/// What is there with other bytes than its own is nothing that could be told to be waste.
fn readable<T>(found: Result<Option<T>, ReleaseError>) -> Result<Option<T>, ReleaseError> {
    let is_spoilt = match &found {
        Err(ReleaseError::Transport(TransportError::Registry(error))) => error.status() == Some(500),
        Err(ReleaseError::Transport(TransportError::Io { error, .. })) => {
            error.kind() == io::ErrorKind::InvalidData || is_spoiled(error)
        }
        _ => false,
    };
    if is_spoilt { Ok(None) } else { found }
}

/// Whether an entry would be written again byte for byte.
fn is_ours(link: &Link) -> bool {
    let written = link.entry.artifact();
    written.is_ok_and(|(artifact, _)| artifact.descriptor().digest() == link.descriptor.digest())
}

/// Whether a tag is a list of referrers (distribution-spec, "Referrers Tag Schema"), which keeps nothing.
fn is_fallback(tag: &str) -> bool {
    let hex = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-"));
    hex.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn parts(document: &Value) -> Vec<Descriptor> {
    let listed = document["manifests"].as_array();
    listed.into_iter().flatten().filter_map(descriptor_in).collect()
}

fn descriptor_in(value: &Value) -> Option<Descriptor> {
    let found: Descriptor = serde_json::from_value(value.clone()).ok()?;
    digest_of(&found).map(|_| found)
}

fn digest_of(descriptor: &Descriptor) -> Option<Digest> {
    Digest::try_from(descriptor.digest()).ok()
}
