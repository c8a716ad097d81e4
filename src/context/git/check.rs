//! What is refused before git sees it.

use std::path::Path;

use super::GitError;
use crate::http::shown;
use crate::plan::{Git, Pin};
use crate::text::shown_up_to;

pub(super) fn git(git: &Git, local: bool) -> Result<(), GitError> {
    let fail = |why| GitError::Address { remote: shown(&git.remote), why };
    remote(&git.remote, local).map_err(fail)?;
    if let Some(reference) = git.reference.as_deref().filter(|reference| !is_reference(reference)) {
        return Err(GitError::Reference(shown_up_to(160, reference)));
    }
    if let Pin::Pinned(commit) = &git.commit
        && (commit.is_empty() || commit.len() > 64 || !commit.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(GitError::Commit(shown_up_to(80, commit)));
    }
    Ok(())
}

/// Only the forms whose meaning is known get through. git knows more: paths, `ext::` and other helpers.
fn remote(remote: &str, local: bool) -> Result<(), &'static str> {
    if remote.contains(|c: char| c.is_control() || c == ' ') {
        return Err("it has spaces or control characters");
    }
    let (authority, path) = match remote.split_once("://") {
        Some(("file", path)) if local && path.starts_with('/') => return Ok(()),
        Some(("https" | "http" | "ssh" | "git", rest)) => {
            let end = rest.find('/').ok_or("it has no path")?;
            rest.split_at(end)
        }
        Some(_) => return Err("its scheme is none of https, http, ssh and git"),
        None => {
            let (authority, path) = remote.split_once(':').ok_or("it is not a URL")?;
            if !authority.contains('@') {
                return Err("it is not a URL");
            }
            (authority, path)
        }
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    // ssh takes what begins with a dash for an option.
    if host.is_empty() || [user, host, path].iter().any(|part| part.starts_with('-')) || host.contains('/') {
        return Err("it names no host");
    }
    Ok(())
}

/// git-check-ref-format(1), and no refspecs or options.
fn is_reference(text: &str) -> bool {
    let odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !text.contains(odd)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.starts_with(['-', '+'])
        && !text.ends_with('.')
        && text.split('/').all(part)
}

pub(super) fn is_full_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The folder is one, and no link leads to it.
pub(super) fn subdir(git: &Git, tree: &Path) -> Result<(), GitError> {
    let Some(subdir) = &git.subdir else { return Ok(()) };
    let fail = |why| GitError::Subdir { remote: shown(&git.remote), subdir: subdir.clone(), why };
    let mut path = tree.to_owned();
    for part in subdir.split('/') {
        if matches!(part, "" | "." | ".." | ".git") || part.contains('\0') {
            return Err(fail("it may not be named so"));
        }
        path.push(part);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) if metadata.is_symlink() => return Err(fail("a link leads to it")),
            Ok(_) => return Err(fail("it is not a folder")),
            Err(_) => return Err(fail("it is not there")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_addresses_get_through() {
        for good in [
            "https://h/r.git",
            "http://u:p@h:1/r.git",
            "ssh://git@h:22/r",
            "git://h/r",
            "git@h:r.git",
            "git@h:/abs/r",
        ] {
            assert_eq!(remote(good, false), Ok(()), "{good}");
        }
        for bad in [
            "ext::sh -c id",
            "ext::sh%20-c%20id",
            "file:///etc",
            "/etc",
            "./x",
            "--upload-pack=id",
            "ssh://-oProxyCommand=id/x",
            "ssh://-oProxyCommand=id@h/x",
            "-oProxyCommand=id@h:x",
            "u@-oProxyCommand=id:x",
            "u@h:-x",
            "https://h/r\n.git",
            "https:///r.git",
            "https://h",
            "https::https://h/r",
            "fd::17",
            "host:path",
            "",
        ] {
            assert!(remote(bad, false).is_err(), "{bad}");
        }
        assert_eq!(remote("file:///srv/r", true), Ok(()));
    }

    #[test]
    fn only_references_get_through() {
        for good in ["main", "refs/tags/v1.0", "feature/x-y", "HEAD", "a+b", "v1@2"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=id",
            "+main",
            "a:b",
            "a..b",
            "a b",
            "a^{}",
            "*",
            "a\\b",
            "a@{1}",
            "/a",
            "a//b",
            "a/",
            "x.lock",
            ".x",
            "a\n",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
