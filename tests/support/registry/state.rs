//! What the registry holds.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    next_upload: u64,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Repository {
    /// By digest.
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// By digest.
    pub(crate) manifests: BTreeMap<String, Manifest>,
    /// The digests of the tags.
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Upload {
    pub(crate) repository: String,
    pub(crate) bytes: Vec<u8>,
    /// A chunk came that was smaller than the least.
    pub(crate) small: bool,
}

impl State {
    pub(crate) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Puts a blob there; gives its digest.
    pub(crate) fn put_blob(&mut self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.repository(repository).blobs.insert(digest.clone(), bytes.to_vec());
        digest
    }

    /// Puts a manifest there, whatever it says; gives its digest.
    pub(crate) fn put_manifest(
        &mut self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> String {
        let digest = sha256(bytes);
        let repository = self.repository(repository);
        let manifest = Manifest { media_type: media_type.to_owned(), bytes: bytes.to_vec() };
        repository.manifests.insert(digest.clone(), manifest);
        repository.tags.insert(tag.to_owned(), digest.clone());
        digest
    }

    pub(super) fn start_upload(&mut self, repository: &str) -> String {
        self.next_upload += 1;
        let id = format!("upload-{}", self.next_upload);
        let upload = Upload { repository: repository.to_owned(), ..Upload::default() };
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// The blobs of a repository, by digest.
    pub(crate) fn blobs(&self, repository: &str) -> Vec<String> {
        self.repositories.get(repository).map(|r| r.blobs.keys().cloned().collect()).unwrap_or_default()
    }

    /// The digest that a tag has.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        self.repositories.get(repository)?.tags.get(tag).cloned()
    }

    /// Everything is what its digest says, and every manifest has what it names.
    #[track_caller]
    pub(crate) fn check(&self) {
        for (name, repository) in &self.repositories {
            for (digest, bytes) in &repository.blobs {
                assert_eq!(*digest, sha256(bytes), "a blob of `{name}`");
            }
            for (digest, manifest) in &repository.manifests {
                assert_eq!(*digest, sha256(&manifest.bytes), "a manifest of `{name}`");
                assert_eq!(
                    repository.missing(&manifest.bytes),
                    Vec::<String>::new(),
                    "`{digest}` of `{name}`"
                );
            }
            for (tag, digest) in &repository.tags {
                assert!(repository.manifests.contains_key(digest), "tag `{tag}` of `{name}`");
            }
        }
    }
}

impl Repository {
    /// What a manifest names and the repository hasn't got.
    pub(super) fn missing(&self, manifest: &[u8]) -> Vec<String> {
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(manifest) else { return Vec::new() };
        let list = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        let digest = |descriptor: &serde_json::Value| descriptor["digest"].as_str().map(str::to_owned);
        let own = |descriptor: &serde_json::Value| descriptor.get("urls").is_none();
        let layers = list("layers").into_iter().filter(own);
        let config = value.get("config").cloned();
        let blobs = layers.chain(config).filter_map(|d| digest(&d)).filter(|d| !self.blobs.contains_key(d));
        let manifests = list("manifests").into_iter().filter_map(|d| digest(&d));
        blobs.chain(manifests.filter(|d| !self.manifests.contains_key(d))).collect()
    }
}

/// With its algorithm, as digests are written.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
