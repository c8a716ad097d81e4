//! From a name to a descriptor.

use serde::Deserialize;
use ureq::http::Method;

use super::answer::Answer;
use super::ask::expect_digest;
use super::call::Call;
use super::{Registries, RegistryError, Repository};
use crate::image::{MAX_MANIFEST, descriptor};
use crate::oci::media_type::MANIFESTS;
use crate::oci::{Algorithm, Descriptor, Digest, Digester, MediaType, Reference};
use crate::text::shown;

/// What manifests of the first schema come as. Their digest is not of the bytes that are sent, so they can't be
/// verified.
const SCHEMA1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

impl Registries {
    /// What a tag or digest stands for: the descriptor of a manifest or index, its digest verified if need be.
    /// `None` if the registry has it not.
    pub fn resolve(&self, name: &Reference) -> Result<Option<Descriptor>, RegistryError> {
        let repository = Repository::from(name);
        let path = manifest_path(name);
        let doing = format!("resolving `{name}`");
        // Docker Hub counts a GET, and no HEAD.
        let head = Call::at(Method::HEAD, &repository, &path, &doing).accepting_manifests();
        let answer = self.call(head.expecting(&[404, 405]))?;
        let found = match answer.status {
            404 => return Ok(None),
            405 => None,
            _ => announced(&doing, &repository, &answer, name.digest())?,
        };
        if let Some(found) = found {
            return Ok(Some(found));
        }
        let get = Call::at(Method::GET, &repository, &path, &doing).accepting_manifests();
        let answer = self.call(get.expecting(&[404]))?;
        if answer.status == 404 {
            Ok(None)
        } else {
            read(&doing, &repository, answer, name.digest()).map(Some)
        }
    }

    /// The digest that the registry itself has for a tag or digest, whatever it is that is called so.
    pub(super) fn digest_at(
        &self,
        repository: &Repository,
        name: &str,
    ) -> Result<Option<Digest>, RegistryError> {
        let (path, doing) = (format!("manifests/{name}"), format!("asking for `{name}` of `{repository}`"));
        let head = Call::at(Method::HEAD, repository, &path, &doing).accepting_manifests().pushing();
        let answer = self.call(head.expecting(&[404, 405]))?;
        match (answer.status, answer.digest()) {
            (404, _) => return Ok(None),
            (200..300, Some(digest)) => return Ok(Some(digest)),
            _ => {}
        }
        let get = Call::at(Method::GET, repository, &path, &doing).accepting_manifests().pushing();
        let answer = self.call(get.expecting(&[404]))?;
        if answer.status == 404 {
            return Ok(None);
        }
        Ok(Some(Digest::of(&answer.bytes(&doing, repository, MAX_MANIFEST)?)))
    }
}

/// Where a manifest is: under its digest, if the name has one, and else under the tag.
pub(super) fn manifest_path(name: &Reference) -> String {
    match name.digest() {
        Some(digest) => format!("manifests/{digest}"),
        None => format!("manifests/{}", name.tag().expect("a reference has a tag where it has no digest")),
    }
}

/// The descriptor that an answer's headers give, if they give a whole one.
fn announced(
    doing: &str,
    repository: &Repository,
    answer: &Answer,
    wanted: Option<&Digest>,
) -> Result<Option<Descriptor>, RegistryError> {
    let Some(media_type) = answer.media_type() else { return Ok(None) };
    refuse_schema1(doing, &media_type)?;
    let said = answer.digest();
    if let (Some(wanted), Some(said)) = (wanted, &said) {
        expect_digest(doing, repository, wanted, said)?;
    }
    let Some(digest) = wanted.or(said.as_ref()) else { return Ok(None) };
    let size = answer.length().filter(|size| *size > 0);
    let (true, Some(size)) = (MANIFESTS.contains(&media_type.as_str()), size) else { return Ok(None) };
    Ok(Some(descriptor(MediaType::from(media_type.as_str()), digest, size)))
}

/// The descriptor of what was sent.
fn read(
    doing: &str,
    repository: &Repository,
    answer: Answer,
    wanted: Option<&Digest>,
) -> Result<Descriptor, RegistryError> {
    let (media_type, said) = (answer.media_type().unwrap_or_default(), answer.digest());
    refuse_schema1(doing, &media_type)?;
    let bytes = answer.bytes(doing, repository, MAX_MANIFEST)?;
    if let Some(said) = &said {
        expect_digest(doing, repository, said, &digest_of(&bytes, said.algorithm()))?;
    }
    let algorithm = wanted.or(said.as_ref()).map_or(Algorithm::Sha256, Digest::algorithm);
    let digest = digest_of(&bytes, algorithm);
    if let Some(wanted) = wanted {
        expect_digest(doing, repository, wanted, &digest)?;
    }
    let media_type = document_type(doing, repository, &media_type, &bytes)?;
    Ok(descriptor(media_type, &digest, bytes.len() as u64))
}

/// What a document calls itself, where the registry doesn't say it.
fn document_type(
    doing: &str,
    repository: &Repository,
    announced: &str,
    bytes: &[u8],
) -> Result<MediaType, RegistryError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        schema_version: u64,
        media_type: Option<String>,
    }
    if MANIFESTS.contains(&announced) {
        return Ok(MediaType::from(announced));
    }
    let own = match serde_json::from_slice(bytes) {
        Ok(Document { schema_version: 1, .. }) => {
            return Err(RegistryError::Schema1 { doing: doing.to_owned() });
        }
        Ok(Document { media_type, .. }) => media_type,
        Err(_) => None,
    };
    match own.filter(|own| MANIFESTS.contains(&own.as_str())) {
        Some(own) => Ok(MediaType::from(own.as_str())),
        None => {
            let why = format!("expected a manifest or an index, found `{}`", shown(announced));
            Err(RegistryError::protocol(doing, repository, why))
        }
    }
}

fn refuse_schema1(doing: &str, media_type: &str) -> Result<(), RegistryError> {
    if SCHEMA1.contains(&media_type) {
        return Err(RegistryError::Schema1 { doing: doing.to_owned() });
    }
    Ok(())
}

pub(super) fn digest_of(bytes: &[u8], algorithm: Algorithm) -> Digest {
    let mut digester = Digester::new(algorithm);
    digester.update(bytes);
    digester.finish()
}
