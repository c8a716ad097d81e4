//! `-o`: where a build's result goes, in buildx's words.
//!
//! `type=oci,dest=x.tar,name=a:1` is one record of comma-separated values, so that a value with commas is written
//! `"name=a,b"`. A word without `=` is a folder to put the files in, and `-` a tar on standard output. Unlike there,
//! `type=oci` writes a folder, and `tar=true` or `type=oci-archive` an archive.

use std::path::PathBuf;

use super::Destination;
use crate::compression::{Compression, ParseCompressionError};
use crate::oci::{ParseReferenceError, Reference};
use crate::text::{closest, field};

/// One `-o`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    pub kind: OutputKind,
    /// What the image is called there, beside the build's own tags.
    pub names: Vec<Reference>,
    /// How the build's layers are to be compressed.
    pub compression: Option<Compression>,
    /// `annotation.KEY=VALUE`, in the order of the text.
    pub annotations: Vec<(String, String)>,
}

/// What is written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputKind {
    /// An image layout in a folder.
    Layout(PathBuf),
    /// An image layout in a tar.
    OciArchive(Destination),
    /// What `docker load` takes.
    DockerArchive(Destination),
    /// Into docker's own store, by its command, in this context of docker's.
    Docker { context: Option<String> },
    /// The root file system as files in a folder.
    Local(Split<PathBuf>),
    /// The root file system as a tar.
    Tar(Split<Destination>),
    /// Into lith's store and, if `push`, to the registry that each name says.
    Image { push: bool },
    /// To the registry that each name says, and not into the store; `by_digest` without a tag.
    Registry { by_digest: bool },
    /// Nowhere: what was built is in the cache.
    CacheOnly,
}

/// A destination of files, and whether each platform gets a folder of its own in it. Where nothing is said, several
/// platforms do, and one doesn't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<T> {
    pub to: T,
    pub by_platform: Option<bool>,
}

impl<T> From<T> for Split<T> {
    fn from(to: T) -> Self {
        Self { to, by_platform: None }
    }
}

/// Why a text is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseOutputError {
    #[error("an output is empty; expected `type=TYPE,dest=PATH`, a folder or `-`")]
    Empty,
    #[error("output `{}` has a quote without an end", .0.escape_debug())]
    Quote(String),
    #[error("expected `key=value` in an output, found `{}`", .0.escape_debug())]
    NoEquals(String),
    #[error("output key `{}` is given twice", .0.escape_debug())]
    Twice(String),
    #[error("an output needs `type=`: one of {}", TYPES.join(", "))]
    NoType,
    #[error("there is no output type `{}`{}; there are {}", .0.escape_debug(), hint(.0, TYPES), TYPES.join(", "))]
    UnknownType(String),
    #[error("output type `{kind}` has no key `{}`{}; it has {}", key.escape_debug(), hint(key, known), known.join(", "))]
    UnknownKey { kind: &'static str, key: String, known: Vec<&'static str> },
    #[error("output type `{kind}` needs `dest={expected}`")]
    NoDestination { kind: &'static str, expected: &'static str },
    /// docker's default is the archive.
    #[error(
        "output type `oci` writes a folder, and `dest={}` looks like one file: add `tar=true` for that, or `tar=false` \
         for a folder of this name", .dest.escape_debug()
    )]
    FolderOrArchive { dest: String },
    #[error("output type `{kind}` writes a folder, which standard output is not")]
    FolderToStdout { kind: &'static str },
    #[error("output key `{key}` takes `true` or `false`, found `{}`", .found.escape_debug())]
    Bool { key: &'static str, found: String },
    #[error("output key `{key}={value}` asks for what lith never writes: {why}")]
    Never { key: &'static str, value: String, why: &'static str },
    #[error("output key `name`: {0}")]
    Name(#[from] ParseReferenceError),
    #[error("output key `compression`: {0}")]
    Compression(#[from] ParseCompressionError),
}

const TYPES: &[&str] =
    &["oci", "oci-archive", "docker", "docker-archive", "local", "tar", "image", "registry", "cacheonly"];
const NOTHING: &[&str] = &["type"];
const FILES: &[&str] = &["type", "dest", "platform-split"];
const DOCKER: &[&str] = &["type", "dest", "name", "context"];
const ARCHIVE: &[&str] = &["type", "dest", "name", "tar"];
const IMAGE: &[&str] = &["type", "name", "name-canonical", "push", "push-by-digest"];
/// Of each that has an image.
const SHAPE: &[&str] = &[
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "rewrite-timestamp",
    "annotation.KEY",
];

fn hint(typed: &str, known: &[&str]) -> String {
    closest(typed, known.iter().copied()).map_or(String::new(), |word| format!(" (did you mean `{word}`?)"))
}

impl Output {
    /// Reads one `-o`.
    pub fn parse(text: &str) -> Result<Self, ParseOutputError> {
        if text.is_empty() {
            return Err(ParseOutputError::Empty);
        }
        let mut fields = Fields::read(text)?;
        match &fields.0[..] {
            [(word, None)] if word == "-" => {
                return Ok(Self::of(OutputKind::Tar(Destination::Stdout.into())));
            }
            [(word, None)] => return Ok(Self::of(OutputKind::Local(PathBuf::from(word).into()))),
            _ => {}
        }
        if let Some((word, _)) = fields.0.iter().find(|(_, value)| value.is_none()) {
            return Err(ParseOutputError::NoEquals(word.clone()));
        }
        let kind = fields.take("type").ok_or(ParseOutputError::NoType)?;
        let kind = *TYPES.iter().find(|known| **known == kind).ok_or(ParseOutputError::UnknownType(kind))?;
        fields.check(kind)?;
        Ok(Self {
            names: fields.names()?,
            compression: fields.compression()?,
            annotations: fields.annotations(),
            kind: fields.kind(kind)?,
        })
    }

    fn of(kind: OutputKind) -> Self {
        Self { kind, names: Vec::new(), compression: None, annotations: Vec::new() }
    }
}

/// The fields of a record, keys in lower case. A word without `=` has no value.
struct Fields(Vec<(String, Option<String>)>);

impl Fields {
    fn read(text: &str) -> Result<Self, ParseOutputError> {
        let mut fields: Vec<(String, Option<String>)> = Vec::new();
        for field in split(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.trim().to_lowercase(), Some(value.to_owned())),
                None => (field, None),
            };
            if fields.iter().any(|(old, _)| *old == key) {
                return Err(ParseOutputError::Twice(key));
            }
            fields.push((key, value));
        }
        Ok(Self(fields))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == key)?;
        self.0.remove(at).1
    }

    fn take_bool(&mut self, key: &'static str) -> Result<Option<bool>, ParseOutputError> {
        // Go's words for it.
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(found) => Err(ParseOutputError::Bool { key, found: found.to_owned() }),
        }
    }

    fn check(&mut self, kind: &'static str) -> Result<(), ParseOutputError> {
        let known = match kind {
            "local" | "tar" => FILES.to_vec(),
            "cacheonly" => NOTHING.to_vec(),
            "image" | "registry" => [IMAGE, SHAPE].concat(),
            "docker" | "docker-archive" => [DOCKER, SHAPE].concat(),
            _ => [ARCHIVE, SHAPE].concat(),
        };
        let has_annotations = known.contains(&"annotation.KEY");
        let is_known = |key: &str| known.contains(&key) || has_annotations && key.starts_with("annotation.");
        if let Some((key, _)) = self.0.iter().find(|(key, _)| !is_known(key)) {
            return Err(ParseOutputError::UnknownKey { kind, key: key.clone(), known });
        }
        for (key, why) in [
            ("oci-mediatypes", "its images are OCI's"),
            ("rewrite-timestamp", "its layers have the epoch from the start"),
        ] {
            if self.take_bool(key)? == Some(false) {
                return Err(ParseOutputError::Never { key, value: "false".into(), why });
            }
        }
        if self.take_bool("force-compression")? == Some(true) {
            let why = "the layers of a base image stay as they are";
            return Err(ParseOutputError::Never { key: "force-compression", value: "true".into(), why });
        }
        Ok(())
    }

    fn names(&mut self) -> Result<Vec<Reference>, ParseOutputError> {
        let names = self.take("name").unwrap_or_default();
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        Ok(names.map(str::parse).collect::<Result<_, _>>()?)
    }

    fn compression(&mut self) -> Result<Option<Compression>, ParseOutputError> {
        let level = self.take("compression-level");
        let Some(mut text) = self.take("compression").or(level.as_ref().map(|_| "gzip".into())) else {
            return Ok(None);
        };
        if text == "uncompressed" {
            // BuildKit's word for it, with which it ignores a level.
            return Ok(Some(Compression::NONE));
        }
        if let Some(level) = level {
            text = format!("{text}:{level}");
        }
        Ok(Some(text.parse()?))
    }

    fn annotations(&mut self) -> Vec<(String, String)> {
        let pairs = self.0.iter().filter_map(|(key, value)| {
            let key = key.strip_prefix("annotation.")?;
            Some((key.to_owned(), value.clone().unwrap_or_default()))
        });
        pairs.collect()
    }

    fn kind(&mut self, kind: &'static str) -> Result<OutputKind, ParseOutputError> {
        let tar = self.take_bool("tar")?;
        let by_platform = self.take_bool("platform-split")?;
        let dest = self.take("dest").filter(|dest| !dest.is_empty());
        let file = |expected| match dest.clone() {
            None => Err(ParseOutputError::NoDestination { kind, expected }),
            Some(dest) if dest == "-" => Ok(Destination::Stdout),
            Some(dest) => Ok(Destination::File(dest.into())),
        };
        let folder = || match file("DIR")? {
            Destination::File(path) => Ok(path),
            Destination::Stdout => Err(ParseOutputError::FolderToStdout { kind }),
        };
        Ok(match kind {
            "oci" if tar == Some(true) => OutputKind::OciArchive(file("FILE")?),
            // What is on standard output can only be an archive.
            "oci" if tar.is_none() && dest.as_deref() == Some("-") => OutputKind::OciArchive(file("FILE")?),
            "oci" => match dest.as_deref() {
                Some(dest) if tar.is_none() && dest.ends_with(".tar") => {
                    return Err(ParseOutputError::FolderOrArchive { dest: dest.to_owned() });
                }
                _ => OutputKind::Layout(folder()?),
            },
            "oci-archive" => OutputKind::OciArchive(file("FILE")?),
            "docker" if dest.is_none() => OutputKind::Docker { context: self.take("context") },
            "docker" | "docker-archive" => OutputKind::DockerArchive(file("FILE")?),
            "local" => OutputKind::Local(Split { to: folder()?, by_platform }),
            "tar" if dest.is_none() => OutputKind::Tar(Split { to: Destination::Stdout, by_platform }),
            "tar" => OutputKind::Tar(Split { to: file("FILE")?, by_platform }),
            "cacheonly" => OutputKind::CacheOnly,
            _ => {
                let push = self.take_bool("push")?.unwrap_or(kind == "registry");
                let by_digest = self.take_bool("push-by-digest")?.unwrap_or(false);
                // docker's word for printing names with their digests, as lith does anyway.
                self.take_bool("name-canonical")?;
                match push {
                    true if kind == "registry" || by_digest => OutputKind::Registry { by_digest },
                    push => OutputKind::Image { push },
                }
            }
        })
    }
}

fn split(text: &str) -> Result<Vec<String>, ParseOutputError> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, length) = field(rest).ok_or_else(|| ParseOutputError::Quote(text.to_owned()))?;
        fields.push(field);
        match rest[length..].strip_prefix(',') {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn kind(text: &str) -> OutputKind {
        Output::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).kind
    }

    fn file(path: &str) -> Destination {
        Destination::File(path.into())
    }

    #[test]
    fn each_type_has_its_destination() {
        for (text, expected) in [
            ("type=oci,dest=out", OutputKind::Layout("out".into())),
            ("type=oci,dest=out,tar=false", OutputKind::Layout("out".into())),
            ("type=oci,dest=o.tar,tar=true", OutputKind::OciArchive(file("o.tar"))),
            ("type=oci,dest=-", OutputKind::OciArchive(Destination::Stdout)),
            ("type=oci-archive,dest=o.tar", OutputKind::OciArchive(file("o.tar"))),
            ("type=docker", OutputKind::Docker { context: None }),
            ("type=docker,dest=-", OutputKind::DockerArchive(Destination::Stdout)),
            ("TYPE=docker, Dest=d.tar", OutputKind::DockerArchive(file("d.tar"))),
            ("type=local,dest=root", OutputKind::Local(PathBuf::from("root").into())),
            ("type=tar", OutputKind::Tar(Destination::Stdout.into())),
            ("type=tar,dest=t.tar", OutputKind::Tar(file("t.tar").into())),
            (
                "type=local,dest=r,platform-split=false",
                OutputKind::Local(Split { to: "r".into(), by_platform: Some(false) }),
            ),
            ("type=docker,context=far", OutputKind::Docker { context: Some("far".into()) }),
            ("-", OutputKind::Tar(Destination::Stdout.into())),
            ("out/folder", OutputKind::Local(PathBuf::from("out/folder").into())),
            ("\"a,b\"", OutputKind::Local(PathBuf::from("a,b").into())),
            ("type=oci,\"dest=a,\"\"b\"\"\"", OutputKind::Layout("a,\"b\"".into())),
            ("type=image,name=a,push=true", OutputKind::Image { push: true }),
            ("type=image", OutputKind::Image { push: false }),
            ("type=registry,name=r.io/a", OutputKind::Registry { by_digest: false }),
            (
                "type=image,name=r.io/a,push-by-digest=true,name-canonical=true,push=true",
                OutputKind::Registry { by_digest: true },
            ),
            ("type=registry,name=r.io/a,push=false", OutputKind::Image { push: false }),
            ("type=oci,dest=o.tar,tar=false", OutputKind::Layout("o.tar".into())),
            ("type=cacheonly", OutputKind::CacheOnly),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn the_rest_is_read_too() {
        let text = "type=oci,dest=x,\"name=a:1, b\",compression=zstd,compression-level=5,annotation.k=v,oci-mediatypes=true";
        let output = Output::parse(text).unwrap();
        let names: Vec<String> = output.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/library/a:1", "docker.io/library/b:latest"]);
        assert_eq!(output.compression, Compression::zstd(5));
        assert_eq!(output.annotations, [("k".to_owned(), "v".to_owned())]);
        let none = Output::parse("type=oci,dest=x,compression=uncompressed").unwrap();
        assert_eq!(none.compression, Some(Compression::NONE));
    }

    #[test]
    fn errors_say_what_was_wanted() {
        let errors: Vec<String> = [
            "",
            "type=oic,dest=x",
            "dest=x",
            "type=oci",
            "type=oci,dest=x,dst=y",
            "type=oci,dest=x,dest=y",
            "type=oci,dest",
            "type=local,dest=-",
            "type=local,dest=x,name=y",
            "type=oci,dest=x,tar=maybe",
            "type=oci,\"dest=x",
            "type=oci,\"dest\"=x",
            "type=oci,dest=x,name=UPPER",
            "type=oci,dest=x,compression=gzipp",
            "type=oci,dest=x,oci-mediatypes=false",
            "type=\u{1b}[2J",
            "type=oci,dest=out/o.tar",
            "type=cacheonly,annotation.a=b",
        ]
        .iter()
        .map(|text| Output::parse(text).unwrap_err().to_string())
        .collect();
        expect![[r#"
            an output is empty; expected `type=TYPE,dest=PATH`, a folder or `-`
            there is no output type `oic` (did you mean `oci`?); there are oci, oci-archive, docker, docker-archive, local, tar, image, registry, cacheonly
            an output needs `type=`: one of oci, oci-archive, docker, docker-archive, local, tar, image, registry, cacheonly
            output type `oci` needs `dest=DIR`
            output type `oci` has no key `dst` (did you mean `dest`?); it has type, dest, name, tar, compression, compression-level, force-compression, oci-mediatypes, rewrite-timestamp, annotation.KEY
            output key `dest` is given twice
            expected `key=value` in an output, found `dest`
            output type `local` writes a folder, which standard output is not
            output type `local` has no key `name`; it has type, dest, platform-split
            output key `tar` takes `true` or `false`, found `maybe`
            output `type=oci,\"dest=x` has a quote without an end
            output `type=oci,\"dest\"=x` has a quote without an end
            output key `name`: `UPPER` is not an image reference: a repository's name is lower-case
            output key `compression`: expected `gzip`, `zstd` or `none`, found `gzipp`
            output key `oci-mediatypes=false` asks for what lith never writes: its images are OCI's
            there is no output type `\u{1b}[2J`; there are oci, oci-archive, docker, docker-archive, local, tar, image, registry, cacheonly
            output type `oci` writes a folder, and `dest=out/o.tar` looks like one file: add `tar=true` for that, or `tar=false` for a folder of this name
            output type `cacheonly` has no key `annotation.a`; it has type"#]].assert_eq(&errors.join("\n"));
    }
}
