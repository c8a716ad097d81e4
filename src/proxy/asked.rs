//! A request, as far as its answer depends on it.

use serde::{Deserialize, Serialize};

use crate::http::Url;
use crate::oci::Digest;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(super) method: Method,
    /// Absolute, without user and fragment.
    pub(super) url: String,
    /// `Accept`, for servers that give one thing or another.
    accept: String,
    /// `Git-Protocol`, which decides what git's servers speak.
    git: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Method {
    Get,
    Head,
    /// git's POST that only reads (gitprotocol-http): the same words have the same answer.
    UploadPack(Digest),
}

impl Asked {
    pub(super) fn new(method: Method, url: &Url, accept: Option<&str>, git: Option<&str>) -> Self {
        Self {
            method,
            url: url.text(),
            accept: accept.unwrap_or("*/*").to_owned(),
            git: git.map(ToOwned::to_owned),
        }
    }

    /// The GET whose answer a lock has under this key; none for other requests.
    pub(super) fn of_name(name: &str) -> Option<(Self, Url)> {
        let mut words = name.splitn(2, ' ');
        let url = Url::parse(words.next()?)?;
        let rest = words.next().unwrap_or_default();
        let (git, accept) = match rest.split_once("accept=") {
            Some((git, accept)) => (git.trim_end(), Some(accept)),
            None => (rest, None),
        };
        let asked = Self::new(Method::Get, &url, accept, git.strip_prefix("git-protocol="));
        Some((asked, url))
    }

    /// The keys under which a lock may have the answer, in the order in which they count.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = vec![self.name(true), self.name(false)];
        if self.method == Method::Head {
            let get = Self { method: Method::Get, ..self.clone() };
            names.extend([get.name(true), get.name(false)]);
        }
        names
    }

    /// The key of the answer. `varies`, if another `Accept` may have another.
    pub(super) fn name(&self, varies: bool) -> String {
        let (before, after) = match &self.method {
            Method::Get => ("", String::new()),
            Method::Head => ("HEAD ", String::new()),
            Method::UploadPack(digest) => ("POST ", format!(" {digest}")),
        };
        let mut name = format!("{before}{}{after}", self.url);
        if let Some(git) = &self.git {
            name.push_str(&format!(" git-protocol={git}"));
        }
        if varies {
            name.push_str(&format!(" accept={}", self.accept));
        }
        name
    }

    /// About as many bytes as it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.url.len() + self.accept.len() + self.git.as_ref().map_or(0, String::len)
    }

    pub(super) fn accept(&self) -> &str {
        &self.accept
    }

    pub(super) fn git(&self) -> Option<&str> {
        self.git.as_deref()
    }
}

impl Method {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::UploadPack(_) => "POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_has_another_name() {
        let url = Url::parse("https://H.example:443/a?b#c").unwrap();
        let get = Asked::new(Method::Get, &url, None, None);
        assert_eq!(get.names(), ["https://h.example/a?b accept=*/*", "https://h.example/a?b"]);
        let head = Asked::new(Method::Head, &url, Some("text/html"), None);
        assert_eq!(
            head.names(),
            [
                "HEAD https://h.example/a?b accept=text/html",
                "HEAD https://h.example/a?b",
                "https://h.example/a?b accept=text/html",
                "https://h.example/a?b"
            ]
        );
        let digest = Digest::of(b"want");
        let post = Asked::new(Method::UploadPack(digest.clone()), &url, None, Some("version=2"));
        assert_eq!(Asked::of_name(&post.name(false)), None);
        for (git, accept) in [(None, None), (Some("version=2"), Some("a/b, c/d;q=0.5"))] {
            let get = Asked::new(Method::Get, &url, accept, git);
            assert_eq!(Asked::of_name(&get.name(true)), Some((get, url.clone())));
        }
        assert_eq!(post.name(false), format!("POST https://h.example/a?b {digest} git-protocol=version=2"));
    }
}
