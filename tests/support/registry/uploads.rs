//! Uploads, from their start to the blob.

use std::io::{self, Read as _};
use std::sync::atomic::Ordering;

use super::Shared;
use super::http::{Body, Head, Response};
use super::state::sha256;

pub(super) fn start(
    shared: &Shared,
    head: &Head,
    repository: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    if let Some(digest) = head.parameter("mount") {
        if mount(shared, repository, &digest, head.parameter("from").as_deref()) {
            return Ok(created(repository, &digest));
        }
    } else if let Some(digest) = head.parameter("digest").filter(|_| !shared.options.no_single_post) {
        return Ok(commit(shared, repository, &digest, body.read_all()?));
    }
    let id = shared.state().start_upload(repository);
    let mut answer = pending(202, repository, &id, 0);
    answer.set("OCI-Chunk-Min-Length", shared.options.chunk_min.map(|least| least.to_string()));
    Ok(answer)
}

fn mount(shared: &Shared, repository: &str, digest: &str, from: Option<&str>) -> bool {
    let mut state = shared.state();
    let ignored = shared.mounts_ignored.load(Ordering::Relaxed);
    let there = from.and_then(|from| state.repositories.get(from)).and_then(|from| from.blobs.get(digest));
    let Some(bytes) = there.filter(|_| !ignored).cloned() else { return false };
    state.repository(repository).blobs.insert(digest.to_owned(), bytes);
    true
}

pub(super) fn go_on(
    shared: &Shared,
    head: &Head,
    repository: &str,
    id: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let there = shared.state().uploads.get(id).filter(|u| u.repository == repository).map(|u| u.bytes.len());
    let Some(length) = there else {
        return Ok(Response::error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"));
    };
    match head.method.as_str() {
        "GET" => Ok(pending(204, repository, id, length)),
        "PATCH" => chunk(shared, head, repository, id, body),
        "PUT" => finish(shared, head, repository, id, body),
        "DELETE" => {
            shared.state().uploads.remove(id);
            Ok(Response::new(204))
        }
        _ => Ok(Response::new(405)),
    }
}

fn chunk(
    shared: &Shared,
    head: &Head,
    repository: &str,
    id: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    if let Some(refusal) = refused(shared, head, repository, id) {
        return Ok(refusal);
    }
    let length = append(shared, head, id, body)?;
    Ok(pending(202, repository, id, length))
}

fn finish(
    shared: &Shared,
    head: &Head,
    repository: &str,
    id: &str,
    body: &mut Body<'_>,
) -> io::Result<Response> {
    let Some(digest) = head.parameter("digest") else {
        return Ok(Response::error(400, "DIGEST_INVALID", "a digest is needed"));
    };
    let last = head.header("content-length").is_some_and(|length| length != "0");
    if let Some(refusal) = refused(shared, head, repository, id).filter(|_| last) {
        return Ok(refusal);
    }
    append(shared, head, id, body)?;
    let upload = shared.state().uploads.remove(id).unwrap_or_default();
    Ok(commit(shared, repository, &digest, upload.bytes))
}

/// The answer to a chunk that may not follow what is there.
fn refused(shared: &Shared, head: &Head, repository: &str, id: &str) -> Option<Response> {
    let state = shared.state();
    let upload = state.uploads.get(id)?;
    let there = upload.bytes.len();
    if upload.small {
        return Some(Response::error(400, "SIZE_INVALID", "a chunk before the last was too small"));
    }
    let start = head.header("content-range").and_then(|range| range.split('-').next());
    let fits = start.is_none_or(|start| start.parse() == Ok(there));
    (!fits).then(|| pending(416, repository, id, there))
}

/// Takes a body in, and keeps what came of it if it breaks off.
fn append(shared: &Shared, head: &Head, id: &str, body: &mut Body<'_>) -> io::Result<usize> {
    let mut buffer = vec![0; 32 << 10];
    let before = body.received;
    let result = loop {
        match body.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                if let Some(upload) = shared.state().uploads.get_mut(id) {
                    upload.bytes.extend_from_slice(&buffer[..count]);
                }
            }
            Err(error) => break Err(error),
        }
    };
    let mut state = shared.state();
    let Some(upload) = state.uploads.get_mut(id) else { return Err(io::ErrorKind::NotFound.into()) };
    let size = body.received - before;
    upload.small = head.method == "PATCH" && shared.options.chunk_min.is_some_and(|least| size < least);
    result.map(|()| upload.bytes.len())
}

fn commit(shared: &Shared, repository: &str, digest: &str, bytes: Vec<u8>) -> Response {
    if sha256(&bytes) != digest {
        return Response::error(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
    }
    shared.state().repository(repository).blobs.insert(digest.to_owned(), bytes);
    created(repository, digest)
}

fn created(repository: &str, digest: &str) -> Response {
    Response::new(201)
        .with("Location", format!("/v2/{repository}/blobs/{digest}"))
        .with("Docker-Content-Digest", digest)
}

fn pending(status: u16, repository: &str, id: &str, length: usize) -> Response {
    Response::new(status)
        .with("Location", format!("/v2/{repository}/blobs/uploads/{id}?_state=a%2Bb"))
        .with("Docker-Upload-UUID", id)
        .with("Range", format!("0-{}", length.saturating_sub(1)))
}
