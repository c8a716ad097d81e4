//! What came back.

use std::io::{self, Read};

use ureq::http::HeaderMap;

use crate::http::Url;

/// What came back. The body has not been read, and nothing bounds it but the caller.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Where it came from in the end. Its query may be a secret.
    pub(super) url: Url,
    pub(super) body: Box<dyn Read + Send>,
}

impl Answer {
    /// The value of a header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What `Location` says, as an absolute URL that [`super::call::To::Location`] takes. `None` if there is none,
    /// or none that can be understood.
    pub(super) fn location(&self) -> Option<Url> {
        self.url.join(self.header("location")?)
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, if it has no more than `limit` bytes.
    pub(super) fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.body.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }
}
