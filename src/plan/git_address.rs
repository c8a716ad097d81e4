//! Which texts are addresses of git repositories, and what they say: sources of ADD, and contexts.
//!
//! `https://host/path.git`, `git://`, `ssh://` and `user@host:path`, each with a fragment `#ref:folder` or a query
//! `?ref=…&subdir=…`. Nothing is asked of the network here.

use std::collections::BTreeMap;

use super::{Git, Pin};

/// An address of a repository, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitAddress {
    pub remote: String,
    pub reference: Option<String>,
    pub subdir: Option<String>,
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub submodules: Option<bool>,
}

/// Why an address makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the git address: {0}")]
pub struct GitAddressError(pub String);

/// The folder, normal; `..` stays inside the repository, as BuildKit has it. None for the root.
fn folder(subdir: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in subdir.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    Some(parts.join("/")).filter(|subdir| !subdir.is_empty())
}

/// Remote, query and fragment of what is a repository's address.
fn split(source: &str) -> Option<(String, Option<String>, Option<String>)> {
    match source.split_once("://") {
        Some((scheme, _)) if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            split_url(source, &scheme.to_ascii_lowercase())
        }
        _ => split_scp(source),
    }
}

fn split_url(source: &str, scheme: &str) -> Option<(String, Option<String>, Option<String>)> {
    let (rest, fragment) = cut(source, '#');
    let (remote, query) = cut(rest, '?');
    let place = &remote[scheme.len()..];
    let remote_path = place.strip_prefix("://")?.split_once('/').map_or("", |(_, path)| path);
    let fits = match scheme {
        "http" | "https" => decode(remote_path, false)?.ends_with(".git"),
        "ssh" | "git" => true,
        _ => false,
    };
    let fragment = fragment.map_or(Some(None), |text| decode(text, false).map(Some))?;
    fits.then(|| (format!("{scheme}{place}"), query.map(Into::into), fragment))
}

/// `user@host:path`, as ssh and git take it.
fn split_scp(source: &str) -> Option<(String, Option<String>, Option<String>)> {
    let (user, rest) = source.split_once('@')?;
    let (host, _) = rest.split_once(':')?;
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    if !word(user, b"-_") || !word(host, b"-.") || source.contains('\n') {
        return None;
    }
    let (rest, fragment) = cut(source, '#');
    let (remote, query) = cut(rest, '?');
    Some((remote.to_owned(), query.map(Into::into), fragment.map(Into::into)))
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

impl GitAddress {
    /// Reads an address; None if the text is something else.
    pub fn parse(source: &str) -> Result<Option<Self>, GitAddressError> {
        let Some((remote, query, fragment)) = split(source) else { return Ok(None) };
        let mut address = Self { remote, ..Self::default() };
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            let (reference, subdir) = fragment.split_once(':').unwrap_or((&fragment, ""));
            address.reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
            address.subdir = folder(subdir);
        }
        if let Some(query) = query {
            address.read_query(&query).map_err(GitAddressError)?;
        }
        Ok(Some(address))
    }

    /// A commit of a repository whose address is known to be one, and a folder of it.
    pub fn of_commit(remote: &str, commit: &str, subdir: &str) -> Self {
        Self {
            remote: remote.to_owned(),
            subdir: folder(subdir),
            checksum: Some(commit.to_owned()),
            ..Self::default()
        }
    }

    /// What is to be fetched, with the defaults for what isn't said: no `.git`, and submodules.
    pub fn git(self) -> Git {
        Git {
            remote: self.remote,
            reference: self.reference,
            subdir: self.subdir,
            keep_git_dir: self.keep_git_dir.unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
            commit: self.checksum.map_or(Pin::Unpinned, Pin::Pinned),
        }
    }

    fn read_query(&mut self, query: &str) -> Result<(), String> {
        let (mut tag, mut branch) = (None, None);
        for (key, value) in pairs(query)? {
            match key.as_str() {
                "keep-git-dir" => self.keep_git_dir = Some(flag(&key, &value)?),
                "submodules" => self.submodules = Some(flag(&key, &value)?),
                "fetch-by-commit" => drop(flag(&key, &value)?),
                _ if value.is_empty() => return Err(format!("query `{key}` has no value")),
                "ref" => merge(&mut self.reference, value, "ref")?,
                "tag" => tag = Some(value),
                "branch" => branch = Some(value),
                "subdir" => {
                    let old = self.subdir.take();
                    self.subdir = folder(&value);
                    if old.is_some_and(|old| Some(&old) != self.subdir.as_ref()) {
                        return Err(format!("subdir conflicts with `{value}`"));
                    }
                }
                "checksum" | "commit" => self.checksum = Some(value),
                "mtime" if ["checkout", "commit"].contains(&value.as_str()) => {}
                "mtime" => return Err(format!("invalid mtime `{value}`, expected `checkout` or `commit`")),
                _ => return Err(format!("unexpected query `{key}`")),
            }
        }
        if tag.is_some() && branch.is_some() {
            return Err("branch conflicts with tag".to_owned());
        }
        for (name, prefix) in [(tag, "refs/tags/"), (branch, "refs/heads/")] {
            if let Some(name) = name {
                let full = if name.starts_with(prefix) { name } else { format!("{prefix}{name}") };
                merge(&mut self.reference, full, "ref")?;
            }
        }
        Ok(())
    }
}

fn merge(slot: &mut Option<String>, value: String, what: &str) -> Result<(), String> {
    match slot {
        Some(old) if *old != value => Err(format!("{what} conflicts: `{old}` and `{value}`")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("invalid {key} value: `{value}`, expected `true` or `false`")),
    }
}

/// Each key once, sorted.
fn pairs(query: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(key), Some(value)) = (decode(key, true), decode(value, true)) else { continue };
        if pairs.insert(key.clone(), value).is_some() {
            return Err(format!("query `{key}` has multiple values"));
        }
    }
    Ok(pairs)
}

/// Percent-decoding; None where it is malformed or not UTF-8.
fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Option<GitAddress>, GitAddressError> {
        GitAddress::parse(source)
    }

    fn address(source: &str) -> GitAddress {
        parse(source).unwrap().unwrap_or_else(|| panic!("`{source}` was not taken"))
    }

    #[test]
    fn fragments_say_reference_and_folder() {
        let full = address("https://github.com/foo/bar.git#baz/qux:quux/../quuz/");
        assert_eq!(full.remote, "https://github.com/foo/bar.git");
        assert_eq!(full.reference.as_deref(), Some("baz/qux"));
        assert_eq!(full.subdir.as_deref(), Some("quuz"));
        let folder_only = address("https://github.com/foo/bar.git#:x");
        assert_eq!((folder_only.reference, folder_only.subdir.as_deref()), (None, Some("x")));
        assert_eq!(address("https://x/y.git#:../..").subdir, None);
    }

    #[test]
    fn the_kinds_of_addresses() {
        for source in [
            "git@github.com:foo/bar.git",
            "git://host/x",
            "ssh://git@host:22/x",
            "HTTPS://host/x.git",
            "u@h:x",
        ] {
            assert!(parse(source).unwrap().is_some(), "{source}");
        }
        for source in [
            "https://github.com/foo/bar",
            "https://host/x.git/y",
            "https://host/x?y=.git",
            "file:///x.git",
            "ext::sh -c id",
            "github.com/foo/bar.git",
            "./a@b:c",
            "a/b@c:d",
            "x.git",
            "--upload-pack=x",
        ] {
            assert_eq!(parse(source), Ok(None), "{source}");
        }
        assert_eq!(address("HTTPS://host/x.git").remote, "https://host/x.git");
    }

    #[test]
    fn queries_say_the_same_and_more() {
        let full = address("https://h/r.git?tag=v1&subdir=/a/b&commit=abc&keep-git-dir&submodules=false");
        assert_eq!(full.remote, "https://h/r.git");
        assert_eq!(full.reference.as_deref(), Some("refs/tags/v1"));
        assert_eq!(full.subdir.as_deref(), Some("a/b"));
        assert_eq!(full.checksum.as_deref(), Some("abc"));
        assert_eq!((full.keep_git_dir, full.submodules), (Some(true), Some(false)));
        assert_eq!(address("git@h:r?branch=x%20y").reference.as_deref(), Some("refs/heads/x y"));
    }

    #[test]
    fn contradictions_are_errors() {
        for query in
            ["ref=a&branch=b", "tag=a&branch=b", "what=1", "ref", "ref=a&ref=b", "submodules=x", "mtime=y"]
        {
            assert!(parse(&format!("https://h/r.git?{query}")).is_err(), "{query}");
        }
        assert!(parse("https://h/r.git?ref=a#b").is_err());
        assert!(parse("https://h/r.git?ref=a#a").is_ok());
    }
}
