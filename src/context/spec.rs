//! What stands behind a context, in the words of the command line.

use std::path::PathBuf;

use crate::oci::{ParseReferenceError, Reference};

/// A build context, or a base that is named as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSpec {
    Folder(PathBuf),
    /// A tar, compressed or not; or a lone Buildfile, with which comes no file.
    Archive(PathBuf),
    /// The same on standard input.
    Stdin,
    /// The address of a git repository, as typed.
    Git(String),
    /// A tar or a Buildfile behind an http(s) URL.
    Url(String),
    /// `oci-layout://DIR[:TAG][@DIGEST]`, without the scheme.
    OciLayout(String),
    /// `oci-archive://FILE`
    OciArchive(String),
    /// `docker-archive://FILE`
    DockerArchive(String),
    /// `docker-image://NAME`
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
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
}

impl ContextSpec {
    /// Reads what was typed. Whether a path is a folder or an archive is looked up; one that isn't there is taken
    /// for a folder, which the build will miss.
    pub fn parse(text: &str) -> Result<Self, ParseContextError> {
        if text.is_empty() {
            return Err(ParseContextError::Empty);
        }
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if std::path::Path::new(text).is_dir() {
            return Ok(Self::Folder(text.into()));
        }
        if crate::plan::GitAddress::parse(text).is_some() {
            return Ok(Self::Git(text.to_owned()));
        }
        match text.split_once("://") {
            Some(("oci-layout", rest)) => Ok(Self::OciLayout(rest.to_owned())),
            Some(("oci-archive", rest)) => Ok(Self::OciArchive(rest.to_owned())),
            Some(("docker-archive", rest)) => Ok(Self::DockerArchive(rest.to_owned())),
            Some(("docker-image", rest)) => Ok(Self::Image(rest.parse()?)),
            Some(("http" | "https", _)) => Ok(Self::Url(text.to_owned())),
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
                Err(ParseContextError::Scheme(scheme.to_owned()))
            }
            _ if std::path::Path::new(text).is_file() => Ok(Self::Archive(text.into())),
            _ => Ok(Self::Folder(text.into())),
        }
    }

    /// Whether it is an image, rather than files.
    pub fn is_image(&self) -> bool {
        matches!(self, Self::OciLayout(_) | Self::OciArchive(_) | Self::DockerArchive(_) | Self::Image(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        let file = dir.path().join("a.tar");
        std::fs::write(&file, b"").unwrap();
        let parse = |text: &str| ContextSpec::parse(text).unwrap();
        assert_eq!(parse("-"), ContextSpec::Stdin);
        assert_eq!(parse(folder), ContextSpec::Folder(folder.into()));
        assert_eq!(parse(file.to_str().unwrap()), ContextSpec::Archive(file.clone()));
        assert_eq!(parse("not/there"), ContextSpec::Folder("not/there".into()));
        assert_eq!(parse("oci-layout://x:1"), ContextSpec::OciLayout("x:1".into()));
        assert_eq!(parse("https://h/x.tar"), ContextSpec::Url("https://h/x.tar".into()));
        assert_eq!(parse("docker-image://a:1"), ContextSpec::Image("a:1".parse().unwrap()));
        assert!(ContextSpec::parse("oci-layuot://x").is_err());
        assert!(ContextSpec::parse("docker-image://UPPER").is_err());
    }
}
