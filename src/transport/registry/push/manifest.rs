//! Manifests and indexes.

use serde::Deserialize;
use ureq::http::Method;

use super::RegistrySink;
use crate::image::Artifact;
use crate::oci::{Descriptor, Digest};
use crate::transport::TransportError;
use crate::transport::registry::RegistryError;
use crate::transport::registry::ask::expect_digest;
use crate::transport::registry::call::{Body, Call};

impl RegistrySink<'_> {
    /// Puts the artifact's own document there under a tag or its digest. What it refers to is there.
    pub(super) fn put_manifest(&self, artifact: &Artifact, name: &str) -> Result<(), TransportError> {
        let (descriptor, bytes) = document(artifact);
        let repository = &self.repository;
        let sign = if name.contains(':') { '@' } else { ':' };
        let doing = format!("pushing `{repository}{sign}{name}`");
        let call = Call::at(Method::PUT, repository, format!("manifests/{name}"), &doing).pushing();
        let answer = self.registries.call(call.body(descriptor.media_type().as_ref(), Body::Bytes(bytes)))?;
        let (said, keeps_referrers) = (answer.digest(), answer.header("oci-subject").is_some());
        answer.drain();
        let found = match said {
            Some(said) => said,
            None => self
                .registries
                .digest_at(repository, name)?
                .ok_or_else(|| RegistryError::lost(&doing, repository, "the manifest is not there"))?,
        };
        expect_digest(&doing, repository, &artifact.digest(), &found)?;
        if !keeps_referrers && let Some((subject, referrer)) = referrer(descriptor, bytes) {
            self.registries.add_to_fallback(repository, &subject, &referrer)?;
        }
        Ok(())
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
