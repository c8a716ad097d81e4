//! Manifests, by tag and by digest.

use std::io;

use serde_json::Value;

use super::Shared;
use super::http::{Body, Head, Response};
use super::state::{Repository, sha256};

const LIMIT: usize = 4 << 20;

pub(super) fn get(shared: &Shared, repository: &str, reference: &str) -> Response {
    let state = shared.state();
    let Some((digest, manifest)) = state.repositories.get(repository).and_then(|r| find(r, reference)) else {
        return unknown();
    };
    Response { body: manifest.bytes.clone(), ..Response::new(200) }
        .with("Content-Type", &manifest.media_type)
        .with("Docker-Content-Digest", digest)
}

fn find<'a>(repository: &'a Repository, reference: &str) -> Option<(&'a String, &'a super::state::Manifest)> {
    let digest = repository.tags.get(reference).map_or(reference, String::as_str);
    repository.manifests.get_key_value(digest)
}

fn unknown() -> Response {
    Response::error(404, "MANIFEST_UNKNOWN", "manifest unknown")
}

pub(super) fn put(
    shared: &Shared,
    head: &Head,
    repository: &str,
    reference: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let bytes = body.read_all()?;
    let digest = sha256(&bytes);
    let by_digest = reference.contains(':');
    let invalid = |why: &str| Ok(Response::error(400, "MANIFEST_INVALID", why));
    let Some(media_type) = head.header("content-type") else { return invalid("no media type") };
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { return invalid("no JSON") };
    if bytes.len() > LIMIT {
        return Ok(Response::error(413, "MANIFEST_INVALID", "manifest too large"));
    }
    if value.get("mediaType").is_some_and(|own| own != media_type) {
        return invalid("the media type is another than the manifest's");
    }
    if by_digest && reference != digest {
        return Ok(Response::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    let mut state = shared.state();
    if let Some(missing) = state.repository(repository).missing(&bytes).first() {
        return Ok(Response::error(404, "MANIFEST_BLOB_UNKNOWN", missing));
    }
    if by_digest {
        // The entry that this makes under its own name is no tag: it is removed at once.
        state.put_manifest(repository, reference, media_type, &bytes);
        state.repository(repository).tags.remove(reference);
    } else {
        state.put_manifest(repository, reference, media_type, &bytes);
    }
    let subject = value["subject"]["digest"].as_str().filter(|_| !shared.options.no_referrers);
    let mut answer = Response::new(201)
        .with("Location", format!("/v2/{repository}/manifests/{digest}"))
        .with("Docker-Content-Digest", &digest);
    answer.set("OCI-Subject", subject.map(str::to_owned));
    Ok(answer)
}

pub(super) fn delete(shared: &Shared, repository: &str, reference: &str) -> Response {
    let mut state = shared.state();
    let repository = state.repository(repository);
    if shared.options.cascade {
        let about = |bytes: &[u8]| {
            let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
            value["subject"]["digest"] == reference
        };
        repository.manifests.retain(|_, manifest| !about(&manifest.bytes));
        let left = &repository.manifests;
        repository.tags.retain(|_, digest| left.contains_key(digest));
    }
    let gone = if reference.contains(':') {
        repository.tags.retain(|_, digest| digest != reference);
        repository.manifests.remove(reference).is_some()
    } else {
        repository.tags.remove(reference).is_some()
    };
    if gone { Response::new(202) } else { unknown() }
}
