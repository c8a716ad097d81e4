//! Repositories that ADD names. What a lock knows the files of is a blob of the store: a tar of all of them, from which
//! a later build takes them without git and network.

use std::sync::Arc;

use super::outside::{Outside, OutsideError, Repository, lock};
use crate::context::archive::{self, Arrived};
use crate::context::git::{self, Checkout, GitError};
use crate::context::{ContextError, Modes, Options};
use crate::http::shown;
use crate::layer;
use crate::lock::{Commit, LockedUrl};
use crate::oci::Epoch;
use crate::plan::{Git, Pin};
use crate::tree::{Changes, ImagePath, Tree};

impl Outside {
    pub(super) fn fetch_git(&self, git: &Git, warn: &dyn Fn(String)) -> Result<(), OutsideError> {
        if lock(&self.repositories).contains_key(git) {
            return Ok(());
        }
        let (tree, _checkout) = match self.archive_of(git) {
            Some((commit, archive)) => (self.locked_files(git, &commit, &archive)?, None),
            None => {
                let (tree, checkout) = self.check_out(git, self.modes)?;
                if git.commit == Pin::Unpinned {
                    let (remote, commit) = (shown(&git.remote), checkout.commit());
                    warn(format!(
                        "`{remote}` is not pinned: another build may get another commit; this one got {commit}"
                    ));
                }
                (tree, Some(checkout))
            }
        };
        let found = Repository { tree: Arc::new(tree), _checkout };
        lock(&self.repositories).insert(git.clone(), found);
        Ok(())
    }

    fn check_out(&self, git: &Git, modes: Modes) -> Result<(Tree, Checkout), OutsideError> {
        if self.contexts.offline {
            return Err(OutsideError::Offline(format!("the repository `{}`", shown(&git.remote))));
        }
        let checkout = git::checkout(git, &self.git_environment())?;
        let tree = checkout.read(Options { modes, ..Options::default() })?.tree;
        Ok((tree, checkout))
    }

    /// What the lock knows of the files.
    fn archive_of(&self, git: &Git) -> Option<(Commit, LockedUrl)> {
        let Pin::Pinned(commit) = &git.commit else { return None };
        let find = |entries: &std::collections::BTreeMap<_, crate::lock::LockedGit>| {
            let entry = entries.values().find(|entry| entry.commit.as_str() == commit)?;
            Some((entry.commit.clone(), entry.archive.clone()?))
        };
        self.with_lock(|memo| find(&memo.lock().git)).flatten().filter(|_| is_archived(git))
    }

    /// The files that the lock says, from the store or, made again, from the repository. A stranger's lock may give a commit
    /// the digest of anything that it names elsewhere: only the repository can say what the commit's files are.
    fn locked_files(&self, git: &Git, commit: &Commit, archive: &LockedUrl) -> Result<Tree, OutsideError> {
        let remote = shown(&git.remote);
        let is_believed = self.with_lock(|memo| memo.proves()) != Some(true);
        let kept = if is_believed { self.kept(&remote, &archive.digest)? } else { None };
        let kept = match kept {
            Some(kept) => Some(kept),
            None => {
                let made = self.new_archive(git, commit)?;
                if made.digest != archive.digest {
                    return Err(OutsideError::Archive {
                        remote,
                        commit: commit.as_str().to_owned(),
                        expected: archive.digest.clone(),
                        found: made.digest,
                    });
                }
                self.kept(&remote, &archive.digest)?
            }
        };
        let kept = kept.ok_or(OutsideError::NotFetched(remote))?;
        let reader = kept.content.open().map_err(ContextError::from)?;
        match archive::read(reader, self.store.temp_file()?)? {
            Arrived::Files(whole) => subtree(git, &whole),
            // A tar without a file has no header to be known by.
            Arrived::BuildFile(_) => subtree(git, &Tree::default()),
        }
    }

    /// Fetches a commit's files and keeps them as a tar.
    pub(super) fn new_archive(&self, git: &Git, commit: &Commit) -> Result<LockedUrl, OutsideError> {
        let pinned = Pin::Pinned(commit.as_str().to_owned());
        let whole = Git { subdir: None, reference: None, commit: pinned, ..git.clone() };
        let (tree, _checkout) = self.check_out(&whole, Modes::Git)?;
        let mut writer = self.store.writer()?;
        layer::tar::write(&Changes::from(&tree), Epoch::default(), &mut writer)
            .map_err(crate::transport::TransportError::from)?;
        let (digest, size) = writer.finish()?;
        self.note_kept(&digest)?;
        Ok(LockedUrl { digest, size })
    }
}

/// The folder that the address means.
fn subtree(git: &Git, whole: &Tree) -> Result<Tree, OutsideError> {
    let Some(subdir) = &git.subdir else { return Ok(whole.clone()) };
    let base =
        ImagePath::new(subdir.as_bytes()).ok().filter(|base| whole.get(base).is_some_and(|n| n.is_dir()));
    let base = base.ok_or_else(|| GitError::Subdir {
        remote: shown(&git.remote),
        subdir: subdir.clone(),
        why: "it is no folder of the commit",
    })?;
    let inside = whole.iter().filter_map(|(path, node)| Some((path.strip_prefix(&base)?, node.clone())));
    Ok(inside.filter(|(path, _)| !path.is_root()).collect())
}

/// Whether its files are all that is wanted of a commit.
pub(super) fn is_archived(git: &Git) -> bool {
    git.submodules && !git.keep_git_dir
}
