//! Blobs: whole, in part, removed.

use std::io;

use super::Shared;
use super::http::{Head, Response};

pub(super) fn get(shared: &Shared, head: &Head, repository: &str, digest: &str) -> io::Result<Response> {
    let state = shared.state();
    let Some(bytes) = state.repositories.get(repository).and_then(|r| r.blobs.get(digest)) else {
        return Ok(Response::error(404, "BLOB_UNKNOWN", "blob unknown to registry"));
    };
    let answer = Response::new(200)
        .with("Docker-Content-Digest", digest)
        .with("Content-Type", "application/octet-stream")
        .with("Accept-Ranges", "bytes");
    let Some(range) = head.header("range") else { return Ok(Response { body: bytes.clone(), ..answer }) };
    let Some((first, last)) = part(range, bytes.len()) else {
        return Ok(Response::new(416).with("Content-Range", format!("bytes */{}", bytes.len())));
    };
    let range = format!("bytes {first}-{last}/{}", bytes.len());
    let body = bytes[first..=last].to_vec();
    Ok(Response { status: 206, body, ..answer }.with("Content-Range", range))
}

/// The first and last byte of `bytes=FIRST-[LAST]`; `None` if there are no such bytes.
fn part(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse().ok().filter(|first| *first < length)?;
    let last = if last.is_empty() { length - 1 } else { last.parse::<usize>().ok()?.min(length - 1) };
    (first <= last).then_some((first, last))
}

pub(super) fn delete(shared: &Shared, repository: &str, digest: &str) -> Response {
    let gone = shared.state().repository(repository).blobs.remove(digest);
    gone.map_or_else(|| Response::error(404, "BLOB_UNKNOWN", "blob unknown"), |_| Response::new(202))
}
