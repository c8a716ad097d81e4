//! From a question to its answer: the mirrors, the tries, the challenge, the redirects.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use ureq::http::Method;

use super::answer::Answer;
use super::auth::Authorization;
use super::call::{Call, To};
use super::fault::{Fault, Kind};
use super::host::Host;
use super::redirect::Journey;
use super::retry::Tries;
use super::scope::Scopes;
use super::send::Gone;
use super::{Challenge, Credential, Registries, RegistryError, Repository};
use crate::http::Url;

/// So much of the body of a refusal is read for the sake of the connection.
const DRAINED: u64 = 16 << 10;

impl Registries {
    /// Asks, and gives the answer if it is one of success or an expected one.
    pub(super) fn call(&self, mut call: Call<'_>) -> Result<Answer, RegistryError> {
        for (mirror, name) in self.mirrors(&call)? {
            if mirror.down.load(Ordering::Relaxed) {
                continue;
            }
            match self.attempt(&mirror, &name, &mut call, &mut Gone::default()) {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) => log::debug!("the mirror `{}` answered {}", mirror.name, answer.status),
                Err(fault) => {
                    mirror.down.store(fault.is_down(), Ordering::Relaxed);
                    log::info!("mirror: {}", fault.into_error(&call.doing, &mirror.name));
                }
            }
        }
        let host = self.host(&call.repository.registry)?;
        let name = &call.repository.name;
        self.persist(&host, name, &mut call)
    }

    /// Whether the registry lets somebody with this credential in: what `login` asks.
    pub fn check(&self, registry: &str, credential: &Credential) -> Result<(), RegistryError> {
        let host = Host::new(registry, self)?;
        host.auth.lock().unwrap_or_else(PoisonError::into_inner).set("", credential.clone());
        let repository = Repository { registry: registry.to_owned(), name: String::new() };
        let doing = format!("logging in at `{registry}`");
        let mut call = Call::new(Method::GET, &repository, To::Path(String::new()), doing);
        self.persist(&host, "", &mut call).map(|_| ())
    }

    /// Tries until it goes well or patience ends.
    fn persist(&self, host: &Host, name: &str, call: &mut Call<'_>) -> Result<Answer, RegistryError> {
        let mut tries = Tries::new(&self.settings.retry);
        loop {
            let mut gone = Gone::default();
            let fault = match self.attempt(host, name, call, &mut gone) {
                Ok(answer) => return Ok(answer),
                Err(fault) if gone.0 > 0 && fault.is_passing() => fault.interrupted(gone.0),
                Err(fault) => fault,
            };
            let Some(pause) = fault.pause(&mut tries) else {
                return Err(fault.into_error(&call.doing, &host.name));
            };
            log::info!("{}: again in {} ms", crate::text::shown(&call.doing), pause.as_millis());
            thread::sleep(pause);
        }
    }

    /// Asks once, or twice if the host wants to know who asks.
    fn attempt(
        &self,
        host: &Host,
        name: &str,
        call: &mut Call<'_>,
        gone: &mut Gone,
    ) -> Result<Answer, Fault> {
        let scopes = if name.is_empty() { Scopes::default() } else { Scopes::of(name, call.access) };
        let home = self.is_home(host, &call.to);
        let mut shown = if home { self.authorization(host, &scopes, name)? } else { None };
        let mut answer = self.travel(host, name, call, shown.as_ref(), gone)?;
        // Elsewhere may lead back here, but what this host wants to see is nothing for elsewhere.
        if home && is_challenge(&answer) && host.owns(&answer.url) {
            let fresh = self.challenged(host, &answer, shown.as_ref(), &scopes, name)?;
            if let Some(fresh) = fresh {
                if gone.0 > 0 {
                    let (sent, why) = (gone.0, "the token ran out".to_owned());
                    return Err(Kind::Interrupted { sent, why }.into());
                }
                drop(answer.read(DRAINED));
                answer = self.travel(host, name, call, Some(&fresh), gone)?;
                shown = Some(fresh);
            }
        }
        if answer.is_success() || call.expected.contains(&answer.status) {
            return Ok(answer);
        }
        Err(Fault::answered(&mut answer, shown.is_some()))
    }

    /// Goes there, over https or http, whichever it is that the host speaks.
    fn travel(
        &self,
        host: &Host,
        name: &str,
        call: &mut Call<'_>,
        shown: Option<&Authorization>,
        gone: &mut Gone,
    ) -> Result<Answer, Fault> {
        let known = host.secure();
        let secure = known.unwrap_or(true);
        let result = self.go(host, &target(host, name, &call.to, secure)?, call, shown, gone);
        if known.is_some() || matches!(call.to, To::Location(_)) {
            return result;
        }
        match result {
            Err(fault) if fault.is_no_tls() && gone.0 == 0 => {
                let mut answer = self.go(host, &target(host, name, &call.to, false)?, call, shown, gone)?;
                if speaks_tls(&mut answer) {
                    return Err(fault);
                }
                host.found_to_be(false);
                Ok(answer)
            }
            Ok(answer) => {
                host.found_to_be(true);
                Ok(answer)
            }
            Err(fault) => Err(fault),
        }
    }

    fn go(
        &self,
        host: &Host,
        url: &Url,
        call: &mut Call<'_>,
        shown: Option<&Authorization>,
        gone: &mut Gone,
    ) -> Result<Answer, Fault> {
        let journey = Journey {
            registries: self,
            host,
            method: &call.method,
            headers: &call.headers,
            patience: self.patience(&call.method),
        };
        journey.follow(url, shown, &mut call.body, gone, true)
    }

    /// Whether what is asked is on the host itself, so that it may be shown a credential.
    fn is_home(&self, host: &Host, to: &To) -> bool {
        match to {
            To::Path(_) => true,
            To::Location(url) => Url::parse(url).is_some_and(|url| host.owns(&url)),
        }
    }

    fn patience(&self, method: &Method) -> Duration {
        match *method {
            Method::PUT => self.settings.retry.commit.max(self.settings.http.patience),
            _ => self.settings.http.patience,
        }
    }
}

/// The URL to ask at.
fn target(host: &Host, name: &str, to: &To, secure: bool) -> Result<Url, Fault> {
    let bad = || Fault::from(Kind::Protocol("it leads to what is no URL".into()));
    match to {
        To::Path(_) if name.is_empty() => host.url(secure, "/v2/").ok_or_else(bad),
        To::Path(path) => host.url(secure, &format!("/v2/{name}/{path}")).ok_or_else(bad),
        To::Location(url) => {
            let url = Url::parse(url).ok_or_else(bad)?;
            if host.secure() == Some(true) && !url.secure() {
                return Err(Kind::Redirect(format!("from https to plain http, `{url}`")).into());
            }
            Ok(url)
        }
    }
}

/// Whether this is what servers of https say to a plain request: then TLS failed for another reason.
fn speaks_tls(answer: &mut Answer) -> bool {
    if answer.status != 400 {
        return false;
    }
    let body = answer.read(DRAINED).ok().flatten().unwrap_or_default();
    let says = body.windows(5).any(|word| word == b"HTTPS");
    answer.body = Box::new(io::Cursor::new(body));
    says
}

/// Whether another credential may help.
fn is_challenge(answer: &Answer) -> bool {
    let insufficient = |value: &ureq::http::HeaderValue| {
        let all = Challenge::parse(&String::from_utf8_lossy(value.as_bytes()));
        all.iter().any(|challenge| challenge.parameter("error") == Some("insufficient_scope"))
    };
    match answer.status {
        401 => true,
        403 => answer.headers.get_all("www-authenticate").iter().any(insufficient),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
