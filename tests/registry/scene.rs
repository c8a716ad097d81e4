//! A registry, lith's way to it, an image and an empty store.

use std::error::Error;
use std::io::Read as _;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use lith::http::Http;
use lith::image::{Artifact, Memory};
use lith::oci::{Descriptor, Digest, Reference, Repository};
use lith::store::{Store, fsck};
use lith::transport::registry::{
    Credential, Keychain, KeychainError, NoKeychain, PushOptions, Registries, RegistrySink, RegistrySource,
    Retry, Settings,
};
use lith::transport::{Sink as _, StoreSink, TransportError, copy};

use crate::support::registry::{Options, Registry};

pub(crate) const REPOSITORY: &str = "team/app";

pub(crate) struct Scene {
    pub(crate) registry: Registry,
    pub(crate) registries: Registries,
    pub(crate) store: Store,
    pub(crate) blobs: Memory,
    pub(crate) artifact: Artifact,
    pub(crate) dir: tempfile::TempDir,
}

/// What a copy came to.
pub(crate) type Outcome = Result<Digest, TransportError>;

impl Scene {
    /// With an image of layers of these sizes.
    pub(crate) fn new(options: Options, layers: &[usize]) -> Self {
        Self::with_keychain(options, layers, Arc::new(NoKeychain))
    }

    pub(crate) fn with_keychain(options: Options, layers: &[usize], keychain: Arc<dyn Keychain>) -> Self {
        let mut blobs = Memory::default();
        let layers: Vec<_> = (1..).zip(layers.iter().copied()).collect();
        let artifact = super::images::artifact(&mut blobs, &layers);
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let registries = Registries::new(settings(), keychain);
        Self { registry: Registry::with(options), registries, store, blobs, artifact, dir }
    }

    pub(crate) fn name(&self) -> Reference {
        reference(&self.registry.name(REPOSITORY))
    }

    /// Puts the image into the registry by hand.
    pub(crate) fn stock(&self) {
        stock(&self.registry, REPOSITORY, &self.artifact, &self.blobs);
    }

    pub(crate) fn pull(&self) -> Outcome {
        pull(&self.registries, &self.name(), &self.store)
    }

    pub(crate) fn push(&self) -> Outcome {
        push(&self.registries, &self.name(), &self.artifact, &self.blobs, PushOptions::default())
    }

    /// Pushes the image to another repository.
    pub(crate) fn push_other(&self) -> Outcome {
        let name = reference(&self.registry.name("team/other"));
        push(&self.registries, &name, &self.artifact, &self.blobs, PushOptions::default())
    }

    /// The blob of a layer.
    pub(crate) fn layer(&self, number: usize) -> &Descriptor {
        self.artifact.contents()[number]
    }

    /// The store has nothing that is not what its name says, nothing that isn't the image's, and no name for a part.
    #[track_caller]
    pub(crate) fn check_store(&self, whole: bool) {
        assert_eq!(fsck::check(&self.store, 1).unwrap(), [], "fsck");
        let mut known = super::images::contents(&self.artifact);
        known.extend(self.artifact.documents().iter().map(|(document, _)| document.digest().to_string()));
        let there = blobs_of(&self.store);
        assert!(there.iter().all(|digest| known.contains(digest)), "{there:?} are more than {known:?}");
        let resolved = self.store.resolve(&self.name()).unwrap().map(|image| image.digest().to_string());
        let expected = whole.then(|| self.artifact.digest().to_string());
        assert_eq!(resolved, expected, "what the name stands for");
        assert!(
            !whole || known.iter().all(|digest| there.contains(digest)),
            "{there:?} are less than {known:?}"
        );
    }

    /// The registry has only what is right, and the tag only for the whole.
    #[track_caller]
    pub(crate) fn check_registry(&self, whole: bool) {
        let state = self.registry.state();
        state.check();
        let tag = state.tag(REPOSITORY, "1");
        if whole {
            assert_eq!(tag, Some(self.artifact.digest().to_string()));
        }
    }
}

/// Quick to give up.
pub(crate) fn settings() -> Settings {
    let http = Http { patience: Duration::from_millis(700), ..Http::default() };
    let retry = Retry {
        tries: 4,
        total: Duration::from_secs(6),
        pause: Duration::from_millis(10),
        commit: Duration::from_secs(4),
    };
    Settings { http, retry, ..Settings::default() }
}

pub(crate) fn reference(name: &str) -> Reference {
    let tagged =
        if name.rsplit('/').next().unwrap().contains([':', '@']) { name.into() } else { format!("{name}:1") };
    tagged.parse().unwrap()
}

pub(crate) fn pull(registries: &Registries, name: &Reference, store: &Store) -> Outcome {
    let source = RegistrySource::open(registries, name)?.ok_or_else(|| absent(name))?;
    copy(&source, &mut StoreSink::new(store, vec![name.clone()]), None)
}

fn absent(name: &Reference) -> TransportError {
    let error = std::io::ErrorKind::NotFound.into();
    TransportError::Io { what: format!("absent: `{name}`"), error }
}

pub(crate) fn push(
    registries: &Registries,
    name: &Reference,
    artifact: &Artifact,
    blobs: &Memory,
    options: PushOptions,
) -> Outcome {
    let tags = name.tag().map(str::to_owned).into_iter().collect();
    RegistrySink::new(registries, Repository::from(name), tags, options).put(artifact, blobs)
}

/// Puts an image or index into a registry by hand, as tag `1`.
pub(crate) fn stock(registry: &Registry, repository: &str, artifact: &Artifact, blobs: &Memory) {
    let mut state = registry.state();
    for blob in artifact.contents() {
        state.put_blob(repository, &read(blobs, blob));
    }
    for image in artifact.images() {
        state.put_blob(repository, &image.config.bytes);
        let document = &image.manifest;
        state.put_manifest(repository, "part", document.descriptor.media_type().as_ref(), &document.bytes);
    }
    let (root, bytes) = *artifact.documents().last().unwrap();
    state.put_manifest(repository, "1", root.media_type().as_ref(), bytes);
    state.repository(repository).tags.remove("part");
}

fn read(blobs: &Memory, blob: &Descriptor) -> Vec<u8> {
    let mut bytes = Vec::new();
    lith::image::Blobs::open(blobs, blob).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The digests of a store's blobs.
pub(crate) fn blobs_of(store: &Store) -> Vec<String> {
    let folder = store.root().join("blobs/sha256");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| format!("sha256:{}", entry.unwrap().file_name().to_str().unwrap())).collect()
}

/// An error with all its causes.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Runs `work`, which must end in time.
#[track_caller]
pub(crate) fn within<T: Send + 'static>(
    seconds: u64,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = channel();
    let thread = thread::spawn(move || sender.send(work()).ok());
    match receiver.recv_timeout(Duration::from_secs(seconds)) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("{what}: no end after {seconds} seconds"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(_) => panic!("{what}: no result"),
        },
    }
}

/// Now, to the next whole second, as HTTP writes dates.
pub(crate) fn soon() -> String {
    let at = jiff::Timestamp::now() + Duration::from_secs(1);
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap()
}

/// One credential, for one host.
#[derive(Debug)]
pub(crate) struct OneHost {
    pub(crate) registry: String,
    pub(crate) credential: Credential,
}

impl Keychain for OneHost {
    fn find(&self, registry: &str, _: &str) -> Result<Option<Credential>, KeychainError> {
        Ok((registry == self.registry).then(|| self.credential.clone()))
    }
}
