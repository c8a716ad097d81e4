//! URLs and repositories, by the lock.

use super::against_policy;
use crate::build::images::{failed, other};
use crate::build::outside::Outside;
use crate::build::repositories::is_archived;
use crate::context::git;
use crate::lock::{Commit, LockedGit, LockedUrl, Policy, name_of_git, name_of_url};
use crate::plan::{Git, Pin, ResolveError, Url};

impl Outside {
    /// Pins a URL by the lock, if there is one.
    pub(in crate::build) fn url_by_lock(&self, url: &mut Url) -> Result<(), ResolveError> {
        let name = name_of_url(&url.url);
        let said = self.contexts.policy.as_ref().map(|policy| policy.url(&url.url)).transpose();
        let said = said.map_err(|error| other(&name, error))?.flatten();
        if let Some(digest) = &said {
            url.digest = Pin::Pinned(digest.clone());
        }
        let Some(policy) = self.policy() else { return Ok(()) };
        if let Some(known) = self.with_lock(|memo| memo.url(&name).cloned()).flatten() {
            if let Some(said) = said.filter(|said| *said != known.digest) {
                return Err(against_policy(&name, &known.digest, said));
            }
            url.digest = Pin::Pinned(known.digest);
            return Ok(());
        }
        match policy {
            Policy::Refuse => return Err(ResolveError::NotLocked { name, platform: None }),
            Policy::Look => return Ok(()),
            Policy::Add => {}
        }
        let (digest, size) = self.fetch_new(&url.url, said.as_ref()).map_err(|error| failed(&name, error))?;
        url.digest = Pin::Pinned(digest.clone());
        self.with_lock(|memo| memo.add_url(name, LockedUrl { digest, size }));
        Ok(())
    }

    /// Pins a git reference by the lock, if there is one.
    pub(in crate::build) fn git_by_lock(&self, git: &mut Git) -> Result<(), ResolveError> {
        let name = name_of_git(git);
        let said = self.contexts.policy.as_ref().map(|policy| policy.git(git)).transpose();
        if let Some(commit) = said.map_err(|error| other(&name, error))?.flatten() {
            (git.reference, git.commit) = (None, Pin::Pinned(commit));
        }
        let Some(policy) = self.policy() else { return Ok(()) };
        let known = self.with_lock(|memo| memo.git(&name).cloned()).flatten();
        let commit = match (known, policy) {
            (Some(known), Policy::Add) if known.archive.is_none() && is_archived(git) => {
                self.lock_git(name, git, known.commit)?
            }
            (Some(known), _) => known.commit,
            (None, Policy::Refuse) => return Err(ResolveError::NotLocked { name, platform: None }),
            (None, Policy::Look) => return Ok(()),
            (None, Policy::Add) if self.contexts.offline => return Err(ResolveError::Offline { name }),
            (None, Policy::Add) => {
                let commit =
                    git::resolve(git, &self.git_environment()).map_err(|error| other(&name, error))?;
                let commit = Commit::try_from(commit).map_err(|why| other(&name, why))?;
                self.lock_git(name, git, commit)?
            }
        };
        // Wherever the reference leads by now.
        git.reference = None;
        git.commit = Pin::Pinned(commit.into());
        Ok(())
    }

    fn lock_git(&self, name: String, git: &Git, commit: Commit) -> Result<Commit, ResolveError> {
        let archive = match is_archived(git) && !self.contexts.offline {
            true => Some(self.new_archive(git, &commit).map_err(|error| failed(&name, error))?),
            false => None,
        };
        self.with_lock(|memo| memo.add_git(name, LockedGit { commit: commit.clone(), archive }));
        Ok(commit)
    }
}
