//! An upload's session, as the registry keeps it.

use ureq::http::Method;

use super::blob::Transfer;
use crate::http::Url;
use crate::transport::registry::answer::Answer;
use crate::transport::registry::call::Call;
use crate::transport::registry::{RegistryError, ranges};

/// Where an upload goes on, and from which byte.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) url: Url,
    pub(super) offset: u64,
    /// The registry takes no smaller pieces, but for the last.
    pub(super) min_chunk: Option<u64>,
}

impl Session {
    /// One that has no bytes yet; `None` if the answer doesn't say where it is.
    pub(super) fn begun(answer: &Answer) -> Option<Self> {
        let min_chunk = answer.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
        Some(Self { url: answer.location()?, offset: 0, min_chunk })
    }

    /// Where it is now, after an answer that says so: the place changes with each, as registries keep state in it.
    pub(super) fn moved(&mut self, answer: &Answer) -> Option<u64> {
        if let Some(url) = answer.location() {
            self.url = url;
        }
        ranges::received(answer.header("range")?)
    }
}

impl Transfer<'_> {
    pub(super) fn begin(&self) -> Result<Session, RegistryError> {
        let call = Call::at(Method::POST, self.repository(), "blobs/uploads/", self.doing()).pushing();
        let answer = self.sink.registries.call(call)?;
        let why = "an upload that has no place to go on";
        Session::begun(&answer).ok_or_else(|| RegistryError::protocol(&self.doing(), self.repository(), why))
    }

    /// Asks where the session is; `None` if it is nowhere.
    pub(super) fn status(&self, session: &Session) -> Result<Option<Session>, RegistryError> {
        let call = Call::following(Method::GET, self.repository(), &session.url, self.doing()).pushing();
        // Whatever is wrong with the session, a new one is right.
        let answer = self.sink.registries.call(call.expecting(&[400, 403, 404, 405, 410, 416]))?;
        if !answer.is_success() {
            log::debug!("{}: the session is gone ({})", self.doing(), answer.status);
            answer.drain();
            return Ok(None);
        }
        let mut session = session.clone();
        let offset = session.moved(&answer);
        answer.drain();
        Ok(offset.filter(|offset| *offset <= self.size).map(|offset| Session { offset, ..session }))
    }

    /// A session of an earlier process, if the registry still knows it.
    pub(super) fn noted(&self, url: &Url) -> Result<Option<Session>, RegistryError> {
        let session = self.status(&Session { url: url.clone(), offset: 0, min_chunk: None })?;
        if let Some(session) = &session {
            log::info!("{}: going on from byte {}", self.doing(), session.offset);
        }
        Ok(session)
    }
}
