//! Base images: where they are looked for, and how much of them is brought here.
//!
//! While planning, an image's documents come into the store. Its layers follow in the fetch hop, if somebody reads
//! them: a step, or an output that is here. Those that only a push needs stay where they are, and the push takes them
//! from there.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use super::outside::{Outside, OutsideError, lock};
use crate::context::ContextSpec;
use crate::exec::{Event, Report, Reported, stages_read};
use crate::image::{Blobs, Image, LoadError, digest_of, is_index, not_found};
use crate::oci::{Descriptor, Digest, Pinned, Platform, Reference, Repository};
use crate::plan::{Base, Plan, ResolveError, ResolvedImage, Stage, TreeRef};
use crate::store::Store;
use crate::transport::registry::{Registries, RegistryError, RegistrySource};
use crate::transport::{
    ImageFormat, Source, StoreSource, TransportError, Watched, import_documents, import_layers, put_blob,
};

/// An image that planning has found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) image: Arc<Image>,
    origin: Origin,
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
    pub(super) fn resolve_image(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        let origin = match self.named(name) {
            Some(ContextSpec::ImageAt(format, text)) => Some(Origin::At(*format, text.clone())),
            Some(ContextSpec::Image(reference)) => self.look_up(name, &self.by_policy(name, reference)?)?,
            Some(_) => None,
            None => self.look_up(name, &self.by_policy(name, &name.parse()?)?)?,
        };
        let origin = origin.ok_or_else(|| self.not_found(name))?;
        let found = self.read_image(name, platform, origin)?;
        let pinned = Pinned { name: name.to_owned(), digest: found.image.manifest.digest() };
        let config = found.image.config.value.clone();
        lock(&self.images).insert(pinned.digest.clone(), found);
        Ok(ResolvedImage { pinned, config })
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
            image => Ok(Found { image: Arc::new(image.map_err(|error| other(name, error))?), origin }),
        }
    }

    /// The index, or the manifest, that a name stands for.
    pub(super) fn root_of(&self, name: &str, origin: &Origin) -> Result<Descriptor, ResolveError> {
        match origin {
            Origin::Store(root) | Origin::Registry(_, root) => Ok(root.clone()),
            Origin::At(..) => {
                let source = self.image_source(origin).map_err(|error| other(name, error))?;
                Ok(source.root().clone())
            }
        }
    }

    /// The store and then the registry; for a tag the registry alone, if the newest is asked for.
    pub(super) fn look_up(&self, name: &str, reference: &Reference) -> Result<Option<Origin>, ResolveError> {
        let here = |root| Ok(Some(Origin::Store(root)));
        let other = |error: crate::store::StoreError| other(name, error.into());
        let Some(registries) = &self.contexts.registries else {
            let root = match reference.digest() {
                Some(digest) => self.store.manifest(digest),
                None => self.store.resolve(reference),
            };
            return root.map_err(other)?.map_or(Ok(None), here);
        };
        if let Some(digest) = reference.digest() {
            // Whatever the name, and however little of it is here: nobody need be asked what a digest stands for.
            if let Some(root) = self.store.manifest(digest).map_err(other)? {
                return Ok(Some(Origin::Registry(reference.into(), root)));
            }
        } else if !self.contexts.pull
            && let Some(root) = self.store.resolve(reference).map_err(other)?
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
            let (name, source) = (name.to_owned(), error.into());
            match self.contexts.pull && reference.digest().is_none() {
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
        let found = self.store.resolve(reference).map_err(|error| other(&name, error.into()))?;
        let repository = Repository::from(reference);
        // Of an image that was pulled or pushed, the layers or the index are known to be there.
        let is_from_there = |root: &Descriptor| {
            let blobs = super::vendored::parts(&self.store, root)?;
            let digests = blobs.iter().chain([root]).filter_map(|blob| Digest::try_from(blob.digest()).ok());
            Ok(digests.into_iter().any(|digest| self.store.origins_of(&digest).contains(&repository)))
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

    fn image_source(&self, origin: &Origin) -> Result<Box<dyn Source + '_>, OutsideError> {
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
        if self.with_lock(|memo| memo.path().is_some()) == Some(true) {
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

    /// All that is in what was built: from the store, or from where its base is.
    pub fn blobs(&self) -> Result<BuiltBlobs<'_>, OutsideError> {
        let images = lock(&self.images);
        let is_elsewhere =
            |found: &&Found| found.image.layers.iter().any(|layer| !self.store.has(&layer.digest()));
        let sources = images.values().filter(is_elsewhere).map(|Found { image, origin }| {
            let layers = image.layers.iter().map(crate::layer::Layer::digest).collect();
            Ok((layers, self.image_source(origin)?))
        });
        Ok(BuiltBlobs { store: &self.store, bases: sources.collect::<Result<_, OutsideError>>()? })
    }
}

fn other(name: &str, error: OutsideError) -> ResolveError {
    ResolveError::Other { name: name.to_owned(), source: error.into() }
}

fn images_used(stage: &Stage) -> impl Iterator<Item = &Pinned> {
    stage.trees_used().filter_map(|tree| match tree {
        TreeRef::Image(pinned) => Some(pinned),
        TreeRef::Context(_) | TreeRef::Stage(_) | TreeRef::Empty => None,
    })
}

/// An image of a registry, of which the store may have something, and gets each document that is read.
struct Cached<'a> {
    store: &'a Store,
    source: RegistrySource<'a>,
}

impl Blobs for Cached<'_> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let is_here = self.store.has(&digest_of(blob)?);
        if !is_here && is_index(blob) {
            // Manifests and configs are put there by those who read them; of an index only one image is.
            put_blob(self.store, &self.source, blob).map_err(io::Error::other)?;
            return Blobs::open(self.store, blob);
        }
        if is_here { Blobs::open(self.store, blob) } else { self.source.open(blob) }
    }

    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        if self.store.has(&digest_of(blob)?) || is_index(blob) {
            return self.open(blob);
        }
        self.source.open_unverified(blob)
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        self.source.origins(blob)
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        self.store.file(blob)
    }
}

impl Source for Cached<'_> {
    fn root(&self) -> &Descriptor {
        self.source.root()
    }
}

/// The blobs of what was built.
pub struct BuiltBlobs<'a> {
    store: &'a Store,
    /// The layers of each base, and where they are.
    bases: Vec<(BTreeSet<Digest>, Box<dyn Source + 'a>)>,
}

impl std::fmt::Debug for BuiltBlobs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuiltBlobs").field("store", self.store).finish_non_exhaustive()
    }
}

impl BuiltBlobs<'_> {
    fn base(&self, digest: &Digest) -> Option<&dyn Source> {
        self.bases.iter().find(|(layers, _)| layers.contains(digest)).map(|(_, source)| &**source)
    }
}

impl Blobs for BuiltBlobs<'_> {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        if self.store.has(&digest) {
            return Blobs::open(self.store, blob);
        }
        self.base(&digest).ok_or_else(|| not_found(&digest))?.open(blob)
    }

    fn open_unverified(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        match self.base(&digest) {
            Some(base) if !self.store.has(&digest) => base.open_unverified(blob),
            _ => self.open(blob),
        }
    }

    fn origins(&self, blob: &Descriptor) -> Vec<Repository> {
        let Ok(digest) = digest_of(blob) else { return Vec::new() };
        let mut origins = self.base(&digest).map(|base| base.origins(blob)).unwrap_or_default();
        origins.extend(self.store.origins(blob));
        origins.dedup();
        origins
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        self.store.file(blob)
    }
}
