//! What stands behind a context, in the words of the command line.

use std::path::PathBuf;

use crate::oci::{ParseReferenceError, Reference};
use crate::plan::{Git, GitAddress, GitAddressError};
use crate::transport::ImageFormat;

/// A build context, or a base that is named as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSpec {
    Folder(PathBuf),
    /// A tar, compressed or not; or a lone Buildfile, with which comes no file.
    Archive(PathBuf),
    /// The same on standard input.
    Stdin,
    /// The address of a git repository, taken apart.
    Git(Git),
    /// A tar or a Buildfile behind an http(s) URL.
    Url(String),
    /// `oci-layout://DIR[:TAG][@DIGEST]` or `oci:DIR`, `oci-archive:FILE` or `docker-archive:FILE` (with `//` or without),
    /// without the scheme.
    ImageAt(ImageFormat, String),
    /// `docker-image://NAME` or `docker://NAME`
    Image(Reference),
}

/// Why a text is no context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseContextError {
    #[error("the context is empty; expected a folder, an archive, a URL or `-`")]
    Empty,
    #[error(
        "`{}` is no kind of context; there are oci-layout://, oci-archive://, docker-archive://, docker-image://, http(s):// and git addresses",
        .0.escape_debug()
    )]
    Scheme(String),
    #[error("`{0}` names nothing")]
    NoName(String),
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    #[error(transparent)]
    Git(#[from] GitAddressError),
}

impl ContextSpec {
    /// Reads what was typed. Whether a path is a folder or an archive is looked up; one that isn't there is taken
    /// for a folder, which the build will miss. What is there as a path is that, whatever else it could mean.
    pub fn parse(text: &str) -> Result<Self, ParseContextError> {
        match text {
            "" => return Err(ParseContextError::Empty),
            "-" => return Ok(Self::Stdin),
            _ => {}
        }
        match std::fs::metadata(text) {
            Ok(metadata) if metadata.is_dir() => return Ok(Self::Folder(text.into())),
            // Anything else that is there: FIFOs, as `<(…)` makes them, are archives too.
            Ok(_) => return Ok(Self::Archive(text.into())),
            Err(_) => {}
        }
        if let Some(spec) = image(text)? {
            return Ok(spec);
        }
        if let Some(address) = git_address(text)? {
            return Ok(Self::Git(address.git()));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Folder(text.into())) };
        let named = || match rest {
            "" => Err(ParseContextError::NoName(text.to_owned())),
            rest => Ok(rest.to_owned()),
        };
        if let Some(format) = ImageFormat::of_scheme(scheme) {
            return Ok(Self::ImageAt(format, named()?));
        }
        match scheme {
            "docker-image" => Ok(Self::Image(named()?.parse()?)),
            "http" | "https" => Ok(Self::Url(text.to_owned())),
            scheme if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                Err(ParseContextError::Scheme(scheme.to_owned()))
            }
            _ => Ok(Self::Folder(text.into())),
        }
    }

    /// Whether it is an image, rather than files.
    pub fn is_image(&self) -> bool {
        matches!(self, Self::ImageAt(..) | Self::Image(_))
    }
}

/// An image, as those commands take it that copy images: `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker://NAME`.
fn image(text: &str) -> Result<Option<ContextSpec>, ParseContextError> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(None) };
    let slashed = rest.strip_prefix("//");
    let place = slashed.unwrap_or(rest);
    let named = || Err(ParseContextError::NoName(text.to_owned()));
    let format = match (scheme, slashed) {
        ("docker", Some("")) => return named(),
        ("docker", Some(name)) => return Ok(Some(ContextSpec::Image(name.parse()?))),
        ("oci", _) => Some(ImageFormat::OciLayout),
        (scheme, None) => ImageFormat::of_scheme(scheme),
        _ => None,
    };
    match format {
        Some(_) if place.is_empty() => named(),
        format => Ok(format.map(|format| ContextSpec::ImageAt(format, place.to_owned()))),
    }
}

/// As in a Buildfile, and `github.com/…` without a scheme, which docker takes for a context alone.
fn git_address(text: &str) -> Result<Option<GitAddress>, GitAddressError> {
    let Some(place) = text.strip_prefix("github.com/") else { return GitAddress::parse(text) };
    let end = place.find(['#', '?']).unwrap_or(place.len());
    let (name, rest) = place.split_at(end);
    GitAddress::parse(&format!("https://github.com/{}.git{rest}", name.trim_end_matches(".git")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(remote: &str, reference: Option<&str>, subdir: Option<&str>) -> ContextSpec {
        let address = GitAddress {
            remote: remote.into(),
            reference: reference.map(Into::into),
            subdir: subdir.map(Into::into),
            ..GitAddress::default()
        };
        ContextSpec::Git(address.git())
    }

    #[test]
    fn each_kind_is_told_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        let file = dir.path().join("a.tar");
        std::fs::write(&file, b"").unwrap();
        for (text, expected) in [
            ("-", ContextSpec::Stdin),
            (folder, ContextSpec::Folder(folder.into())),
            (file.to_str().unwrap(), ContextSpec::Archive(file.clone())),
            ("not/there", ContextSpec::Folder("not/there".into())),
            ("oci-layout://x:1", ContextSpec::ImageAt(ImageFormat::OciLayout, "x:1".into())),
            ("oci-archive:///x", ContextSpec::ImageAt(ImageFormat::OciArchive, "/x".into())),
            ("docker-archive://x", ContextSpec::ImageAt(ImageFormat::DockerArchive, "x".into())),
            ("oci:x:1", ContextSpec::ImageAt(ImageFormat::OciLayout, "x:1".into())),
            ("oci-layout:x", ContextSpec::ImageAt(ImageFormat::OciLayout, "x".into())),
            ("oci-archive:x", ContextSpec::ImageAt(ImageFormat::OciArchive, "x".into())),
            ("docker-archive:x", ContextSpec::ImageAt(ImageFormat::DockerArchive, "x".into())),
            ("docker://h/a:1", ContextSpec::Image("h/a:1".parse().unwrap())),
            ("docker-image://a:1", ContextSpec::Image("a:1".parse().unwrap())),
            ("https://h/x.tar", ContextSpec::Url("https://h/x.tar".into())),
            ("https://h/x.git#v1:sub", git("https://h/x.git", Some("v1"), Some("sub"))),
            ("git@h:x", git("git@h:x", None, None)),
            ("github.com/o/r#v1", git("https://github.com/o/r.git", Some("v1"), None)),
            ("github.com/o/r.git?branch=b", git("https://github.com/o/r.git", Some("refs/heads/b"), None)),
        ] {
            assert_eq!(ContextSpec::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_context_is_refused() {
        for text in [
            "",
            "oci-layuot://x",
            "oci-layout://",
            "oci:",
            "docker://",
            "docker-image://UPPER",
            "https://h/r.git?what=1",
        ] {
            assert!(ContextSpec::parse(text).is_err(), "{text}");
        }
        assert!(matches!(ContextSpec::parse("ext://x"), Err(ParseContextError::Scheme(_))));
    }
}
