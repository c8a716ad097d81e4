//! Which addresses are dialled. What is judged is the address, not the name: a name can mean another one each time.
//! The rule is that of whoever asks.

use std::fmt;
use std::net::IpAddr;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::is_proxy;

/// Which of the addresses that a host stands for may be dialled.
type Rule = Box<dyn Fn(&str, &[IpAddr]) -> Vec<bool> + Send + Sync>;

/// An agent that dials what the rule lets it, beside the user's own proxy.
pub(crate) fn guarded(
    config: Config,
    rule: impl Fn(&str, &[IpAddr]) -> Vec<bool> + Send + Sync + 'static,
) -> Agent {
    agent(config, Box::new(rule), DefaultResolver::default())
}

/// Whether a request has failed as no address was left.
pub(crate) fn is_refused(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Other(error) if error.is::<Refused>())
}

fn agent(config: Config, rule: Rule, inner: impl Resolver) -> Agent {
    Agent::with_parts(config, DefaultConnector::default(), Guard { rule, inner })
}

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is refused")
    }
}

impl std::error::Error for Refused {}

/// What the resolver says of a name that stands for no address.
#[derive(Debug)]
pub(crate) struct Unresolved {
    pub(crate) host: String,
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

struct Guard<R> {
    rule: Rule,
    inner: R,
}

impl<R: fmt::Debug> fmt::Debug for Guard<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("inner", &self.inner).finish_non_exhaustive()
    }
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
        let addresses: Vec<IpAddr> = found.iter().map(|address| address.ip()).collect();
        let judged = (self.rule)(host, &addresses);
        let mut allowed = self.empty();
        for (address, _) in found.iter().zip(judged).filter(|(_, ok)| *ok) {
            allowed.push(*address);
        }
        if allowed.is_empty() { Err(ureq::Error::Other(Box::new(Refused))) } else { Ok(allowed) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{SocketAddr, TcpListener};

    use super::*;

    /// A name server of one's own, for which each name means the same.
    #[derive(Debug)]
    struct Names(SocketAddr);

    impl Resolver for Names {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let mut found = self.empty();
            found.push(self.0);
            Ok(found)
        }
    }

    /// Whether a name that means this machine is dialled.
    pub(crate) fn dials_this_machine(
        rule: impl Fn(&str, &[IpAddr]) -> Vec<bool> + Send + Sync + 'static,
    ) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let patience = std::time::Duration::from_millis(200);
        let config = Config::builder().timeout_global(Some(patience)).build();
        let agent = agent(config, Box::new(rule), Names(listener.local_addr().unwrap()));
        let error = agent.get("http://innocent.example/").call().unwrap_err();
        let dialled = listener.accept().is_ok();
        assert_eq!(is_refused(&error), !dialled, "{error:?}");
        dialled
    }

    #[test]
    fn the_address_that_is_dialled_is_judged() {
        assert!(dials_this_machine(|_, addresses| vec![true; addresses.len()]));
        assert!(!dials_this_machine(|host, _| vec![host != "innocent.example"]));
    }
}
