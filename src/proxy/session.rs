//! What the locked steps of a build have in common: the entries of the lock, and what happens to all else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::asked::Asked;
use super::origin::Origin;
use super::{ProxyError, body};
use crate::http::{Http, Url};
use crate::lock::LockedResponse;
use crate::oci::{Descriptor, Digest};
use crate::store::{Store, StoreError, Vendor};

/// Entries of the lock, by request.
pub type Entries = BTreeMap<String, LockedResponse>;

/// How locked steps are served.
#[derive(Debug, Clone)]
pub struct Options {
    pub http: Http,
    pub unknown: Unknown,
    /// A step that asks for what the lock has not does not count, whatever its program makes of that.
    pub strict: bool,
    /// Not even what is in the lock is fetched: it is in the store, or vendored.
    pub offline: bool,
    /// Where bytes may be that the store has not.
    pub vendor: Option<Vendor>,
    /// Whether steps may reach what this machine itself serves, while they are recorded.
    pub loopback: bool,
}

/// What is done with a request that the lock has no answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It is asked of the world, and recorded.
    Recorded,
    /// It is refused, and named.
    Refused,
}

/// The answers of a build.
pub struct Session {
    pub(super) store: Arc<Store>,
    pub(super) origin: Origin,
    options: Options,
    state: Mutex<State>,
    /// Somebody has done with what they claimed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    entries: Entries,
    /// The entries that a step of this build was answered with.
    used: BTreeSet<String>,
    /// What somebody is just fetching.
    claimed: BTreeSet<String>,
    /// With their sizes: a lock may claim another.
    verified: BTreeSet<(Digest, u64)>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The right to fetch something, until it is dropped: who wants the same waits.
pub(super) struct Claim<'a>(&'a Session, String);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.state().claimed.remove(&self.1);
        self.0.changed.notify_all();
    }
}

/// The memo of what a step asked for when it was run.
const ASKED: &str = "asked";

/// The memo that keeps recorded bytes in the store.
const RECORDED: &str = crate::store::RECORDED;

impl Session {
    /// One with what a lock has.
    pub fn new(store: &Arc<Store>, entries: Entries, options: Options) -> Self {
        let origin = Origin::new(options.http.clone(), options.loopback);
        let state = Mutex::new(State { entries, ..State::default() });
        Self { store: Arc::clone(store), origin, options, state, changed: Condvar::new() }
    }

    /// What the steps of this build were answered, or would have been, had they not been known: what a lock is to have.
    pub fn used(&self) -> Entries {
        let state = self.state();
        let used =
            state.used.iter().filter_map(|name| Some((name.clone(), state.entries.get(name)?.clone())));
        used.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn records(&self) -> bool {
        self.options.unknown == Unknown::Recorded && !self.options.offline
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.options.strict
    }

    pub(super) fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// The answer that is known; it is needed from now on. While things are recorded, a failure is none: perhaps there
    /// is an answer by now.
    pub(super) fn find(&self, asked: &Asked) -> Option<LockedResponse> {
        let mut state = self.state();
        let (name, found) = state.find(asked)?;
        if found.is_failure() && self.records() {
            return None;
        }
        state.used.insert(name);
        Some(found)
    }

    /// Waits until nobody else is about it.
    pub(super) fn claim(&self, name: String) -> Claim<'_> {
        let mut state = self.state();
        while !state.claimed.insert(name.clone()) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Claim(self, name)
    }

    /// Notes an answer, with its bytes, which are in the store.
    pub(super) fn record(
        &self,
        asked: &Asked,
        varies: bool,
        response: &LockedResponse,
    ) -> Result<(), StoreError> {
        if let Some(digest) = &response.digest {
            self.keep(digest)?;
        }
        let (name, plain) = (asked.name(varies), asked.name(false));
        let mut state = self.state();
        if state.entries.get(&plain).is_some_and(LockedResponse::is_failure) {
            state.entries.remove(&plain);
        }
        state.used.insert(name.clone());
        state.entries.insert(name, response.clone());
        Ok(())
    }

    /// Notes that there was no answer: what builds are then told, too. One that was given before, or is given when the
    /// program tries again, counts more.
    pub(super) fn fail(&self, asked: &Asked, status: u16) {
        let name = asked.name(false);
        let mut state = self.state();
        if state.entries.get(&name).is_none_or(LockedResponse::is_failure) {
            state.used.insert(name.clone());
            state.entries.insert(name, LockedResponse::of_status(status));
        }
    }

    /// Garbage collection leaves it.
    pub(super) fn keep(&self, digest: &Digest) -> Result<(), StoreError> {
        self.store.remember_with(RECORDED, &digest.to_string(), &(), vec![digest.clone()])
    }

    /// Brings bytes from where they were vendored; whether they were.
    pub(super) fn bring(&self, blob: &Descriptor, digest: &Digest) -> Result<bool, ProxyError> {
        let Some(vendor) = &self.options.vendor else { return Ok(false) };
        let brought = vendor.bring(&self.store, blob)?;
        if brought {
            self.keep(digest)?;
        }
        Ok(brought)
    }

    /// Reads a blob once to its end, before anything of it is given.
    pub(super) fn verify(&self, blob: &Descriptor, digest: &Digest) -> std::io::Result<()> {
        let named = (digest.clone(), blob.size());
        let is_verified = self.state().verified.contains(&named);
        if !is_verified {
            body::verify(&self.store, blob)?;
            self.state().verified.insert(named);
        }
        Ok(())
    }

    /// The redirects that lead to a URL: when it was made for one time, they may lead to another.
    pub(super) fn redirects_to(&self, url: &str) -> Vec<Url> {
        let state = self.state();
        state
            .entries
            .iter()
            .filter_map(redirect)
            .filter(|(_, to)| to.text() == url)
            .map(|(from, _)| from)
            .collect()
    }

    pub(super) fn entries(&self) -> Entries {
        self.state().entries.clone()
    }

    /// The whole key of a step that is known by `step` but for what it is answered: none if it was never run, or if not
    /// all that it asked for is known and the rest could be had, or has to be known.
    pub(crate) fn key(&self, step: &str) -> Option<String> {
        let asked: Vec<Asked> = self.store.memo(ASKED, step)?;
        let state = self.state();
        let missing = asked.iter().any(|asked| state.find(asked).is_none());
        (!missing || !(self.records() || self.is_strict())).then(|| state.key(step, &asked))
    }

    /// Remembers what a step that was run asked for; gives its whole key.
    pub(crate) fn remember(&self, step: &str, asked: &BTreeSet<Asked>) -> Result<String, StoreError> {
        let asked: Vec<&Asked> = asked.iter().collect();
        self.store.remember(ASKED, step, &asked)?;
        let asked: Vec<Asked> = asked.into_iter().cloned().collect();
        Ok(self.state().key(step, &asked))
    }

    /// What a step that was run asked for, by the names that a lock has for it, and what it was answered: what is most
    /// telling of that, and a hash of all of it.
    pub(crate) fn answers(&self, step: &str) -> BTreeMap<String, String> {
        let asked = self.store.memo::<Vec<Asked>>(ASKED, step).unwrap_or_default();
        let state = self.state();
        let answer = |asked: &Asked| match state.find(asked) {
            None => (asked.name(false), "nothing".to_owned()),
            Some((name, response)) => {
                let bytes = serde_json::to_vec(&response).expect("texts and numbers");
                (name, format!("{} {}", response.summary(), &blake3::hash(&bytes).to_hex()[..8]))
            }
        };
        asked.iter().map(answer).collect()
    }

    /// Counts the answers of a step that needs not be run.
    pub(crate) fn count(&self, step: &str) {
        let mut state = self.state();
        for asked in self.store.memo::<Vec<Asked>>(ASKED, step).unwrap_or_default() {
            if let Some((name, _)) = state.find(&asked) {
                state.used.insert(name);
            }
        }
    }
}

impl State {
    fn find(&self, asked: &Asked) -> Option<(String, LockedResponse)> {
        asked.names().into_iter().find_map(|name| {
            let found = self.entries.get(&name)?.clone();
            Some((name, found))
        })
    }

    /// A program that is told the same does the same: the key is what was asked with what is answered, and of the rest
    /// of the lock nothing.
    fn key(&self, step: &str, asked: &[Asked]) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(step.as_bytes());
        for asked in asked {
            let found = self.find(asked).map(|(_, response)| response);
            let bytes = serde_json::to_vec(&(asked, found)).expect("texts and numbers");
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
        hash.finalize().to_hex().to_string()
    }
}

/// From where to where an answer leads, if it is a redirect.
pub(super) fn redirect((name, response): (&String, &LockedResponse)) -> Option<(Url, Url)> {
    let location = response.location.as_ref()?;
    let from = Url::parse(name.split(' ').next()?)?;
    let to = from.join(location.as_str())?;
    Some((from, to))
}

/// A recorded body as the store knows blobs. Its media type is nobody's concern there.
pub(crate) fn descriptor(digest: &Digest, size: u64) -> Descriptor {
    let media_type = crate::oci::MediaType::Other("application/octet-stream".into());
    crate::image::descriptor(media_type, digest, size)
}
