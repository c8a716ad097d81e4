//! The last request of an upload, which names it.

use ureq::http::Method;

use super::blob::{Outcome, Transfer};
use super::session::Session;
use super::upload::is_passing;
use crate::http::encode;
use crate::transport::registry::RegistryError;
use crate::transport::registry::answer::Answer;
use crate::transport::registry::ask::expect_digest;
use crate::transport::registry::call::{Body, Call};
use crate::transport::registry::retry::Tries;

impl Transfer<'_> {
    /// Commits the upload, `bytes` being all of it or, after the last piece, none.
    pub(super) fn commit(&self, mut session: Session, bytes: &[u8]) -> Result<Outcome, RegistryError> {
        let mut tries = Tries::new(&self.sink.registries.settings.retry);
        loop {
            let error = match self.ask_to_commit(&session, bytes) {
                Ok(answer) => return self.judge_commit(answer),
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            // It may have been committed, and only the answer was lost; a large blob may take minutes.
            log::debug!("{}: {error}", self.doing());
            if !tries.again() {
                return Err(error);
            }
            if self.is_there()? {
                return Ok(Outcome::Committed);
            }
            match self.status(&session)? {
                Some(now) if bytes.is_empty() && now.offset == self.size => session = now,
                Some(now) if !bytes.is_empty() && now.offset == 0 => session = now,
                _ => return Ok(Outcome::Lost(error.to_string())),
            }
        }
    }

    fn ask_to_commit(&self, session: &Session, bytes: &[u8]) -> Result<Answer, RegistryError> {
        let url = session.url.with_query(&format!("digest={}", encode(&self.digest.to_string())));
        let call = Call::following(Method::PUT, self.repository(), &url, self.doing()).pushing();
        let body = if bytes.is_empty() { Body::Empty } else { Body::Bytes(bytes) };
        self.sink.registries.call(call.body("application/octet-stream", body).expecting(&[400, 404, 416]))
    }

    fn judge_commit(&self, answer: Answer) -> Result<Outcome, RegistryError> {
        let (status, said) = (answer.status, answer.digest());
        if !answer.is_success() {
            let words = answer.complaint();
            return Ok(Outcome::Lost(words));
        }
        answer.drain();
        if let Some(said) = said {
            expect_digest(&self.doing(), self.repository(), &self.digest, &said)?;
        }
        // distribution-spec has 201 only; what others mean is asked for.
        if status == 201 || self.is_there()? {
            return Ok(Outcome::Committed);
        }
        Ok(Outcome::Lost(format!("it answered {status}, and has it not")))
    }
}
