//! One request to a registry, and its answer.

use std::io::Read;

use ureq::http::{HeaderMap, Method};

use super::Repository;

/// What is asked.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) repository: &'a Repository,
    pub(super) to: To,
    pub(super) access: Access<'a>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body<'a>,
    /// Statuses that are answers to this question, beside those of success: 404 to "is it there".
    pub(super) expected: &'a [u16],
}

/// Where a request goes.
pub(super) enum To {
    /// Below `/v2/NAME/` of the repository: `manifests/latest`.
    Path(String),
    /// What an earlier answer said to go on with, as an absolute URL.
    Location(String),
}

/// What a token has to allow (distribution's token scope).
#[derive(Default, Clone, Copy)]
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

/// What came back. The body has not been read, and nothing bounds it but the caller.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Where it came from in the end.
    pub(super) url: String,
    pub(super) body: Box<dyn Read + Send>,
}
