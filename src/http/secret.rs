//! What a URL says beside the place: kept apart from it from the start, so that it can't be shown or stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::text;

/// A user and a password, decoded. It shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

impl Credentials {
    /// The value of an `Authorization` header (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// The URL without user and password, and these. An ssh URL keeps its user, who is no secret.
pub fn split(url: &str) -> (String, Option<Credentials>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((who, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let credentials = Credentials { user: decode(user), password: decode(password) };
    let user = if scheme.eq_ignore_ascii_case("ssh") { format!("{user}@") } else { String::new() };
    (format!("{scheme}://{user}{host}{path}"), Some(credentials))
}

/// What messages show of a URL: no credentials, no query, as one may hold a token, and nothing that a terminal
/// would obey.
pub fn shown(url: &str) -> String {
    let (bare, _) = split(url);
    let place = bare.find('?').map_or(bare.clone(), |query| format!("{}?…", &bare[..query]));
    text::shown(&place)
}

/// Percent-decoding. What is malformed stays as it is.
pub fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match tail {
            [high, low, after @ ..] if *first == b'%' && hex(*high).is_some() && hex(*low).is_some() => {
                bytes.extend(hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        for (url, bare, who) in [
            ("https://h/p", "https://h/p", None),
            ("https://u:p%40ss@h:1/p?q#f", "https://h:1/p?q#f", Some(("u", "p@ss"))),
            ("https://tok@en@h", "https://h", Some(("tok@en", ""))),
            ("https://h/a@b", "https://h/a@b", None),
            ("ssh://git:x@h/p", "ssh://git@h/p", Some(("git", "x"))),
            ("git@h:p", "git@h:p", None),
        ] {
            let (found, credentials) = split(url);
            assert_eq!(found, bare);
            let credentials = credentials.map(|c| (c.user, c.password));
            assert_eq!(credentials.as_ref().map(|(u, p)| (&u[..], &p[..])), who);
        }
        assert_eq!(shown("https://u:secret@h/p?token=secret"), "https://h/p?…");
        assert_eq!(shown("https://h/\x1b[2J"), "https://h/\\u{1b}[2J");
        assert!(!format!("{:?}", split("https://u:secret@h").1).contains("secret"));
    }

    #[test]
    fn decoding_leaves_what_it_cannot_read() {
        for (text, expected) in
            [("a%20b", "a b"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%ff", "%ff"), ("%+1", "%+1")]
        {
            assert_eq!(decode(text), expected);
        }
    }
}
