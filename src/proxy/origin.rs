//! Asking the real world, on behalf of a program that is not to be trusted with the machine's own addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request};

use super::asked::{self, Asked};
use super::error::Why;
use crate::http::{Class, Http, Url, guarded, is_refused};
use crate::text::shown;

/// As in other clients.
const MAX_REDIRECTS: usize = 10;

/// What of a request is passed on beside what is asked for.
#[derive(Debug, Default, Clone)]
pub(super) struct Passed {
    /// Never kept.
    pub(super) authorization: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) content_encoding: Option<String>,
    /// What is known already and need not be sent: of one URL, and to no other does its `ETag` go.
    ///
    /// There is no `If-Modified-Since` beside it: of a file that was put back to an older one, servers say that it was
    /// not modified.
    pub(super) known: Option<(Url, String)>,
    pub(super) body: Vec<u8>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// It is what is known, says the server, and was asked that.
    pub(super) is_known: bool,
    headers: HeaderMap,
    pub(super) body: Box<dyn Read>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.status)
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether another `Accept` may be answered in another way.
    pub(super) fn varies(&self) -> bool {
        let values = self.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("accept"))
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

/// What agents differ in: http and https may have different proxies, and a host may have authorities of its own.
type Meeting = (bool, Option<String>);

/// Asks for what is not known yet.
pub(super) struct Origin {
    http: Http,
    loopback: bool,
    agents: Mutex<BTreeMap<Meeting, Agent>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("http", &self.http).field("loopback", &self.loopback).finish()
    }
}

impl Origin {
    pub(super) fn new(http: Http, loopback: bool) -> Self {
        Self { http, loopback, agents: Mutex::default() }
    }

    /// One request; redirects are answers.
    pub(super) fn ask(&self, asked: &Asked, url: &Url, passed: &Passed) -> Result<Answer, Why> {
        // Where a proxy looks up the address, the name is all that can be judged here.
        let named = url.address().map(Class::dialled).or_else(|| Class::named(url));
        if named.is_some_and(|class| !permitted(class, self.loopback)) {
            return Err(Why::Address);
        }
        let agent = self.agent(url)?;
        let (method, has_body) = match &asked.method {
            asked::Method::Get => (Method::GET, false),
            asked::Method::Head => (Method::HEAD, false),
            asked::Method::UploadPack(_) => (Method::POST, true),
        };
        let etag = passed.known.as_ref().filter(|(known, _)| known == url).map(|(_, etag)| etag.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(url.text())
            .header("accept", asked.accept())
            // What is recorded is what it is, not one of the ways to pack it.
            .header("accept-encoding", "identity");
        let optional = [
            ("authorization", passed.authorization.as_deref()),
            ("user-agent", passed.user_agent.as_deref()),
            ("git-protocol", asked.git()),
            ("if-none-match", etag),
            ("content-encoding", passed.content_encoding.as_deref()),
            ("content-type", has_body.then_some(super::connection::UPLOAD_PACK)),
        ];
        for (name, value) in optional.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request = request.header(name, value);
        }
        let response = if has_body {
            let body = request.body(&passed.body[..]);
            body.map_err(ureq::Error::from).and_then(|request| agent.run(request))
        } else {
            request.body(()).map_err(ureq::Error::from).and_then(|request| agent.run(request))
        };
        let (head, body) = response.map_err(|error| self.failed(&error))?.into_parts();
        let status = head.status.as_u16();
        log::debug!("{} {url} for a step: {status}", asked.method.name());
        let is_known = status == 304 && etag.is_some();
        Ok(Answer { status, is_known, headers: head.headers, body: Box::new(body.into_reader()) })
    }

    /// Asks for a success, wherever it is by now.
    pub(super) fn follow(&self, asked: &Asked, from: Url, passed: &Passed) -> Result<Answer, String> {
        let mut url = from;
        for _ in 0..MAX_REDIRECTS {
            let answer = self.ask(asked, &url, passed).map_err(|why| why.to_string())?;
            match answer.status {
                200 | 203 => return Ok(answer),
                _ if answer.is_known => return Ok(answer),
                301 | 302 | 303 | 307 | 308 => {
                    let next = answer.header("location").and_then(|location| url.join(location));
                    url = next.ok_or("a redirect leads nowhere")?;
                }
                status => return Err(format!("the server answered {status}")),
            }
        }
        Err(format!("more than {MAX_REDIRECTS} redirects"))
    }

    fn agent(&self, url: &Url) -> Result<Agent, Why> {
        let own = self.http.trust.knows(url).then(|| url.authority());
        let meeting = (url.secure(), own);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&meeting) {
            return Ok(agent.clone());
        }
        let config = self.http.config(&url.text()).map_err(|error| Why::Failed(error.to_string()))?;
        // Connections that a server closes between two requests would be failures of the second.
        let config = config.max_redirects(0).max_idle_connections(0).build();
        Ok(agents.entry(meeting).or_insert(guarded(config, judge(self.loopback))).clone())
    }

    fn failed(&self, error: &ureq::Error) -> Why {
        match error {
            error if is_refused(error) => Why::Address,
            ureq::Error::Timeout(_) => {
                Why::Failed(format!("nothing came for {} seconds", self.http.patience.as_secs_f32()))
            }
            ureq::Error::Other(error) => Why::Failed(shown(error)),
            error => Why::Failed(shown(error)),
        }
    }
}

/// Private addresses are where companies keep their mirrors; this machine, and where clouds keep its secrets, are no
/// step's business.
fn permitted(class: Class, loopback: bool) -> bool {
    match class {
        Class::Elsewhere => true,
        Class::Loopback => loopback,
        Class::LinkLocal | Class::Nowhere => false,
    }
}

/// The rule for steps.
fn judge(loopback: bool) -> impl Fn(&str, &[IpAddr]) -> Vec<bool> {
    move |_, addresses| addresses.iter().map(|ip| permitted(Class::dialled(*ip), loopback)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dials_this_machine;

    #[test]
    fn a_name_that_means_this_machine_is_not_dialled() {
        assert!(!dials_this_machine(judge(false)) && dials_this_machine(judge(true)));
    }

    #[test]
    fn addresses_of_the_machine_are_refused_by_name() {
        for (loopback, url, expected) in [
            (false, "http://127.0.0.1:1/", true),
            (false, "http://localhost:1/", true),
            (false, "http://[::1]:1/", true),
            (false, "http://169.254.169.254/latest", true),
            (true, "http://169.254.169.254/latest", true),
            (false, "http://224.0.0.1:1/", true),
            (true, "http://100.100.100.200/", true),
            (true, "http://[64:ff9b:1::a9fe:a9fe]/", true),
            (true, "http://127.0.0.1:1/", false),
        ] {
            let url = Url::parse(url).unwrap();
            let asked = Asked::new(asked::Method::Get, &url, None, None);
            let error =
                Origin::new(Http::default(), loopback).ask(&asked, &url, &Passed::default()).unwrap_err();
            assert_eq!(error == Why::Address, expected, "{url}: {error}");
        }
    }
}
