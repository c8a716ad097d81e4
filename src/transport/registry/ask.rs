//! Requests in the words of the distribution specification, and what is common to their answers.

use ureq::http::Method;

use super::answer::Answer;
use super::call::{Body, Call, To};
use super::{Complaint, RegistryError, Repository};
use crate::http::Url;
use crate::oci::Digest;
use crate::oci::media_type::MANIFESTS;

impl<'a> Call<'a> {
    /// A request below `/v2/NAME/`.
    pub(super) fn at(
        method: Method,
        repository: &'a Repository,
        path: impl Into<String>,
        doing: impl Into<String>,
    ) -> Self {
        Self::new(method, repository, To::Path(path.into()), doing)
    }

    /// A request to where an earlier answer said to go on.
    pub(super) fn following(
        method: Method,
        repository: &'a Repository,
        url: &Url,
        doing: impl Into<String>,
    ) -> Self {
        Self::new(method, repository, To::Location(url.text()), doing)
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
    /// The digest of what was asked for or has been stored, as the registry knows it.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.header("docker-content-digest")?.trim().parse().ok()
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// Without its parameters.
    pub(super) fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
    }

    /// The whole body, if it has no more than `limit` bytes.
    pub(super) fn bytes(
        mut self,
        doing: &str,
        repository: &Repository,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let (doing, host) = (doing.to_owned(), repository.registry.clone());
        match self.read(limit) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(RegistryError::TooLarge { doing, host, limit }),
            Err(error) => Err(RegistryError::Answer { doing, host, error }),
        }
    }

    /// What an answer that was expected, but is no success, has to say.
    pub(super) fn complaint(mut self) -> String {
        Complaint::of(&mut self).to_string()
    }

    /// Reads the body that nobody needs, if it is short, so that the connection can be used again.
    pub(super) fn drain(mut self) {
        const SHORT: u64 = 64 << 10;
        drop(self.read(SHORT));
    }
}

impl RegistryError {
    /// The answer is not what the specification has.
    pub(super) fn protocol(doing: &str, repository: &Repository, why: impl Into<String>) -> Self {
        Self::Protocol { doing: doing.to_owned(), host: repository.registry.clone(), why: why.into() }
    }

    pub(super) fn absent(doing: &str, repository: &Repository) -> Self {
        Self::Absent { doing: doing.to_owned(), host: repository.registry.clone() }
    }

    pub(super) fn lost(doing: &str, repository: &Repository, why: impl Into<String>) -> Self {
        Self::Lost { doing: doing.to_owned(), host: repository.registry.clone(), why: why.into() }
    }
}

/// Digests of two algorithms may well be of the same bytes.
pub(super) fn expect_digest(
    doing: &str,
    repository: &Repository,
    expected: &Digest,
    found: &Digest,
) -> Result<(), RegistryError> {
    if found.algorithm() != expected.algorithm() || found == expected {
        return Ok(());
    }
    let (expected, found, host) = (expected.clone(), found.clone(), repository.registry.clone());
    Err(RegistryError::OtherDigest { doing: doing.to_owned(), host, expected, found })
}
