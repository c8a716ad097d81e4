//! An entry of a ledger, as a value and as an artifact.

use oci_spec::image::{DescriptorBuilder, ImageManifestBuilder};
use serde::{Deserialize, Serialize};

use super::{Break, Environment};
use crate::image::{Artifact, Document, Memory, descriptor};
use crate::oci::canonical::{self, CanonicalError};
use crate::oci::{Descriptor, Digest, Epoch, ImageManifest, MediaType};
use crate::text::shown;

/// What entries are.
pub const ARTIFACT_TYPE: &str = "application/vnd.lith.release.v1";
/// What an entry's one blob is.
const ENTRY_TYPE: &str = "application/vnd.lith.release.v1+json";
const EMPTY: &[u8] = b"{}";

/// One move of an environment, or a word about an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub environment: String,
    /// From 1; later ones have higher numbers, and there may be gaps.
    pub number: u64,
    #[serde(flatten)]
    pub kind: Kind,
    /// What the environment has from here on; of a mark, what it is about.
    pub image: Descriptor,
    /// The entry before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Descriptor>,
    /// Seconds since 1970.
    pub time: u64,
    pub actor: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the image was called when it was released.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where its source is, and at which revision, as the image says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The gates that it has passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// The digests of the statements that they were told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Digest>,
}

/// What an entry does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Kind {
    Release,
    /// Back to what the entry `to` had.
    Rollback {
        to: u64,
    },
    /// A word about the entry `of`. It moves nothing.
    Mark {
        of: u64,
        verdict: Verdict,
    },
    /// Says what the chain before it has lost, and where it goes on.
    Repair {
        breaks: Vec<Break>,
        /// Nothing that is left tells of the image: the environment's tag stood for it.
        adopts: bool,
    },
}

/// What is said of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Good,
    Bad,
}

impl Entry {
    /// Whether the environment's tag is moved by it.
    pub fn moves(&self) -> bool {
        !matches!(self.kind, Kind::Mark { .. } | Kind::Repair { adopts: false, .. })
    }

    pub fn digest(&self) -> String {
        self.image.digest().to_string()
    }

    /// The artifact of it, with its blobs.
    pub(super) fn artifact(&self) -> Result<(Artifact, Memory), CanonicalError> {
        let bytes = canonical::to_vec(self)?;
        let mut blobs = Memory::default();
        let size = bytes.len() as u64;
        let layer = descriptor(ENTRY_TYPE.into(), &blobs.put(bytes), size);
        let config = descriptor(MediaType::EmptyJSON, &blobs.put(EMPTY.to_vec()), EMPTY.len() as u64);
        let subject = bare(&self.image);
        let created = Epoch::from_seconds(self.time).unwrap_or_default().rfc3339();
        let annotations = [
            ("org.opencontainers.image.created".to_owned(), created),
            ("dev.lith.release.environment".into(), self.environment.clone()),
            ("dev.lith.release.number".into(), self.number.to_string()),
        ];
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .artifact_type(MediaType::from(ARTIFACT_TYPE))
            .config(config)
            .layers(vec![layer])
            .subject(subject)
            .annotations(annotations)
            .build()
            .expect("the required fields are set");
        Ok((Artifact::Other(Document::write(manifest, MediaType::ImageManifest)?), blobs))
    }

    /// The blob of an entry's manifest; what is wrong with the manifest otherwise.
    pub(super) fn blob_of(manifest: &[u8]) -> Result<(Descriptor, Option<Digest>), String> {
        let manifest: ImageManifest = serde_json::from_slice(manifest).map_err(|error| shown(&error))?;
        let own = manifest.artifact_type().as_ref().map(ToString::to_string);
        if own.as_deref() != Some(ARTIFACT_TYPE) {
            return Err("it is no entry of a ledger".into());
        }
        let [layer] = &manifest.layers()[..] else { return Err("it has not one blob".into()) };
        let subject = manifest.subject().as_ref().map(|subject| Digest::try_from(subject.digest()));
        let subject = subject.transpose().map_err(|error| error.to_string())?;
        Ok((layer.clone(), subject))
    }

    /// Reads the blob, which is to be of this environment and about this image.
    pub(super) fn parse(
        bytes: &[u8],
        environment: &Environment,
        subject: Option<&Digest>,
    ) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(bytes).map_err(|error| shown(&error))?;
        if entry.environment != environment.tag() {
            return Err(format!("it is an entry of `{}`", shown(&entry.environment)));
        }
        let image = Digest::try_from(entry.image.digest()).map_err(|error| error.to_string())?;
        if subject != Some(&image) {
            return Err(format!("its subject is not its image `{image}`"));
        }
        if Epoch::from_seconds(entry.time).is_none() {
            return Err("its time is none".into());
        }
        Ok(entry)
    }
}

/// The three fields that name a thing, without what an index says of it.
pub(super) fn bare(descriptor: &Descriptor) -> Descriptor {
    DescriptorBuilder::default()
        .media_type(descriptor.media_type().clone())
        .digest(descriptor.digest().clone())
        .size(descriptor.size())
        .build()
        .expect("the required fields are set")
}
