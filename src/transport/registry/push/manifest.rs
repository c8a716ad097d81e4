//! Manifests and indexes.

use serde::Deserialize;
use ureq::http::Method;

use super::RegistrySink;
use crate::image::Artifact;
use crate::oci::{Descriptor, Digest};
use crate::transport::TransportError;
use crate::transport::registry::ask::expect_digest;
use crate::transport::registry::call::{Body, Call};
use crate::transport::registry::{Registries, RegistryError, Repository};

impl RegistrySink<'_> {
    /// Puts the artifact's own document there under a tag or its digest. What it refers to is there.
    pub(super) fn put_manifest(&self, artifact: &Artifact, name: &str) -> Result<(), TransportError> {
        let (descriptor, bytes) = document(artifact);
        let repository = &self.repository;
        let keeps_referrers = self.registries.put_document(repository, descriptor, bytes, name)?;
        if !keeps_referrers && let Some((subject, referrer)) = referrer(descriptor, bytes) {
            self.registries.add_to_fallback(repository, &subject, &referrer)?;
        }
        Ok(())
    }
}

impl Registries {
    /// Gives a tag to a manifest or index that a repository has, whatever the tag stood for before. One request.
    pub fn tag(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        bytes: &[u8],
        tag: &str,
    ) -> Result<(), RegistryError> {
        self.put_document(repository, descriptor, bytes, tag).map(drop)
    }

    /// Whether the registry keeps the list of the subject's referrers by itself.
    fn put_document(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        bytes: &[u8],
        name: &str,
    ) -> Result<bool, RegistryError> {
        let sign = if name.contains(':') { '@' } else { ':' };
        let doing = format!("pushing `{repository}{sign}{name}`");
        let call = Call::at(Method::PUT, repository, format!("manifests/{name}"), &doing).pushing();
        let answer = self.call(call.body(descriptor.media_type().as_ref(), Body::Bytes(bytes)))?;
        let (said, keeps_referrers) = (answer.digest(), answer.header("oci-subject").is_some());
        answer.drain();
        let found = match said {
            Some(said) => said,
            None => self
                .digest_at(repository, name)?
                .ok_or_else(|| RegistryError::lost(&doing, repository, "the manifest is not there"))?,
        };
        let own = Digest::try_from(descriptor.digest())
            .map_err(|error| RegistryError::protocol(&doing, repository, error.to_string()))?;
        expect_digest(&doing, repository, &own, &found)?;
        Ok(keeps_referrers)
    }
}

fn document(artifact: &Artifact) -> (&Descriptor, &[u8]) {
    match artifact {
        Artifact::Image(image) => (&image.manifest.descriptor, &image.manifest.bytes),
        Artifact::Index(index) => (&index.document.descriptor, &index.document.bytes),
        Artifact::Other(manifest) => (&manifest.descriptor, &manifest.bytes),
    }
}

/// The subject of a manifest that has one, and the entry for the list of the subject's referrers (distribution-spec,
/// "Pushing Manifests with Subject").
fn referrer(descriptor: &Descriptor, bytes: &[u8]) -> Option<(Digest, Descriptor)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        subject: Option<Descriptor>,
        artifact_type: Option<String>,
        config: Option<Descriptor>,
        annotations: Option<std::collections::BTreeMap<String, String>>,
    }
    let document: Document = serde_json::from_slice(bytes).ok()?;
    let subject = Digest::try_from(document.subject?.digest()).ok()?;
    let mut entry =
        Descriptor::new(descriptor.media_type().clone(), descriptor.size(), descriptor.digest().clone());
    let config = || document.config.as_ref().map(|config| config.media_type().to_string());
    let artifact_type = document.artifact_type.clone().filter(|text| !text.is_empty()).or_else(config);
    entry.set_artifact_type(artifact_type.map(|text| text.as_str().into()));
    entry.set_annotations(document.annotations.map(|annotations| annotations.into_iter().collect()));
    Some((subject, entry))
}
