//! Base images: where they are looked for, and how much of them is brought here.
//!
//! While planning, an image's documents come into the store. Its layers follow in the fetch hop, if somebody reads
//! them: a step, or an output that is here. Those that only a push needs stay where they are, and the push takes them
//! from there.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use super::blobs::Cached;
use super::outside::{Outside, OutsideError, lock};
use crate::context::ContextSpec;
use crate::exec::{Event, Report, Reported, stages_read};
use crate::image::{Blobs as _, Image, LoadError};
use crate::oci::{Descriptor, Pinned, Platform, Reference, Repository};
use crate::plan::{Base, Plan, ResolveError, ResolvedImage, Stage, TreeRef};
use crate::transport::registry::{Registries, RegistryError, RegistrySource};
use crate::transport::{
    ImageFormat, Source, StoreSource, TransportError, Watched, import_documents, import_layers,
};

/// How a name leads to an image.
pub(super) enum Way {
    /// By its own name, or by that of a `docker-image://` context.
    Reference(Reference),
    At(ImageFormat, String),
}

/// An image that planning has found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) image: Arc<Image>,
    pub(super) origin: Origin,
}

/// Where it was found.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    At(ImageFormat, String),
    Store(Descriptor),
    /// What the store has of it is taken from there.
    Registry(Repository, Descriptor),
}

impl Outside {
    /// Where a name leads; nowhere, if it is that of a context with other files.
    pub(super) fn way(&self, name: &str) -> Result<Option<Way>, ResolveError> {
        let reference = match self.named(name) {
            Some(ContextSpec::ImageAt(format, text)) => return Ok(Some(Way::At(*format, text.clone()))),
            Some(ContextSpec::Image(reference)) => reference.clone(),
            Some(_) => return Ok(None),
            None => name.parse()?,
        };
        let Some(policy) = &self.contexts.policy else { return Ok(Some(Way::Reference(reference))) };
        let said = policy.image(&reference).map_err(|error| other(name, error))?;
        Ok(Some(Way::Reference(said)))
    }

    pub(super) fn resolve_image(
        &self,
        name: &str,
        platform: &Platform,
        way: &Way,
    ) -> Result<ResolvedImage, ResolveError> {
        let origin = match way {
            Way::At(format, text) => Some(Origin::At(*format, text.clone())),
            Way::Reference(reference) => self.look_up(name, reference)?,
        };
        let origin = origin.ok_or_else(|| self.not_found(name))?;
        Ok(self.remember(name, self.read_image(name, platform, origin)?))
    }

    pub(super) fn remember(&self, name: &str, found: Found) -> ResolvedImage {
        let pinned = Pinned { name: name.to_owned(), digest: found.image.manifest.digest() };
        let config = found.image.config.value.clone();
        lock(&self.images).insert(pinned.digest.clone(), found);
        ResolvedImage { pinned, config }
    }

    pub(super) fn not_found(&self, name: &str) -> ResolveError {
        let name = name.to_owned();
        if self.contexts.offline { ResolveError::Offline { name } } else { ResolveError::NotFound { name } }
    }

    /// Brings the documents of an image here.
    pub(super) fn read_image(
        &self,
        name: &str,
        platform: &Platform,
        origin: Origin,
    ) -> Result<Found, ResolveError> {
        let read = || {
            let source = self.image_source(&origin)?;
            Ok::<_, OutsideError>(import_documents(&*source, &self.store, platform)?)
        };
        match read() {
            Err(OutsideError::Transport(TransportError::Load(LoadError::NoPlatform {
                wanted,
                available,
            }))) => {
                let found = available.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(ResolveError::NoPlatform { name: name.to_owned(), wanted, found })
            }
            image => Ok(Found { image: Arc::new(image.map_err(|error| failed(name, error))?), origin }),
        }
    }

    /// The index, or the manifest, that a name stands for.
    pub(super) fn root_of(&self, name: &str, origin: &Origin) -> Result<Descriptor, ResolveError> {
        match origin {
            Origin::Store(root) | Origin::Registry(_, root) => Ok(root.clone()),
            Origin::At(..) => {
                let source = self.image_source(origin).map_err(|error| failed(name, error))?;
                Ok(source.root().clone())
            }
        }
    }

    /// The store and then the registry; for a tag the registry alone, if the newest is asked for.
    pub(super) fn look_up(&self, name: &str, reference: &Reference) -> Result<Option<Origin>, ResolveError> {
        let here = |root| Ok(Some(Origin::Store(root)));
        let failed = |error| other(name, error);
        let Some(registries) = &self.contexts.registries else {
            let root = match reference.digest() {
                Some(digest) => self.store.manifest(digest),
                None => self.store.resolve(reference),
            };
            return root.map_err(failed)?.map_or(Ok(None), here);
        };
        if let Some(digest) = reference.digest() {
            // Whatever the name, and however little of it is here: nobody need be asked what a digest stands for.
            if let Some(root) = self.store.manifest(digest).map_err(failed)? {
                return Ok(Some(Origin::Registry(reference.into(), root)));
            }
        } else if !self.contexts.pull
            && let Some(root) = self.store.resolve(reference).map_err(failed)?
        {
            return here(root);
        }
        self.ask_registry(name, reference, registries).map(Some)
    }

    fn ask_registry(
        &self,
        name: &str,
        reference: &Reference,
        registries: &Registries,
    ) -> Result<Origin, ResolveError> {
        // One build gets one answer, however often and for how many platforms it asks.
        let asked = reference.to_string();
        if let Some(root) = lock(&self.asked).get(&asked) {
            return Ok(Origin::Registry(reference.into(), root.clone()));
        }
        let failed = |error: RegistryError| {
            let unauthorized = matches!(error, RegistryError::Unauthorized { .. });
            let (name, source) = (name.to_owned(), error.into());
            match self.contexts.pull && reference.digest().is_none() {
                _ if unauthorized => ResolveError::Unauthorized { name, source },
                true => ResolveError::Other { name, source },
                false => ResolveError::Registry { name, source },
            }
        };
        let root = registries.resolve(reference).map_err(failed)?;
        let root = root.ok_or_else(|| ResolveError::NotInRegistry {
            name: name.to_owned(),
            registry: reference.registry().to_owned(),
        })?;
        lock(&self.asked).insert(asked, root.clone());
        Ok(Origin::Registry(reference.into(), root))
    }

    /// The image that a registry was asked for in vain: the store's, if that was made here, or if the registry has none
    /// of that name.
    pub(super) fn only_here(
        &self,
        reference: &Reference,
        error: ResolveError,
    ) -> Result<Origin, ResolveError> {
        let name = reference.familiar();
        let found = self.store.resolve(reference).map_err(|error| other(&name, error))?;
        let repository = Repository::from(reference);
        // Of an image that was pulled or pushed, the layers or the index are known to be there.
        let is_from_there = |root: &Descriptor| -> Result<bool, OutsideError> {
            let blobs = super::vendored::parts(&self.store, root)?;
            Ok(blobs.iter().chain([root]).any(|blob| self.store.origins(blob).contains(&repository)))
        };
        let is_missing = matches!(error, ResolveError::NotInRegistry { .. });
        let is_local = match &found {
            Some(root) => is_missing || !is_from_there(root).map_err(|error| other(&name, error))?,
            None => false,
        };
        match found {
            Some(root) if is_local => {
                let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                lock(&self.local).insert(name, why);
                Ok(Origin::Store(root))
            }
            _ => Err(error),
        }
    }

    /// Says which images are the store's though a registry was to be asked.
    pub(super) fn tell_local(&self, report: &dyn Report) {
        for (name, why) in &*lock(&self.local) {
            let text = format!("note: `{name}` is the store's own image; no registry has it: {why}");
            report.report(Event::Input { text: &text });
        }
    }

    pub(super) fn image_source(&self, origin: &Origin) -> Result<Box<dyn Source + '_>, OutsideError> {
        Ok(match origin {
            Origin::At(format, text) => format.open(text)?,
            Origin::Store(root) => Box::new(StoreSource::new(&self.store, root.clone())),
            Origin::Registry(repository, root) => {
                let registries = self.contexts.registries.as_deref();
                let registries = registries.expect("the image was found with their help");
                let source = RegistrySource::new(registries, repository.clone(), root.clone());
                Box::new(Cached { store: &self.store, source })
            }
        })
    }

    pub(super) fn found(&self, pinned: &Pinned) -> Result<Found, OutsideError> {
        let images = lock(&self.images);
        let found =
            images.get(&pinned.digest).ok_or_else(|| OutsideError::NotFetched(pinned.name.clone()))?;
        Ok(found.clone())
    }

    /// Says what registries have answered for tags: it may be another answer the next time.
    pub(super) fn tell_unpinned(&self, report: &dyn Report) {
        if self.with_lock(|memo| memo.path().is_some() && !memo.is_inside()) == Some(true) {
            return;
        }
        let asked = lock(&self.asked);
        let names = asked.iter().filter_map(|(name, root)| Some((name.parse::<Reference>().ok()?, root)));
        let tags: Vec<_> = names.filter(|(name, _)| name.digest().is_none()).collect();
        for (name, root) in &tags {
            let (name, digest) = (name.familiar(), root.digest());
            let text = format!(
                "note: `{name}` is not pinned: another build may get another image; this one got {digest}"
            );
            report.report(Event::Input { text: &text });
        }
        if !tags.is_empty() {
            report.report(Event::Input {
                text: "note: `lith lock` pins what tags stand for, for all builds after it",
            });
        }
    }

    /// Brings the layers here that are read, or that go into the image; those not, if it is only to be pushed.
    pub(super) fn fetch_images(
        &self,
        plan: &Plan,
        pushed_only: bool,
        trees: bool,
        report: &dyn Report,
    ) -> Result<(), OutsideError> {
        let read = stages_read(plan, trees);
        let exported: BTreeSet<_> = plan.chain(plan.target).collect();
        for id in plan.needed() {
            let stage = plan.stage(id);
            let is_base_needed = read.contains(&id) || (exported.contains(&id) && !pushed_only);
            if let Base::Image(pinned) = &stage.base
                && is_base_needed
            {
                self.fetch_layers(pinned, report)?;
            }
            for pinned in images_used(stage) {
                self.fetch_layers(pinned, report)?;
            }
        }
        Ok(())
    }

    fn fetch_layers(&self, pinned: &Pinned, report: &dyn Report) -> Result<(), OutsideError> {
        let Found { image, origin } = self.found(pinned)?;
        let missing = image.layers.iter().any(|layer| !self.store.has(&layer.digest()));
        if !missing {
            return Ok(());
        }
        if self.contexts.offline && !matches!(origin, Origin::At(..)) {
            let what = format!("a layer of `{}@{}`", pinned.name, pinned.digest);
            return Err(OutsideError::Offline(what));
        }
        let source = self.image_source(&origin)?;
        match &origin {
            Origin::Registry(..) => {
                let reported = Reported(report);
                import_layers(&image, &Watched::new(&*source, &reported), &self.store)?;
            }
            Origin::At(..) | Origin::Store(_) => import_layers(&image, &*source, &self.store)?,
        }
        Ok(())
    }
}

pub(super) fn other(name: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> ResolveError {
    ResolveError::Other { name: name.to_owned(), source: source.into() }
}

/// What resolving a name has failed of.
pub(super) fn failed(name: &str, error: OutsideError) -> ResolveError {
    let name = name.to_owned();
    match error {
        error if error.is_offline() => ResolveError::Offline { name },
        error if error.is_unauthorized() => ResolveError::Unauthorized { name, source: error.into() },
        error => ResolveError::Other { name, source: error.into() },
    }
}

fn images_used(stage: &Stage) -> impl Iterator<Item = &Pinned> {
    stage.trees_used().filter_map(|tree| match tree {
        TreeRef::Image(pinned) => Some(pinned),
        TreeRef::Context(_) | TreeRef::Stage(_) | TreeRef::Empty => None,
    })
}
