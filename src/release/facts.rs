//! What is known of an image that is to be released.

use super::Evidence;
use crate::attest::provenance::SourceRef;
use crate::image::Artifact;

const SOURCE: &str = "org.opencontainers.image.source";
const REVISION: &str = "org.opencontainers.image.revision";

/// All that gates look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// As the image says; where it doesn't, as the record of its build does.
    pub source: Option<String>,
    pub revision: Option<String>,
    pub evidence: Evidence,
    /// When the environment before it got the image, if it did and nobody marked it bad there.
    pub since: Option<u64>,
}

impl Facts {
    pub fn of(image: &Artifact, evidence: Evidence) -> Self {
        let built_from = evidence.sources.first();
        let source = said(image, SOURCE).or_else(|| built_from.and_then(|source| source.remote.clone()));
        let revision = said(image, REVISION).or_else(|| built_from.map(told));
        Self { source, revision, evidence, since: None }
    }
}

/// A commit, and whether that is all.
fn told(source: &SourceRef) -> String {
    if source.dirty { format!("{}-dirty", source.commit) } else { source.commit.clone() }
}

/// What the index says or else each of its images, in annotations or else labels. None where they differ.
fn said(artifact: &Artifact, key: &str) -> Option<String> {
    if let Artifact::Index(index) = artifact
        && let Some(value) = index.document.value.annotations().as_ref().and_then(|all| all.get(key))
    {
        return Some(value.clone());
    }
    let images = artifact.images();
    let of = |image: &&crate::image::Image| {
        let annotation = image.manifest.value.annotations().as_ref().and_then(|all| all.get(key));
        annotation.or_else(|| image.config.value.config.labels.get(key)).cloned()
    };
    let first = images.first().and_then(of)?;
    images.iter().all(|image| of(image).as_ref() == Some(&first)).then_some(first)
}
