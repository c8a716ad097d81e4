//! A lock in use: what a build may take from it, and what it adds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{
    Lock, LockFileError, LockedContext, LockedGit, LockedImage, LockedManifest, LockedUrl, PlatformName,
    load, parse, save,
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
    /// None for one that no file has.
    path: Option<PathBuf>,
    /// The file is one of a context that is no folder: it is read, and never written.
    inside: bool,
    policy: Policy,
    /// What the file has.
    written: Option<Lock>,
    lock: Lock,
    /// What was asked for, known or not.
    asked: BTreeSet<Ask>,
    /// Nothing of it is taken on trust, though a build could do without.
    proves: bool,
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
        let path = Some(path.to_owned());
        Self { path, ..Self::with(policy, written, lock) }
    }

    /// One that no file has: for knowing afterwards what was resolved, or for a lock from elsewhere.
    pub fn fileless(policy: Policy, lock: Lock) -> Self {
        Self::with(policy, Some(lock.clone()), lock)
    }

    /// That of a repository or an archive: what it has not is resolved, or refused, and not added to it.
    pub fn inside(path: &Path, policy: Policy, bytes: Vec<u8>) -> Result<Self, LockFileError> {
        let lock = parse(path, bytes)?;
        Ok(Self { path: Some(path.to_owned()), inside: true, ..Self::fileless(policy, lock) })
    }

    fn with(policy: Policy, written: Option<Lock>, lock: Lock) -> Self {
        Self { path: None, inside: false, policy, written, lock, asked: BTreeSet::new(), proves: false }
    }

    /// A stranger's, that is to be shown right: it is not added to, and what it says of images has to be so even where a
    /// build has no use for it.
    pub fn to_prove(lock: Lock) -> Self {
        Self { proves: true, ..Self::fileless(Policy::Refuse, lock) }
    }

    pub fn proves(&self) -> bool {
        self.proves
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether [`Self::path`] is one in a context, and no file of this machine.
    pub fn is_inside(&self) -> bool {
        self.inside
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

    /// What has been asked for, and what it was resolved to: the inputs of this one build.
    pub fn used(&self) -> Lock {
        let mut used =
            Self { lock: self.lock.clone(), asked: self.asked.clone(), path: None, written: None, ..*self };
        used.forget_unasked();
        used.lock
    }

    /// Notes what the lock is of.
    pub fn set_origin(&mut self, fingerprint: Digest, syntax: Option<String>) {
        self.lock.fingerprint = fingerprint;
        self.lock.syntax = syntax;
    }

    /// Writes the file anew, if it would change; tells whether it did. Only where things may be added.
    pub fn save(&mut self) -> Result<bool, LockFileError> {
        let Some(path) = self.path.as_deref().filter(|_| self.policy == Policy::Add && !self.inside) else {
            return Ok(false);
        };
        if self.written.as_ref() == Some(&self.lock) {
            return Ok(false);
        }
        save(path, &self.lock)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::tests::example;
    use crate::oci::Platform;

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let mut memo = Memo::fileless(Policy::Add, example());
        let (amd64, arm64) =
            ("linux/amd64".parse::<Platform>().unwrap(), "linux/arm64".parse::<Platform>().unwrap());
        let (amd64, arm64) = (PlatformName::of(&amd64), PlatformName::of(&arm64));
        assert!(memo.image("debian:12", &amd64).is_some());
        assert!(memo.image("debian:13", &amd64).is_none());
        assert!(memo.context("base", "docker-image://other:1", &arm64).is_none());
        assert!(memo.url("https://a/b?c").is_some());
        let used = memo.used();
        assert_eq!(memo.lock(), &example(), "only a look");
        assert_eq!(used.images.len(), 1);
        assert!(used.contexts.is_empty(), "it was asked for another platform");
        assert_eq!((used.urls.len(), used.git.len(), used.network.len()), (1, 0, 1));
        assert!(!memo.save().unwrap());
    }

    #[test]
    fn other_platforms_stay_with_their_index() {
        let mut memo = Memo::fileless(Policy::Add, example());
        let known = example().images["debian:12"].clone();
        let arm64 = PlatformName::of(&"linux/arm64".parse().unwrap());
        let manifest = known.platforms.values().next().unwrap().clone();
        let more = |digest: &Digest| LockedImage {
            digest: digest.clone(),
            platforms: [(arm64.clone(), manifest.clone())].into(),
            ..known.clone()
        };
        memo.add_image("debian:12", more(&known.digest));
        assert_eq!(memo.lock().images["debian:12"].platforms.len(), 2);
        memo.add_image("debian:12", more(&Digest::of(b"another index")));
        assert_eq!(memo.lock().images["debian:12"].platforms.len(), 1);
    }

    #[test]
    fn a_file_is_written_only_if_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Buildfile.lock");
        assert!(Memo::open(&path, Policy::Add).unwrap().is_none());
        assert!(Memo::new(&path, Policy::Add, None, example()).save().unwrap());
        let mut memo = Memo::open(&path, Policy::Add).unwrap().unwrap();
        assert!(!memo.save().unwrap());
        memo.lock_mut().urls.clear();
        assert!(memo.save().unwrap() && !memo.save().unwrap());
        let mut memo = Memo::open(&path, Policy::Refuse).unwrap().unwrap();
        memo.lock_mut().git.clear();
        assert!(!memo.save().unwrap(), "one that must not change is not written");
        let link = dir.path().join("link.lock");
        std::os::unix::fs::symlink("Buildfile.lock", &link).unwrap();
        assert!(Memo::new(&link, Policy::Add, None, example()).save().unwrap());
        assert!(link.is_symlink() && Memo::open(&path, Policy::Look).unwrap().unwrap().lock() == &example());
    }
}
