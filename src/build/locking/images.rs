//! Images, by the lock: what it has is asked of the world by digest alone.

use super::{Depth, against_policy, moved};
use crate::build::images::{Origin, Way, other};
use crate::build::outside::Outside;
use crate::context::ContextSpec;
use crate::image::descriptor;
use crate::lock::{LockedConfig, LockedImage, LockedManifest, Memo, PlatformName, Policy};
use crate::oci::{Digest, Pinned, Platform, Reference};
use crate::plan::{ResolveError, ResolvedImage};

impl Outside {
    /// The image of a name, by the lock if there is one.
    pub(in crate::build) fn image_by_lock(
        &self,
        name: &str,
        platform: &Platform,
        depth: Depth,
    ) -> Result<ResolvedImage, ResolveError> {
        let way = self.way(name)?.ok_or_else(|| self.not_found(name))?;
        let Some(policy) = self.policy() else { return self.resolve_image(name, platform, &way) };
        let key = PlatformName::of(platform);
        let context = self.context_source(name);
        let known = self.with_lock(|memo| match &context {
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
            Some(manifest) => {
                let index = known.as_ref().map(|image| &image.digest);
                if let Some(index) = index.filter(|index| **index != manifest.digest)
                    && self.with_lock(|memo| memo.proves()) == Some(true)
                {
                    self.check_index(name, platform, &way, (index, manifest))?;
                }
                self.locked_image(name, platform, &way, manifest)
            }
            None if policy == Policy::Refuse => {
                let of_context = |memo: &mut Memo| Some(memo.lock().contexts.get(name)?.source.clone());
                let locked = self.with_lock(of_context).flatten().filter(|_| context.is_none());
                if let Some(context) = locked {
                    return Err(ResolveError::LockedContext { name: name.to_owned(), context });
                }
                let platform = known.map(|_| platform.clone());
                Err(ResolveError::NotLocked { name: name.to_owned(), platform })
            }
            None if policy == Policy::Look => self.resolve_image(name, platform, &way),
            None => self.new_image(name, platform, &way, known.as_ref(), context),
        }
    }

    /// How the lock tells what was given for a named context.
    fn context_source(&self, name: &str) -> Option<String> {
        match self.named(name)? {
            ContextSpec::ImageAt(format, _) => Some(format.scheme().to_owned()),
            ContextSpec::Image(reference) => Some(format!("docker-image://{}", reference.familiar())),
            _ => None,
        }
    }

    /// Resolves an image, and adds it to the lock.
    fn new_image(
        &self,
        name: &str,
        platform: &Platform,
        way: &Way,
        known: Option<&LockedImage>,
        context: Option<String>,
    ) -> Result<ResolvedImage, ResolveError> {
        let origin = match (way, known) {
            // Another platform of what is locked already is of the same index.
            (Way::Reference(reference), Some(LockedImage { digest, .. })) => {
                let found = self.look_up(name, &reference.with_digest(digest));
                found.map_err(|error| gone(name, digest, way, error))?
            }
            (Way::Reference(reference), None) => match self.look_up(name, reference) {
                Err(error) if self.contexts.pull => Some(self.only_here(reference, error)?),
                found => found?,
            },
            (Way::At(format, text), _) => Some(Origin::At(*format, text.clone())),
        };
        let origin = origin.ok_or_else(|| self.not_found(name))?;
        let root = self.root_of(name, &origin)?;
        let found = self.read_image(name, platform, origin)?;
        let image = &found.image;
        let manifest = LockedManifest {
            digest: image.manifest.digest(),
            media_type: image.manifest.descriptor.media_type().clone(),
            size: image.manifest.descriptor.size(),
            config: LockedConfig::new(image.config.digest(), &image.config.value),
        };
        let entry = LockedImage {
            digest: Digest::try_from(root.digest()).map_err(|error| other(name, error))?,
            media_type: root.media_type().clone(),
            platforms: [(PlatformName::of(platform), manifest)].into(),
        };
        self.with_lock(|memo| match context {
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
        let descriptor = descriptor(manifest.media_type.clone(), digest, manifest.size);
        let origin = match way {
            Way::At(format, text) => Origin::At(*format, text.clone()),
            Way::Reference(reference) if self.contexts.registries.is_some() => {
                Origin::Registry(reference.into(), descriptor)
            }
            Way::Reference(_) if self.store.has(digest) => Origin::Store(descriptor),
            Way::Reference(_) => {
                return Err(ResolveError::Offline { name: format!("{name}@{digest}") });
            }
        };
        let found =
            self.read_image(name, platform, origin).map_err(|error| gone(name, digest, way, error))?;
        let image = &found.image;
        if image.manifest.digest() != *digest {
            return Err(moved(name, digest, place(way), image.manifest.digest()));
        }
        if LockedConfig::new(image.config.digest(), &image.config.value) != manifest.config {
            return Err(ResolveError::OtherConfig { name: name.to_owned(), digest: digest.clone() });
        }
        Ok(self.remember(name, found))
    }

    /// Whether the index that a lock names leads to the image that it names. A build needs no index, and takes the lock's
    /// word for what it is.
    fn check_index(
        &self,
        name: &str,
        platform: &Platform,
        way: &Way,
        (index, manifest): (&Digest, &LockedManifest),
    ) -> Result<(), ResolveError> {
        let gone = |error| gone(name, index, way, error);
        let origin = match way {
            Way::At(format, text) => Origin::At(*format, text.clone()),
            Way::Reference(reference) => {
                let found = self.look_up(name, &reference.with_digest(index)).map_err(gone)?;
                found.ok_or_else(|| gone(self.not_found(name)))?
            }
        };
        let root = self.root_of(name, &origin)?;
        let root = Digest::try_from(root.digest()).map_err(|error| other(name, error))?;
        if root != *index {
            return Err(moved(name, index, place(way), root));
        }
        let found = self.read_image(name, platform, origin).map_err(gone)?.image.manifest.digest();
        if found != manifest.digest {
            return Err(moved(name, &manifest.digest, format!("the index {index}"), found));
        }
        Ok(())
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

fn gone(name: &str, digest: &Digest, way: &Way, error: ResolveError) -> ResolveError {
    // What went wrong counts; that it happened while resolving is said already.
    let source = match error {
        ResolveError::Other { source, .. } | ResolveError::Registry { source, .. } => source,
        error @ ResolveError::Unauthorized { .. } => return error,
        error => error.into(),
    };
    ResolveError::Gone { name: name.to_owned(), digest: digest.clone(), place: place(way), source }
}

/// Where the image is, in words.
fn place(way: &Way) -> String {
    match way {
        Way::Reference(reference) => format!("the store or `{}`", reference.registry()),
        Way::At(format, _) => format!("the {}", format.scheme()),
    }
}
