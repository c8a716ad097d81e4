//! A lock in use: what a build may take from it, and what it adds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{
    Lock, LockFileError, LockedContext, LockedGit, LockedImage, LockedManifest, LockedUrl, PlatformName,
    load, save,
};
use crate::oci::Digest;

/// What becomes of an input that the lock has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is resolved, and added.
    Add,
    /// It is an error: `--locked`.
    Refuse,
    /// It is resolved, if that can be done, and the lock stays as it is.
    Look,
}

/// A lock, how it is used, and what has been asked of it.
#[derive(Debug)]
pub struct Memo {
    path: PathBuf,
    policy: Policy,
    /// What the file has.
    written: Option<Lock>,
    lock: Lock,
    /// What was asked for, known or not.
    asked: BTreeSet<Ask>,
}

/// An input, by its kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Image(String, PlatformName),
    Context(String, PlatformName),
    Url(String),
    Git(String),
}

impl Memo {
    /// The lock in a file; None if there is no such file.
    pub fn open(path: &Path, policy: Policy) -> Result<Option<Self>, LockFileError> {
        Ok(load(path)?.map(|lock| Self::new(path, policy, Some(lock.clone()), lock)))
    }

    /// A lock that isn't what the file has, or will have.
    pub fn new(path: &Path, policy: Policy, written: Option<Lock>, lock: Lock) -> Self {
        Self { path: path.to_owned(), policy, written, lock, asked: BTreeSet::new() }
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// For what else is added: where the policy is [`Policy::Add`].
    pub fn lock_mut(&mut self) -> &mut Lock {
        &mut self.lock
    }

    /// What the file has.
    pub fn written(&self) -> Option<&Lock> {
        self.written.as_ref()
    }

    /// The image of a name: what is known of it, for any platform.
    pub fn image(&mut self, name: &str, platform: &PlatformName) -> Option<&LockedImage> {
        self.asked.insert(Ask::Image(name.to_owned(), platform.clone()));
        self.lock.images.get(name)
    }

    /// The image of a named context, if it was given as it is now.
    pub fn context(&mut self, name: &str, source: &str, platform: &PlatformName) -> Option<&LockedImage> {
        self.asked.insert(Ask::Context(name.to_owned(), platform.clone()));
        let context = self.lock.contexts.get(name).filter(|context| context.source == source);
        context.map(|context| &context.image)
    }

    pub fn url(&mut self, name: &str) -> Option<&LockedUrl> {
        self.asked.insert(Ask::Url(name.to_owned()));
        self.lock.urls.get(name)
    }

    pub fn git(&mut self, name: &str) -> Option<&LockedGit> {
        self.asked.insert(Ask::Git(name.to_owned()));
        self.lock.git.get(name)
    }

    /// Adds an image for a platform; what it is for others stays, if it is of the same index.
    pub fn add_image(&mut self, name: &str, found: LockedImage) {
        match self.lock.images.get_mut(name) {
            Some(known) => known.add(found),
            None => drop(self.lock.images.insert(name.to_owned(), found)),
        }
    }

    pub fn add_context(&mut self, name: &str, source: String, found: LockedImage) {
        match self.lock.contexts.get_mut(name) {
            Some(known) if known.source == source => known.image.add(found),
            _ => drop(self.lock.contexts.insert(name.to_owned(), LockedContext { source, image: found })),
        }
    }

    pub fn add_url(&mut self, name: String, found: LockedUrl) {
        self.lock.urls.insert(name, found);
    }

    pub fn add_git(&mut self, name: String, found: LockedGit) {
        self.lock.git.insert(name, found);
    }

    /// Takes away what nobody has asked for, but for recorded responses: those are asked for when steps run.
    pub fn forget_unasked(&mut self) {
        let Self { lock, asked, .. } = self;
        let prune = |image: &mut LockedImage, ask: &dyn Fn(&PlatformName) -> Ask| {
            image.platforms.retain(|platform, _| asked.contains(&ask(platform)));
            !image.platforms.is_empty()
        };
        lock.images
            .retain(|name, image| prune(image, &|platform| Ask::Image(name.clone(), platform.clone())));
        lock.contexts.retain(|name, context| {
            prune(&mut context.image, &|platform| Ask::Context(name.clone(), platform.clone()))
        });
        lock.urls.retain(|name, _| asked.contains(&Ask::Url(name.clone())));
        lock.git.retain(|name, _| asked.contains(&Ask::Git(name.clone())));
    }

    /// Notes what the lock is of.
    pub fn set_origin(&mut self, fingerprint: Digest, syntax: Option<String>) {
        self.lock.fingerprint = fingerprint;
        self.lock.syntax = syntax;
    }

    /// Writes the file anew, if it would change; tells whether it did. Only where things may be added.
    pub fn save(&mut self) -> Result<bool, LockFileError> {
        if self.policy != Policy::Add || self.written.as_ref() == Some(&self.lock) {
            return Ok(false);
        }
        save(&self.path, &self.lock)?;
        self.written = Some(self.lock.clone());
        Ok(true)
    }
}

impl LockedImage {
    /// The image for a platform.
    pub fn manifest(&self, platform: &PlatformName) -> Option<&LockedManifest> {
        self.platforms.get(platform)
    }

    fn add(&mut self, other: Self) {
        if self.digest == other.digest {
            self.platforms.extend(other.platforms);
        } else {
            *self = other;
        }
    }
}
