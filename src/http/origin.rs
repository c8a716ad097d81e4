//! Where a server may lead: not into the machine that asks, nor to its link, where clouds keep their secrets.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use super::{Class, Url};

/// Whether a server of one class may lead to an address of another.
pub(crate) fn permitted(origin: Class, target: Class) -> bool {
    target == Class::Elsewhere || target == origin
}

/// The server that leads. Its class is that of the addresses that its name has stood for, and once it has been
/// elsewhere it stays there: its name must not become this machine's in the middle.
#[derive(Debug)]
pub(crate) struct Origin {
    host: String,
    class: Mutex<Option<Class>>,
}

impl Origin {
    pub(crate) fn new(home: &Url) -> Self {
        Self { host: home.host().to_owned(), class: Mutex::new(Class::named(home)) }
    }

    /// Whether the name of a URL is one to ask. Needed where a proxy looks up the address.
    pub(crate) fn permits(&self, url: &Url) -> bool {
        let known = *self.class.lock().unwrap_or_else(PoisonError::into_inner);
        let target = Class::named(url);
        url.host() == self.host || target.is_none_or(|to| permitted(known.unwrap_or(Class::Elsewhere), to))
    }

    /// The judgement of each of the addresses that a host stands for.
    pub(crate) fn judge(&self, host: &str, addresses: &[IpAddr]) -> Vec<bool> {
        let classes: Vec<Class> = addresses.iter().map(|address| Class::of(*address)).collect();
        let mut class = self.class.lock().unwrap_or_else(PoisonError::into_inner);
        if host.eq_ignore_ascii_case(&self.host) && class.is_none() {
            let elsewhere = classes.contains(&Class::Elsewhere).then_some(Class::Elsewhere);
            *class = elsewhere.or_else(|| classes.first().copied());
        }
        let origin = class.unwrap_or(Class::Elsewhere);
        classes.into_iter().map(|target| permitted(origin, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dials_this_machine;

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
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (loopback, elsewhere) = (ip("127.0.0.1"), ip("203.0.113.1"));
        let home = |host: &str| Origin::new(&Url::new(true, host, "/").unwrap());
        let origin = home("r.example");
        assert_eq!(origin.judge("R.example", &[elsewhere, loopback]), [true, false]);
        assert_eq!(origin.judge("r.example", &[loopback]), [false], "rebound");
        assert_eq!(origin.judge("auth.example", &[loopback]), [false]);
        assert_eq!(origin.judge("auth.example", &[elsewhere]), [true]);
        let here = home("r.test");
        assert_eq!(here.judge("r.test", &[loopback]), [true], "the user said so");
        assert_eq!(here.judge("auth.test", &[loopback]), [true]);
        let unknown = home("r.example");
        assert_eq!(unknown.judge("auth.example", &[loopback]), [false]);
        assert_eq!(home("localhost:5000").judge("auth", &[loopback, elsewhere]), [true, true]);
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

    #[test]
    fn the_address_that_is_dialled_is_judged() {
        let origin = Origin::new(&Url::new(true, "r.example", "/").unwrap());
        assert!(!dials_this_machine(move |host, addresses| origin.judge(host, addresses)));
    }
}
