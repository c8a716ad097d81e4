//! Names of images, as people type them.

use std::fmt;
use std::str::FromStr;

use super::Digest;

/// `[registry/]repository[:tag][@digest]`, with docker's short names filled in: `busybox` is
/// `docker.io/library/busybox:latest` (distribution's reference grammar).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A name together with what it was resolved to: the only kind of image that a build may use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pinned {
    pub name: String,
    /// Of the manifest, not of an index that holds it.
    pub digest: Digest,
}

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an image reference: {why}", .text.escape_debug())]
pub struct ParseReferenceError {
    pub text: String,
    pub why: &'static str,
}

const DEFAULT_REGISTRY: &str = "docker.io";

impl Reference {
    pub fn registry(&self) -> &str {
        &self.registry
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The tag as typed, or `latest` where there is neither a tag nor a digest.
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, None) => Some("latest"),
            (None, Some(_)) => None,
        }
    }

    /// `registry/repository`, without tag or digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same name, for what has that digest.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..self.clone() }
    }

    /// The short form that docker shows: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full.strip_prefix("docker.io/").unwrap_or(&full);
        short
            .strip_prefix("library/")
            .filter(|_| self.registry == DEFAULT_REGISTRY)
            .unwrap_or(short)
            .to_owned()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = self.tag() {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| ParseReferenceError { text: text.chars().take(160).collect(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|_| fail("what follows `@` is not a digest"))?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fail(
                "a tag has up to 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`",
            ));
        }
        let (registry, path) = match name.split_once('/') {
            Some((first, path)) if is_host(first) => (first, path),
            _ => (DEFAULT_REGISTRY, name),
        };
        if path.is_empty() {
            return Err(fail("it names no repository"));
        }
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(fail("a repository's name is lower-case"));
        }
        if !path.split('/').all(is_component) || name.len() > 255 {
            return Err(fail(
                "a repository's name is lower-case letters and digits, with single `.`, `_`, `__` or dashes between them",
            ));
        }
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        let repository = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(Into::into), digest })
    }
}

/// A first component is a host if it could not be a part of a repository's name: it has a dot, a port or
/// capitals, or is `localhost`.
fn is_host(text: &str) -> bool {
    let looks =
        text == "localhost" || text.contains(['.', ':']) || text.bytes().any(|b| b.is_ascii_uppercase());
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) if v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') => {
            ("v6", rest.strip_prefix(':'))
        }
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |l: &str| {
        !l.is_empty()
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let port_fits =
        port.is_none_or(|p| !p.is_empty() && p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()));
    looks && host.split('.').all(label) && port_fits
}

/// Whether a text can be a tag (distribution-spec, "Pulling manifests").
pub(crate) fn is_tag(tag: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    (1..=128).contains(&tag.len()) && tag.bytes().all(fits) && !tag.starts_with(['.', '-'])
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_fit = text.bytes().next().is_some_and(alnum) && text.bytes().last().is_some_and(alnum);
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    ends_fit
        && separators.into_iter().all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_filled_in() {
        let digest = Digest::of(b"");
        for (text, expected, familiar) in [
            ("busybox", "docker.io/library/busybox:latest".to_owned(), "busybox:latest".to_owned()),
            ("a/b:1", "docker.io/a/b:1".into(), "a/b:1".into()),
            ("localhost/a", "localhost/a:latest".into(), "localhost/a:latest".into()),
            ("localhost:5000/a:x", "localhost:5000/a:x".into(), "localhost:5000/a:x".into()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".into(), "[::1]:5000/a:latest".into()),
            (
                "ghcr.io/o/a__b-c--d.e",
                "ghcr.io/o/a__b-c--d.e:latest".into(),
                "ghcr.io/o/a__b-c--d.e:latest".into(),
            ),
            ("index.docker.io/x", "docker.io/library/x:latest".into(), "x:latest".into()),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), expected);
            assert_eq!(reference.familiar(), familiar);
        }
        let pinned: Reference = format!("r.io/a:1@{digest}").parse().unwrap();
        assert_eq!((pinned.tag(), pinned.digest()), (Some("1"), Some(&digest)));
        assert_eq!(format!("a@{digest}").parse::<Reference>().unwrap().tag(), None);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            ":",
            "a:",
            "Upper",
            "a//b",
            "a/",
            "/a",
            "a b",
            "a:.x",
            "a@sha256:12",
            "-a",
            "a-",
            "a___b",
            "a..b",
            "a:b:c",
            "r.io/",
            "../a",
            "a/../b",
            "r.io:99999999/a",
            "a\n",
        ] {
            assert!(text.parse::<Reference>().is_err(), "`{text}` was taken");
        }
    }
}
