//! An http or https URL, taken apart as far as trust goes: scheme, host, port, and the rest.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

/// An absolute URL without user, password and fragment. It is only written whole by [`Url::text`]; all else
/// that shows it leaves out the query, which may be a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
    /// Path and query.
    rest: String,
}

impl Url {
    /// `host` may have a port; `rest` begins with a slash.
    pub fn new(secure: bool, host: &str, rest: &str) -> Option<Self> {
        let scheme = if secure { "https" } else { "http" };
        Self::parse(&format!("{scheme}://{host}{rest}"))
    }

    /// Reads an absolute URL. One with a user in it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.split('#').next()?.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.as_str().get(host.len()..)? {
            "" | ":" => default_port(secure),
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        (!host.is_empty()).then_some(Self { secure, host, port, rest })
    }

    /// What a reference in an answer from here means (RFC 3986, without the removal of dots).
    pub fn join(&self, reference: &str) -> Option<Self> {
        let reference = reference.trim().split('#').next()?;
        let end = reference.find(['/', '?']).unwrap_or(reference.len());
        if reference[..end].contains(':') {
            return Self::parse(reference);
        }
        let path = self.path();
        let rest = match reference {
            "" => return Some(self.clone()),
            _ if reference.starts_with("//") => {
                let scheme = if self.secure { "https:" } else { "http:" };
                return Self::parse(&format!("{scheme}{reference}"));
            }
            _ if reference.starts_with('/') => reference.to_owned(),
            _ if reference.starts_with('?') => format!("{path}{reference}"),
            _ => format!("{}{reference}", &path[..=path.rfind('/').unwrap_or(0)]),
        };
        Self::parse(&format!("{}{rest}", self.origin()))
    }

    /// Whether it is https.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The host in lower case, an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port, as names of registries have them: the port only if it is another than usual.
    pub fn authority(&self) -> String {
        match self.port {
            port if port == default_port(self.secure) => self.host.clone(),
            port => format!("{}:{port}", self.host),
        }
    }

    pub fn path(&self) -> &str {
        self.rest.split('?').next().unwrap_or_default()
    }

    /// Whether both are of one server: scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether the name alone says that this is this machine.
    pub fn names_loopback(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        name == "localhost"
            || name.ends_with(".localhost")
            || self.address().is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// With this added to the query.
    #[must_use]
    pub fn with_query(&self, query: &str) -> Self {
        let sign = match (query.is_empty(), self.rest.contains('?')) {
            (true, _) => "",
            (_, true) => "&",
            (_, false) => "?",
        };
        Self { rest: format!("{}{sign}{query}", self.rest), ..self.clone() }
    }

    /// All of it, for the one who is asked and nobody else.
    pub fn text(&self) -> String {
        format!("{}{}", self.origin(), self.rest)
    }

    fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::shown(&self.text()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// The value of a field of a query or a form: all but RFC 3986's unreserved characters is encoded.
pub fn encode(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, secure, host, port, whole) in [
            ("https://H.example/a?b#c", true, "h.example", 443, "https://h.example/a?b"),
            ("http://h:80", false, "h", 80, "http://h/"),
            ("https://h:80?q", true, "h", 80, "https://h:80/?q"),
            ("http://[::1]:5000/v2/", false, "[::1]", 5000, "http://[::1]:5000/v2/"),
        ] {
            let url = Url::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((url.secure(), url.host(), url.port()), (secure, host, port), "{text}");
            assert_eq!(url.text(), whole);
        }
        let wrong =
            ["", "h", "/p", "ftp://h/", "https://", "https://u:p@h/", "https://h:99999/", "http://h:x/"];
        for text in
            wrong.into_iter().chain(["https://h/a b", "https://h\u{e9}/", "file:///etc/passwd", "//h/p"])
        {
            assert_eq!(Url::parse(text), None, "{text}");
        }
        assert_eq!(
            Url::new(true, "h:5000", "/v2/").map(|url| url.text()).as_deref(),
            Some("https://h:5000/v2/")
        );
    }

    #[test]
    fn references_are_joined() {
        let base = Url::parse("https://h:1/a/b?c").unwrap();
        for (reference, expected) in [
            ("/x", Some("https://h:1/x")),
            ("x?y#z", Some("https://h:1/a/x?y")),
            ("?y", Some("https://h:1/a/b?y")),
            ("", Some("https://h:1/a/b?c")),
            ("//o/x", Some("https://o/x")),
            ("http://o/x", Some("http://o/x")),
            ("/x:y", Some("https://h:1/x:y")),
            ("file:///x", None),
            ("https:x", None),
            ("//u@o/x", None),
        ] {
            assert_eq!(base.join(reference).map(|url| url.text()).as_deref(), expected, "{reference}");
        }
    }

    #[test]
    fn loopback_is_known_by_name() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:5000", true),
            ("a.localhost", true),
            ("127.8.8.8", true),
            ("[::1]:5000", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example", false),
            ("notlocalhost", false),
            ("10.0.0.1", false),
            ("127.0.0.1.example", false),
        ] {
            assert_eq!(Url::new(true, host, "/").unwrap().names_loopback(), expected, "{host}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let url = Url::parse("https://h/p").unwrap().with_query(&format!("token={}", encode("a&b c")));
        assert_eq!(url.text(), "https://h/p?token=a%26b%20c");
        assert_eq!(url.with_query("x=1").text(), "https://h/p?token=a%26b%20c&x=1");
        assert_eq!(format!("{url} {url:?}"), "https://h/p?… https://h/p?…");
    }
}
