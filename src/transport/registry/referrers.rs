//! What refers to a manifest as its subject.

use std::collections::BTreeMap;

use oci_spec::image::{ImageIndex, ImageIndexBuilder};
use ureq::http::Method;

use super::call::{Body, Call};
use super::{Registries, RegistryError, Repository};
use crate::http::encode;
use crate::image::MAX_MANIFEST;
use crate::oci::media_type::INDEX;
use crate::oci::{Descriptor, Digest, MediaType, canonical};
use crate::text::shown;

/// How often a list is written again that somebody else has overwritten.
const WRITES: u32 = 5;

impl Registries {
    /// The manifests that say `digest` is their subject, of one artifact type or of all.
    pub fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let mut path = format!("referrers/{digest}");
        if let Some(artifact_type) = artifact_type {
            path += &format!("?artifactType={}", encode(artifact_type));
        }
        let mut found = Vec::new();
        let doing = format!("listing the referrers of `{repository}@{digest}`");
        let listed = self.pages(repository, &path, &doing, INDEX, |page| {
            let mut entries = parse(&doing, repository, &page.bytes)?;
            if !page.filtered {
                entries.retain(|entry| fits(entry, artifact_type));
            }
            found.extend(entries);
            Ok(())
        })?;
        if !listed {
            found = self.fallback(repository, digest)?;
            found.retain(|entry| fits(entry, artifact_type));
        }
        Ok(once(found))
    }

    /// What the tag lists that stands in for the referrers API where a registry has none.
    fn fallback(&self, repository: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let tag = fallback_tag(subject);
        let doing = format!("reading the referrers in `{repository}:{tag}`");
        let path = format!("manifests/{tag}");
        let call = Call::at(Method::GET, repository, path, &doing).header("accept", INDEX);
        let answer = self.call(call.expecting(&[404]))?;
        if answer.status == 404 {
            answer.drain();
            return Ok(Vec::new());
        }
        let bytes = answer.bytes(&doing, repository, MAX_MANIFEST)?;
        parse(&doing, repository, &bytes)
    }

    /// Takes a manifest that is gone out of the list that a tag keeps, if it is there (distribution-spec, "Deleting Manifests").
    pub(crate) fn take_from_fallback(
        &self,
        repository: &Repository,
        subject: &Digest,
        gone: &Descriptor,
    ) -> Result<(), RegistryError> {
        let mut entries = self.fallback(repository, subject)?;
        let before = entries.len();
        entries.retain(|entry| entry.digest() != gone.digest());
        if entries.len() == before {
            return Ok(());
        }
        let tag = fallback_tag(subject);
        let doing = format!("taking from the referrers in `{repository}:{tag}`");
        let bytes = index(entries);
        let call = Call::at(Method::PUT, repository, format!("manifests/{tag}"), &doing);
        self.call(call.pushing().body(INDEX, Body::Bytes(&bytes)))?.drain();
        Ok(())
    }

    /// Adds a manifest to the list of its subject's referrers, in a registry that doesn't keep it by itself. The list
    /// is read again, as another writer may have replaced it meanwhile.
    pub(super) fn add_to_fallback(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Descriptor,
    ) -> Result<(), RegistryError> {
        let tag = fallback_tag(subject);
        let doing = format!("adding to the referrers in `{repository}:{tag}`");
        for _ in 0..WRITES {
            let mut entries = self.fallback(repository, subject)?;
            if entries.iter().any(|entry| entry.digest() == referrer.digest()) {
                return Ok(());
            }
            entries.push(referrer.clone());
            let bytes = index(once(entries));
            let path = format!("manifests/{tag}");
            let call =
                Call::at(Method::PUT, repository, path, &doing).pushing().body(INDEX, Body::Bytes(&bytes));
            self.call(call)?.drain();
        }
        // The last write may be there; if it isn't, somebody writes without end.
        let entries = self.fallback(repository, subject)?;
        if entries.iter().any(|entry| entry.digest() == referrer.digest()) {
            return Ok(());
        }
        Err(RegistryError::lost(&doing, repository, "what is added does not stay"))
    }
}

/// distribution-spec, "Referrers Tag Schema".
fn fallback_tag(subject: &Digest) -> String {
    let hex = subject.hex();
    format!("{}-{}", subject.algorithm().name(), &hex[..hex.len().min(64)])
}

fn fits(entry: &Descriptor, artifact_type: Option<&str>) -> bool {
    let own = || entry.artifact_type().as_ref().map(ToString::to_string);
    artifact_type.is_none_or(|wanted| own().as_deref() == Some(wanted))
}

/// Each digest once, in the order in which they came.
fn once(entries: Vec<Descriptor>) -> Vec<Descriptor> {
    let mut seen = BTreeMap::new();
    let mut entries = entries;
    entries.retain(|entry| seen.insert(entry.digest().to_string(), ()).is_none());
    entries
}

fn parse(doing: &str, repository: &Repository, bytes: &[u8]) -> Result<Vec<Descriptor>, RegistryError> {
    let malformed = |why: String| RegistryError::protocol(doing, repository, why);
    let index: ImageIndex = serde_json::from_slice(bytes).map_err(|error| malformed(shown(&error)))?;
    for entry in index.manifests() {
        Digest::try_from(entry.digest()).map_err(|error| malformed(error.to_string()))?;
    }
    Ok(index.manifests().clone())
}

fn index(entries: Vec<Descriptor>) -> Vec<u8> {
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(entries)
        .build()
        .expect("the required fields are set");
    canonical::to_vec(&index).expect("it was read from JSON")
}
