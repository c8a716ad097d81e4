//! Requests in the words of the distribution specification, and what the headers of their answers say.

use std::io::{self, Read as _};

use ureq::http::Method;

use super::call::{Access, Answer, Body, Call, To};
use super::{RegistryError, Repository, location};
use crate::oci::Digest;

/// Documents that lith reads: what a manifest or an index may come as.
pub(super) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

impl<'a> Call<'a> {
    /// A request below `/v2/NAME/`.
    pub(super) fn new(method: Method, repository: &'a Repository, path: impl Into<String>) -> Self {
        Self::to(method, repository, To::Path(path.into()))
    }

    /// A request to where an earlier answer said to go on.
    pub(super) fn following(method: Method, repository: &'a Repository, url: impl Into<String>) -> Self {
        Self::to(method, repository, To::Location(url.into()))
    }

    fn to(method: Method, repository: &'a Repository, to: To) -> Self {
        let (access, headers) = (Access::default(), Vec::new());
        Self { method, repository, to, access, headers, body: Body::Empty, expected: &[] }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn accepting_manifests(self) -> Self {
        self.header("accept", MANIFESTS.join(", "))
    }

    pub(super) fn body(mut self, media_type: &str, body: Body<'a>) -> Self {
        self.body = body;
        self.header("content-type", media_type)
    }

    pub(super) fn expecting(mut self, statuses: &'a [u16]) -> Self {
        self.expected = statuses;
        self
    }

    pub(super) fn pushing(mut self) -> Self {
        self.access.push = true;
        self
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The digest of what was asked for or has been stored, as the registry knows it.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest")?.parse().ok()
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// Without its parameters.
    pub(super) fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
    }

    /// Where to go on, as an absolute URL.
    pub(super) fn location(&self) -> Option<String> {
        location::join(&self.url, self.header("location")?)
    }

    /// The whole body, if it has no more than `limit` bytes.
    pub(super) fn bytes(self, what: &str, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let read = self.body.take(limit + 1).read_to_end(&mut bytes);
        read.map_err(|error| RegistryError::Body { what: what.to_owned(), error })?;
        if bytes.len() as u64 > limit {
            return Err(RegistryError::TooLarge { what: what.to_owned(), limit });
        }
        Ok(bytes)
    }
}

/// The body of an answer that nobody needs is read so that its connection can be used again, if it is short.
pub(super) fn drain(answer: Answer) {
    const SHORT: u64 = 64 << 10;
    drop(io::copy(&mut answer.body.take(SHORT), &mut io::sink()));
}
