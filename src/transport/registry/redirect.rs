//! Where an answer leads, followed by hand: the HTTP library does not know whom to trust with what.

use std::time::Duration;

use ureq::http::Method;

use super::Registries;
use super::answer::Answer;
use super::auth::Authorization;
use super::call::Body;
use super::fault::{Fault, Kind};
use super::host::Host;
use super::send::{Gone, Sending};
use crate::http::Url;

const MAX_REDIRECTS: usize = 6;

/// A request that may be led on.
pub(super) struct Journey<'a> {
    pub(super) registries: &'a Registries,
    /// The host that was meant, which answers for where it leads.
    pub(super) host: &'a Host,
    pub(super) method: &'a Method,
    pub(super) headers: &'a [(&'static str, String)],
    pub(super) patience: Duration,
}

impl Journey<'_> {
    /// Asks at `start` and goes where the answers lead. The authorization stays with the host of `start`.
    pub(super) fn follow(
        &self,
        start: &Url,
        authorization: Option<&Authorization>,
        body: &mut Body<'_>,
        gone: &mut Gone,
        may_be_led: bool,
    ) -> Result<Answer, Fault> {
        let mut url = start.clone();
        for _ in 0..=MAX_REDIRECTS {
            if !self.host.origin.permits(&url) {
                return Err(Kind::Guarded(url).into());
            }
            let agent = self.host.agent(self.registries, &url)?;
            let authorization = authorization.filter(|_| url.same_origin(start));
            let sending = Sending {
                method: self.method,
                headers: self.headers,
                authorization,
                patience: self.patience,
            };
            let answer = sending.send(&agent, &url, body, gone)?;
            if !may_be_led || !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            url = self.next(&answer, gone)?;
        }
        Err(Kind::Redirect(format!("more than {MAX_REDIRECTS} redirects")).into())
    }

    fn next(&self, answer: &Answer, gone: &Gone) -> Result<Url, Fault> {
        let reads = matches!(*self.method, Method::GET | Method::HEAD);
        if !reads && !matches!(answer.status, 307 | 308) {
            let why = format!("a {} is not redirected with {}", self.method, answer.status);
            return Err(Kind::Redirect(why).into());
        }
        let to = answer.location();
        let to = to.ok_or_else(|| Kind::Redirect("its redirect has no usable `Location`".into()))?;
        if answer.url.secure() && !to.secure() {
            return Err(Kind::Redirect(format!("from https to plain http, `{to}`")).into());
        }
        if gone.0 > 0 {
            return Err(Kind::Interrupted { sent: gone.0, why: format!("it is to be sent to `{to}`") }.into());
        }
        Ok(to)
    }
}
