//! Where a registry may lead: not into the machine that asks, nor to its link, where clouds keep their secrets.
//!
//! What is judged is the address that is dialled, not the name: a name can mean another address each time.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::http::{Class, Url, is_proxy};

/// Whether a registry of one class may lead to an address of another.
pub(super) fn permitted(origin: Class, target: Class) -> bool {
    target == Class::Elsewhere || target == origin
}

/// The registry that leads. Its class is that of the addresses that its name has stood for, and once it has been
/// elsewhere it stays there: its name must not become this machine's in the middle.
#[derive(Debug)]
pub(super) struct Origin {
    host: String,
    class: Mutex<Option<Class>>,
}

impl Origin {
    pub(super) fn new(home: &Url) -> Self {
        Self { host: home.host().to_owned(), class: Mutex::new(Class::named(home)) }
    }

    /// Whether the name of a URL is one to ask. Needed where a proxy looks up the address.
    pub(super) fn permits(&self, url: &Url) -> bool {
        let known = *self.class.lock().unwrap_or_else(PoisonError::into_inner);
        let target = Class::named(url);
        url.host() == self.host || target.is_none_or(|to| permitted(known.unwrap_or(Class::Elsewhere), to))
    }

    /// The judgement of each of the addresses that a host stands for.
    fn judge(&self, host: &str, addresses: &[Class]) -> Vec<bool> {
        let mut class = self.class.lock().unwrap_or_else(PoisonError::into_inner);
        if host.eq_ignore_ascii_case(&self.host) && class.is_none() {
            let elsewhere = addresses.contains(&Class::Elsewhere).then_some(Class::Elsewhere);
            *class = elsewhere.or_else(|| addresses.first().copied());
        }
        let origin = class.unwrap_or(Class::Elsewhere);
        addresses.iter().map(|target| permitted(origin, *target)).collect()
    }
}

/// What the resolver says where no address is left.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is refused")
    }
}

impl std::error::Error for Refused {}

/// What the resolver says of a name that stands for no address.
#[derive(Debug)]
pub(super) struct Unresolved {
    pub(super) host: String,
    why: ureq::Error,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            ureq::Error::Io(error) => error.fmt(f),
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Unresolved {}

/// Looks up addresses and passes on those that may be dialled.
#[derive(Debug)]
pub(super) struct Guard<R = DefaultResolver> {
    pub(super) origin: std::sync::Arc<Origin>,
    pub(super) inner: R,
}

impl<R: Resolver> Resolver for Guard<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().unwrap_or_default();
        let found = self.inner.resolve(uri, config, timeout).map_err(|why| match why {
            ureq::Error::Io(_) | ureq::Error::HostNotFound => {
                ureq::Error::Other(Box::new(Unresolved { host: host.to_owned(), why }))
            }
            other => other,
        })?;
        if is_proxy(uri, config) {
            return Ok(found);
        }
        let classes: Vec<Class> = found.iter().map(|address| Class::of(address.ip())).collect();
        let mut allowed = self.empty();
        for (address, ok) in found.iter().zip(self.origin.judge(host, &classes)) {
            if ok {
                allowed.push(*address);
            }
        }
        if allowed.is_empty() { Err(ureq::Error::Other(Box::new(Refused))) } else { Ok(allowed) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_what_is_here_may_lead_here() {
        use Class::{Elsewhere, LinkLocal, Loopback};
        for (origin, target, expected) in [
            (Elsewhere, Elsewhere, true),
            (Elsewhere, Loopback, false),
            (Elsewhere, LinkLocal, false),
            (Loopback, Loopback, true),
            (Loopback, LinkLocal, false),
            (Loopback, Elsewhere, true),
            (LinkLocal, LinkLocal, true),
            (LinkLocal, Loopback, false),
            (LinkLocal, Elsewhere, true),
        ] {
            assert_eq!(permitted(origin, target), expected, "{origin:?} {target:?}");
        }
    }

    #[test]
    fn a_name_that_changes_its_mind_is_caught() {
        use Class::{Elsewhere, Loopback};
        let home = |host: &str| Origin::new(&Url::new(true, host, "/").unwrap());
        let origin = home("r.example");
        assert_eq!(origin.judge("R.example", &[Elsewhere, Loopback]), [true, false]);
        assert_eq!(origin.judge("r.example", &[Loopback]), [false], "rebound");
        assert_eq!(origin.judge("auth.example", &[Loopback]), [false]);
        assert_eq!(origin.judge("auth.example", &[Elsewhere]), [true]);
        let here = home("r.test");
        assert_eq!(here.judge("r.test", &[Loopback]), [true], "the user said so");
        assert_eq!(here.judge("auth.test", &[Loopback]), [true]);
        let unknown = home("r.example");
        assert_eq!(unknown.judge("auth.example", &[Loopback]), [false]);
        assert_eq!(home("localhost:5000").judge("auth", &[Loopback, Elsewhere]), [true, true]);
    }

    #[test]
    fn names_are_judged_before_they_are_looked_up() {
        let origin = Origin::new(&Url::new(true, "r.example", "/").unwrap());
        for (url, expected) in [
            ("http://localhost/", false),
            ("https://127.0.0.1:1/", false),
            ("http://[::1]/", false),
            ("http://169.254.169.254/latest", false),
            ("https://cdn.example/", true),
            ("https://10.0.0.1/", true),
        ] {
            assert_eq!(origin.permits(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    /// A name server of one's own.
    #[derive(Debug)]
    struct Names(Vec<(&'static str, SocketAddr)>);

    impl Resolver for Names {
        fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            for (_, address) in self.0.iter().filter(|(name, _)| uri.host() == Some(name)) {
                found.push(*address);
            }
            Ok(found)
        }
    }

    #[test]
    fn the_address_that_is_dialled_is_judged() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let names = Names(vec![("evil.example", here)]);
        let origin = Arc::new(Origin::new(&Url::new(true, "r.example", "/").unwrap()));
        let agent = ureq::Agent::with_parts(
            Config::default(),
            ureq::unversioned::transport::DefaultConnector::default(),
            Guard { origin, inner: names },
        );
        let error = agent.get("http://evil.example/").call().unwrap_err();
        assert!(matches!(&error, ureq::Error::Other(e) if e.is::<Refused>()), "{error:?}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nothing was dialled");
    }
}
