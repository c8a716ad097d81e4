//! One request to a registry: what is asked, of whom, and what may be done with it.

use std::io::Read;

use ureq::http::Method;

use super::Repository;

/// What is asked.
pub(super) struct Call<'a> {
    /// A gerund and its object, for errors and logs: "pulling blob `sha256:…` of `host/repo`".
    pub(super) doing: String,
    pub(super) method: Method,
    pub(super) repository: &'a Repository,
    pub(super) to: To,
    pub(super) access: Access<'a>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body<'a>,
    /// Statuses that are answers to this question, beside those of success: 404 to "is it there".
    pub(super) expected: &'a [u16],
    /// The registry itself is asked, and no mirror.
    pub(super) direct: bool,
}

impl<'a> Call<'a> {
    /// A question without headers and body, that asks for no more than to pull.
    pub(super) fn new(method: Method, repository: &'a Repository, to: To, doing: impl Into<String>) -> Self {
        let (access, headers, body, expected) = (Access::default(), Vec::new(), Body::Empty, &[] as &[u16]);
        let direct = false;
        Self { doing: doing.into(), method, repository, to, access, headers, body, expected, direct }
    }
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(super) enum To {
    /// Below `/v2/NAME/` of the repository: `manifests/latest`.
    Path(String),
    /// What an earlier answer said to go on with, as an absolute URL.
    Location(String),
}

/// What a token has to allow (distribution's token scope).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Access<'a> {
    pub(super) push: bool,
    pub(super) delete: bool,
    /// Another repository of the same registry, to be read from: a mount.
    pub(super) from: Option<&'a str>,
}

/// What is sent. Bytes can be sent again if the first try fails; a reader can't: then the caller goes on from where
/// the registry says it is.
pub(super) enum Body<'a> {
    Empty,
    Bytes(&'a [u8]),
    Reader { length: u64, reader: &'a mut dyn Read },
}

impl Body<'_> {
    pub(super) fn can_be_repeated(&self) -> bool {
        !matches!(self, Self::Reader { .. })
    }
}
