//! The lock of a build: given before planning, settled after it, written when the build has succeeded.

mod images;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::PoisonError;

use super::outside::{Outside, OutsideError, lock};
use crate::buildfile::{Buildfile, Source, has_locked_steps, outside_names};
use crate::exec::{Event, Report};
use crate::layer::FORMAT_PROFILE;
use crate::lock::{
    Lock, LockFileError, LockedResponse, MAX_BYTES, Memo, PlatformName, Policy, changes, path_beside,
};
use crate::oci::{Digest, Platform, canonical};
use crate::plan::ResolveError;
use crate::text::shown;

/// What planning is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// A build: images' documents come into the store.
    Documents,
    /// To look at the plan: what the lock tells of an image will do.
    Facts,
}

/// Why a lock can't be used for a build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockUseError {
    #[error(transparent)]
    File(#[from] LockFileError),
    #[error(transparent)]
    Context(#[from] Box<OutsideError>),
    #[error(
        "the lock file `{path}` is stale: what the Buildfile names outside has changed since it was written"
    )]
    Stale { path: String },
    #[error("the lock file `{path}` is for format profile {found}; this lith builds with profile {known}")]
    Profile { path: String, found: u32, known: u32 },
}

/// The fingerprint of what a Buildfile names outside, and its `# syntax=` directive.
pub(super) fn origin(file: &Buildfile) -> (Digest, Option<String>) {
    let names = canonical::to_vec(&outside_names(file)).expect("a list of texts is JSON");
    (Digest::of(&names), file.directives.syntax.as_ref().map(|syntax| syntax.text.clone()))
}

impl Outside {
    /// Has planning ask a lock, and what it may add to.
    pub fn set_lock(&mut self, memo: Memo) {
        self.memo = Some(memo.into());
    }

    /// The lock beside a Buildfile that is no file of this machine, in its repository or archive.
    pub fn lock_inside(&self, source: &Source, policy: Policy) -> Result<Option<Memo>, LockUseError> {
        if self.build_file().is_some() || source.name() == "-" {
            return Ok(None);
        }
        let path = path_beside(Path::new(source.name()));
        let Some(bytes) = self.read_in_context(&path, MAX_BYTES).map_err(Box::new)? else { return Ok(None) };
        Ok(Some(Memo::inside(&path, policy, bytes)?))
    }

    /// Has what is resolved be noted for a record, where no lock file does that.
    pub fn note_resolved(&mut self) {
        self.memo.get_or_insert_with(|| {
            Memo::fileless(Policy::Add, Lock::new(FORMAT_PROFILE, Digest::of(b""))).into()
        });
    }

    /// The lock as it is by now.
    pub fn into_lock(self) -> Option<Memo> {
        Some(self.memo?.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is done with the lock, if there is one.
    pub(super) fn with_lock<T>(&self, work: impl FnOnce(&mut Memo) -> T) -> Option<T> {
        Some(work(&mut lock(self.memo.as_ref()?)))
    }

    /// Before anything is asked of the lock.
    pub(super) fn check_profile(&self) -> Result<(), LockUseError> {
        let checked = self.with_lock(|memo| match memo.lock().profile {
            FORMAT_PROFILE => Ok(()),
            found => Err(LockUseError::Profile { path: shown_path(memo), found, known: FORMAT_PROFILE }),
        });
        checked.unwrap_or(Ok(()))
    }

    /// When all has been asked: the lock is now of this Buildfile; one that must not change has to have been before.
    ///
    /// A build records no network: where locked steps may have changed, the lock stays one of another Buildfile.
    pub(super) fn settle_lock(
        &self,
        file: &Buildfile,
        is_build: bool,
        platforms: &[Platform],
    ) -> Result<(), LockUseError> {
        let (fingerprint, syntax) = origin(file);
        let settled = self.with_lock(|memo| match memo.policy() {
            Policy::Add => {
                if !(is_build && has_locked_steps(file)) {
                    memo.set_origin(fingerprint, syntax);
                }
                memo.lock_mut().platforms.extend(names(platforms));
                Ok(())
            }
            Policy::Refuse if memo.lock().fingerprint != fingerprint => {
                Err(LockUseError::Stale { path: shown_path(memo) })
            }
            Policy::Refuse | Policy::Look => Ok(()),
        });
        settled.unwrap_or(Ok(()))
    }

    /// Writes the lock file, if something was added, and says so.
    pub(super) fn save_lock(&self, report: &dyn Report) -> Result<(), LockUseError> {
        let saved = self.with_lock(|memo| {
            let before = memo.written().map(|old| changes(old, memo.lock()).len());
            Ok::<_, LockFileError>(memo.save()?.then(|| (shown_path(memo), before.unwrap_or(0))))
        });
        if let Some((path, count)) = saved.transpose()?.flatten() {
            let what = match count {
                0 => "what it is of".to_owned(),
                1 => "1 entry".to_owned(),
                count => format!("{count} entries"),
            };
            report
                .report(Event::Input { text: &format!("note: the lock file `{path}` was changed: {what}") });
        }
        Ok(())
    }

    /// All that a build of a Buildfile has used of what is resolved, with what its steps were answered; and nothing else
    /// that the lock may have.
    pub(super) fn used(
        &self,
        file: &Buildfile,
        platforms: &[Platform],
        answers: BTreeMap<String, LockedResponse>,
    ) -> Option<Lock> {
        let (fingerprint, syntax) = origin(file);
        let mut used = self.with_lock(|memo| memo.used())?;
        (used.fingerprint, used.syntax) = (fingerprint, syntax);
        (used.platforms, used.network) = (names(platforms), answers);
        Some(used)
    }

    fn policy(&self) -> Option<Policy> {
        self.with_lock(|memo| memo.policy())
    }
}

/// What a lock calls the platforms that are asked for.
fn names(platforms: &[Platform]) -> BTreeSet<PlatformName> {
    match platforms {
        [] => [PlatformName::of(&Platform::default())].into(),
        platforms => platforms.iter().map(PlatformName::of).collect(),
    }
}

fn moved(name: &str, locked: &Digest, place: String, found: Digest) -> ResolveError {
    ResolveError::Moved { name: name.to_owned(), locked: locked.clone(), place, found }
}

/// The source policy and the lock have to agree.
fn against_policy(name: &str, locked: &Digest, found: Digest) -> ResolveError {
    moved(name, locked, "the source policy (or the name)".to_owned(), found)
}

fn shown_path(memo: &Memo) -> String {
    memo.path().map_or_else(|| "(in memory)".to_owned(), |path| shown(&path.display()))
}
