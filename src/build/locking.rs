//! The lock while planning: the memo of [`Resolve`], in front of the world.
//!
//! What the lock has is answered from it, and of the world only asked by digest; what it has not is refused or asked of
//! the world and added, as its [`Policy`] says.
//!
//! [`Resolve`]: crate::plan::Resolve

use std::error::Error;

use super::images::{Found, Origin};
use super::outside::{Outside, lock};
use crate::buildfile::{Buildfile, has_locked_steps, outside_names};
use crate::context::{ContextSpec, git};
use crate::exec::{Event, Report};
use crate::layer::FORMAT_PROFILE;
use crate::lock::{
    Commit, LockFileError, LockedConfig, LockedGit, LockedImage, LockedManifest, LockedUrl, Memo,
    PlatformName, Policy, changes, name_of_git, name_of_url,
};
use crate::oci::{Descriptor, Digest, Pinned, Platform, Reference, canonical};
use crate::plan::{Git, Pin, ResolveError, ResolvedImage, Url};
use crate::text::shown;
use crate::transport::ImageFormat;

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
    #[error(
        "the lock file `{path}` is stale: what the Buildfile names outside has changed since it was written"
    )]
    Stale { path: String },
    #[error("the lock file `{path}` is for format profile {found}; this lith builds with profile {known}")]
    Profile { path: String, found: u32, known: u32 },
}

/// How a name leads to an image.
enum Way {
    /// By its own name, or by that of a `docker-image://` context.
    Reference(Reference),
    At(ImageFormat, String),
}

impl Way {
    /// Where the image is, in words.
    fn place(&self) -> String {
        match self {
            Self::Reference(reference) => format!("the store or `{}`", reference.registry()),
            Self::At(format, _) => format!("the {}", scheme(*format)),
        }
    }
}

/// The fingerprint of what a Buildfile names outside, and its `# syntax=` directive.
pub(super) fn origin(file: &Buildfile) -> (Digest, Option<String>) {
    let names = canonical::to_vec(&outside_names(file)).expect("a list of texts is JSON");
    (Digest::of(&names), file.directives.syntax.as_ref().map(|syntax| syntax.text.clone()))
}

impl Outside {
    /// Has planning ask a lock, and what it may add to.
    pub fn set_lock(&self, memo: Memo) {
        *lock(&self.memo) = Some(memo);
    }

    /// The lock as it is by now.
    pub fn take_lock(&self) -> Option<Memo> {
        lock(&self.memo).take()
    }

    /// What is done with the lock, if there is one.
    pub(super) fn with_lock<T>(&self, work: impl FnOnce(&mut Memo) -> T) -> Option<T> {
        lock(&self.memo).as_mut().map(work)
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
                let default = [Platform::default()];
                let platforms = if platforms.is_empty() { &default } else { platforms };
                memo.lock_mut().platforms.extend(platforms.iter().map(PlatformName::of));
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

    fn policy(&self) -> Option<Policy> {
        self.with_lock(|memo| memo.policy())
    }

    /// The image of a name, by the lock if there is one.
    pub(super) fn image_by_lock(
        &self,
        name: &str,
        platform: &Platform,
        depth: Depth,
    ) -> Result<ResolvedImage, ResolveError> {
        let Some(policy) = self.policy() else { return self.resolve_image(name, platform) };
        let key = PlatformName::of(platform);
        let (way, source) = match self.named(name) {
            Some(ContextSpec::ImageAt(format, text)) => {
                (Way::At(*format, text.clone()), Some(scheme(*format).to_owned()))
            }
            Some(ContextSpec::Image(reference)) => (
                Way::Reference(self.by_policy(name, reference)?),
                Some(format!("docker-image://{}", reference.familiar())),
            ),
            Some(_) => return self.resolve_image(name, platform),
            None => (Way::Reference(self.by_policy(name, &name.parse()?)?), None),
        };
        let known = self.with_lock(|memo| match &source {
            Some(source) => memo.context(name, source, &key).cloned(),
            None => memo.image(name, &key).cloned(),
        });
        let known = known.flatten();
        if let (Some(known), Way::Reference(reference)) = (&known, &way) {
            check_policy(name, known, &key, reference)?;
        }
        match known.as_ref().and_then(|image| image.manifest(&key)) {
            Some(manifest) if depth == Depth::Facts => Ok(ResolvedImage {
                pinned: Pinned { name: name.to_owned(), digest: manifest.digest.clone() },
                config: manifest.config.to_config(),
            }),
            Some(manifest) => self.locked_image(name, platform, &way, manifest),
            None if policy == Policy::Refuse => {
                let platform = known.map(|_| platform.clone());
                Err(ResolveError::NotLocked { name: name.to_owned(), platform })
            }
            None if policy == Policy::Look => self.resolve_image(name, platform),
            None => self.new_image(name, platform, &way, known.as_ref(), source),
        }
    }

    /// Resolves an image, and adds it to the lock.
    fn new_image(
        &self,
        name: &str,
        platform: &Platform,
        way: &Way,
        known: Option<&LockedImage>,
        source: Option<String>,
    ) -> Result<ResolvedImage, ResolveError> {
        let origin = match way {
            Way::At(format, text) => Origin::At(*format, text.clone()),
            Way::Reference(reference) => {
                // Another platform of what is locked already is of the same index.
                let digest = known.map(|image| &image.digest);
                let wanted = digest.map_or_else(|| reference.clone(), |digest| reference.with_digest(digest));
                let found = self.look_up(name, &wanted);
                let found = match (digest, found) {
                    (Some(digest), found) => found.map_err(|error| gone(name, digest, way.place(), error))?,
                    (None, Err(error)) if self.contexts.pull => Some(self.only_here(reference, error)?),
                    (None, found) => found?,
                };
                found.ok_or_else(|| self.not_found(name))?
            }
        };
        let root = self.root_of(name, &origin)?;
        let found = self.read_image(name, platform, origin)?;
        let image = &found.image;
        let digest = |descriptor: &Descriptor| {
            Digest::try_from(descriptor.digest()).map_err(|error| other(name, error))
        };
        let manifest = LockedManifest {
            digest: image.manifest.digest(),
            media_type: image.manifest.descriptor.media_type().clone(),
            size: image.manifest.descriptor.size(),
            config: LockedConfig::new(image.config.digest(), &image.config.value),
        };
        let entry = LockedImage {
            digest: digest(&root)?,
            media_type: root.media_type().clone(),
            platforms: [(PlatformName::of(platform), manifest)].into(),
        };
        self.with_lock(|memo| match source {
            Some(source) => memo.add_context(name, source, entry),
            None => memo.add_image(name, entry),
        });
        Ok(self.remember(name, found))
    }

    /// The image that the lock says, and no other.
    fn locked_image(
        &self,
        name: &str,
        platform: &Platform,
        way: &Way,
        manifest: &LockedManifest,
    ) -> Result<ResolvedImage, ResolveError> {
        let digest = &manifest.digest;
        let descriptor = Descriptor::new(
            manifest.media_type.clone(),
            manifest.size,
            oci_spec::image::Digest::from(digest),
        );
        let is_here = self.store.has(digest);
        let origin = match way {
            Way::At(format, text) => Origin::At(*format, text.clone()),
            Way::Reference(reference) if self.contexts.registries.is_some() => {
                Origin::Registry(reference.into(), descriptor)
            }
            Way::Reference(_) if is_here => Origin::Store(descriptor),
            Way::Reference(_) => {
                return Err(ResolveError::Offline { name: format!("{name}@{digest}") });
            }
        };
        let found = self
            .read_image(name, platform, origin)
            .map_err(|error| gone(name, digest, way.place(), error))?;
        let image = &found.image;
        if image.manifest.digest() != *digest {
            return Err(ResolveError::Moved {
                name: name.to_owned(),
                locked: digest.clone(),
                place: way.place(),
                found: image.manifest.digest(),
            });
        }
        if LockedConfig::new(image.config.digest(), &image.config.value) != manifest.config {
            return Err(ResolveError::OtherConfig { name: name.to_owned(), digest: digest.clone() });
        }
        Ok(self.remember(name, found))
    }

    /// What the source policy has for an image; the same without one.
    pub(super) fn by_policy(&self, name: &str, reference: &Reference) -> Result<Reference, ResolveError> {
        let Some(policy) = &self.contexts.policy else { return Ok(reference.clone()) };
        policy.image(reference).map_err(|error| other(name, error))
    }

    fn remember(&self, name: &str, found: Found) -> ResolvedImage {
        let pinned = Pinned { name: name.to_owned(), digest: found.image.manifest.digest() };
        let config = found.image.config.value.clone();
        lock(&self.images).insert(pinned.digest.clone(), found);
        ResolvedImage { pinned, config }
    }

    /// Pins a URL by the lock, if there is one.
    pub(super) fn url_by_lock(&self, url: &mut Url) -> Result<(), ResolveError> {
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
        let (digest, size) = self.fetch_new(&url.url, said.as_ref()).map_err(|error| other(&name, error))?;
        url.digest = Pin::Pinned(digest.clone());
        self.with_lock(|memo| memo.add_url(name, LockedUrl { digest, size }));
        Ok(())
    }

    /// Pins a git reference by the lock, if there is one.
    pub(super) fn git_by_lock(&self, git: &mut Git) -> Result<(), ResolveError> {
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
            true => Some(self.new_archive(git, &commit).map_err(|error| other(&name, error))?),
            false => None,
        };
        self.with_lock(|memo| memo.add_git(name, LockedGit { commit: commit.clone(), archive }));
        Ok(commit)
    }
}

/// The source policy and the lock have to agree.
fn check_policy(
    name: &str,
    known: &LockedImage,
    platform: &PlatformName,
    said: &Reference,
) -> Result<(), ResolveError> {
    let manifest = known.manifest(platform).map(|manifest| &manifest.digest);
    match said.digest() {
        Some(digest) if *digest != known.digest && Some(digest) != manifest => {
            Err(against_policy(name, &known.digest, digest.clone()))
        }
        _ => Ok(()),
    }
}

fn against_policy(name: &str, locked: &Digest, found: Digest) -> ResolveError {
    let place = "the source policy (or the name)".to_owned();
    ResolveError::Moved { name: name.to_owned(), locked: locked.clone(), place, found }
}

fn shown_path(memo: &Memo) -> String {
    memo.path().map_or_else(|| "(in memory)".to_owned(), |path| shown(&path.display()))
}

/// Whether its files are all that is wanted of a commit.
pub(super) fn is_archived(git: &Git) -> bool {
    git.submodules && !git.keep_git_dir
}

fn other(name: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> ResolveError {
    ResolveError::Other { name: name.to_owned(), source: source.into() }
}

fn gone(name: &str, digest: &Digest, place: String, error: ResolveError) -> ResolveError {
    // What went wrong counts; that it happened while resolving is said already.
    let source = match error {
        ResolveError::Other { source, .. } | ResolveError::Registry { source, .. } => source,
        error => error.into(),
    };
    ResolveError::Gone { name: name.to_owned(), digest: digest.clone(), place, source }
}

fn scheme(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::OciLayout => "oci-layout",
        ImageFormat::OciArchive => "oci-archive",
        ImageFormat::DockerArchive => "docker-archive",
    }
}
