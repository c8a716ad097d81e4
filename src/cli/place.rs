//! Where an image is, as subcommands that look at or copy images take it.

use lith::image::{Artifact, Blobs, Image};
use lith::oci::{Descriptor, Digest, Platform, Reference, Repository};
use lith::store::Store;
use lith::transport::registry::RegistrySink;
use lith::transport::{
    Daemon, Destination, DockerArchiveSink, ImageFormat, LayoutSink, Name, OciArchiveSink, Sink, Source,
    StoreSink, StoreSource, Watch, import_layers, read,
};
use lith::tree::Changes;

use super::error::{Hinted, tell};
use super::format::FormatArg;
use super::progress::ProgressArg;
use super::reach::Reach;

/// A name or digest, or an image outside of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The store's, or a registry's if the store has none; as a destination the store's.
    Name(String),
    Store(String),
    Registry(Reference),
    At(ImageFormat, String),
    /// docker or podman: a destination alone.
    Daemon(String),
}

/// An image that was read: its documents are verified, its layers wait where they are.
pub(super) struct Found<'a> {
    pub(super) artifact: Artifact,
    source: Box<dyn Source + 'a>,
}

impl Place {
    /// Reads `NAME`, `store:NAME`, `docker://NAME`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`,
    /// `docker-archive:FILE[:NAME]` or `docker-daemon:NAME`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        if is_remote(text) {
            return Ok(Self::Registry(parse_remote(text)?));
        }
        Ok(match text.split_once(':') {
            Some(("store", rest)) => Self::Store(rest.to_owned()),
            Some(("oci" | "oci-layout", rest)) => Self::At(ImageFormat::OciLayout, path(rest).to_owned()),
            Some(("oci-archive", rest)) => Self::At(ImageFormat::OciArchive, path(rest).to_owned()),
            Some(("docker-archive", rest)) => Self::At(ImageFormat::DockerArchive, path(rest).to_owned()),
            Some(("docker-daemon", rest)) => Self::Daemon(path(rest).to_owned()),
            _ => Self::Name(text.to_owned()),
        })
    }

    /// Reads the image. Where it is far away, of an index only the one for `only`, if that is said.
    pub(super) fn read<'a>(
        &self,
        reach: &'a Reach<'_>,
        only: Option<&Platform>,
    ) -> anyhow::Result<Found<'a>> {
        let (source, is_remote) = self.look(reach)?;
        let artifact = read(&*source, only.filter(|_| is_remote))?;
        Ok(Found { artifact, source })
    }

    pub(super) fn source<'a>(&self, reach: &'a Reach<'_>) -> anyhow::Result<Box<dyn Source + 'a>> {
        Ok(self.look(reach)?.0)
    }

    /// The source, and whether it is a registry.
    pub(super) fn look<'a>(&self, reach: &'a Reach<'_>) -> anyhow::Result<(Box<dyn Source + 'a>, bool)> {
        Ok(match self {
            Self::Name(text) => match look_in_store(reach.store()?, text)? {
                Some(root) => (Box::new(StoreSource::new(reach.store()?, root)), false),
                None => (elsewhere(text, reach)?, true),
            },
            Self::Store(name) => {
                let store = reach.store()?;
                (Box::new(StoreSource::new(store, find(store, name)?)), false)
            }
            Self::Registry(name) => (Box::new(reach.remote(name)?), true),
            Self::At(format, text) => (format.open(text)?, false),
            Self::Daemon(_) => {
                let error =
                    Hinted::usage("lith puts images into docker or podman, but takes none from there");
                return Err(error.hint("`docker save NAME -o FILE`, then `docker-archive:FILE`").into());
            }
        })
    }

    /// What the image is called there.
    pub(super) fn name(&self) -> Option<Reference> {
        match self {
            Self::Name(name) | Self::Store(name) => name.parse().ok(),
            Self::Registry(name) => Some(name.clone()),
            Self::At(..) | Self::Daemon(_) => None,
        }
    }

    /// Where to put an image. `name` is what it is called at its source, if it is called anything there; the rest is
    /// for a push.
    pub(super) fn sink<'a>(
        &self,
        reach: &'a Reach<'_>,
        name: Option<&Reference>,
        (move_tag, watch): (bool, &'a dyn Watch),
    ) -> anyhow::Result<Box<dyn Sink + 'a>> {
        let (format, text) = match self {
            Self::Name(text) | Self::Store(text) => {
                return Ok(Box::new(StoreSink::new(reach.store()?, vec![parse_name(text)?])));
            }
            Self::Registry(name) => {
                let options = reach.world.push_options(name.registry(), move_tag, reach.store()?)?;
                let tags = name.tag().map(Into::into).into_iter().collect();
                let sink = RegistrySink::new(reach.registries()?, name.into(), tags, options);
                return Ok(Box::new(sink.watched(watch)));
            }
            Self::Daemon(name) => {
                let program = super::daemon::find(None, reach.world)?;
                return Ok(Box::new(Daemon::new(program, vec![parse_name(name)?])));
            }
            Self::At(format, text) => (format, text),
        };
        let (text, tag) = split_tag(text);
        let names: Vec<Name> = tag.map(|tag| Name::tag(&tag)).into_iter().collect();
        let file = || if text == "-" { Destination::Stdout } else { Destination::File(text.clone().into()) };
        if text == "-" && !matches!(format, ImageFormat::OciLayout) {
            super::outputs::refuse_terminal()?;
        }
        Ok(match format {
            ImageFormat::OciLayout => Box::new(LayoutSink::new(text.as_ref(), names)),
            ImageFormat::OciArchive => Box::new(OciArchiveSink::new(file(), names)),
            ImageFormat::DockerArchive => {
                Box::new(DockerArchiveSink::new(file(), name.cloned().into_iter().collect()))
            }
        })
    }
}

/// Whether a text says that it is a name of a registry.
pub(super) fn is_remote(text: &str) -> bool {
    matches!(text.split_once(':'), Some(("docker" | "registry", rest)) if !rest.is_empty()) && !is_plain(text)
}

/// `registry:2` is an image that people use.
fn is_plain(text: &str) -> bool {
    text.strip_prefix("registry:").is_some_and(|rest| !rest.contains('/'))
        || text.strip_prefix("docker:").is_some_and(|rest| !rest.starts_with("//"))
}

/// The image of a name that the store has not: from its registry, which is said.
fn elsewhere<'a>(text: &str, reach: &'a Reach<'_>) -> anyhow::Result<Box<dyn Source + 'a>> {
    if text.parse::<Digest>().is_ok() || is_short_digest(text) {
        return Err(missing(text).into());
    }
    let name: Reference = text.parse().map_err(Hinted::usage)?;
    let source = reach.remote(&name).map_err(|error| error.context(missing(text).to_string()))?;
    tell(&format!("`{text}` is not in the store; found in the registry `{}`", name.registry()));
    Ok(Box::new(source))
}

/// The path of `oci:PATH` or `oci://PATH`.
fn path(rest: &str) -> &str {
    rest.strip_prefix("//").unwrap_or(rest)
}

/// `PATH:TAG`, where what follows the last colon can't be a part of a path.
fn split_tag(text: &str) -> (String, Option<String>) {
    match text.rsplit_once(':') {
        Some((path, tag)) if !path.is_empty() && !tag.is_empty() && !tag.contains('/') => {
            (path.to_owned(), Some(tag.to_owned()))
        }
        _ => (text.to_owned(), None),
    }
}

impl Found<'_> {
    /// The image for a platform: where none is asked for, the only one or the default platform's.
    pub(super) fn image(&self, wanted: Option<&Platform>) -> anyhow::Result<&Image> {
        let images = self.artifact.images();
        if let ([only], None) = (&images[..], wanted) {
            return Ok(only);
        }
        let wanted = wanted.cloned().unwrap_or_default();
        let fitting = images.iter().find(|image| wanted.accepts(&image.config.value.platform));
        fitting.copied().ok_or_else(|| {
            let found: Vec<String> =
                images.iter().map(|image| image.config.value.platform.to_string()).collect();
            Hinted::new(format!("there is no image for {wanted}"))
                .hint(format!("choose one with `--platform`: {}", found.join(", ")))
                .into()
        })
    }

    /// Where its layers are.
    pub(super) fn blobs(&self) -> &dyn Blobs {
        &*self.source
    }

    /// Brings layers that are elsewhere into the store.
    pub(super) fn bring(&self, image: &Image, reach: &Reach<'_>) -> anyhow::Result<()> {
        let store = reach.store()?;
        if image.layers.iter().any(|layer| !store.has(&layer.digest())) {
            import_layers(image, &*self.source, store)?;
        }
        Ok(())
    }

    /// The digest of what was asked for: of one image of an index, its own.
    pub(super) fn digest(&self, platform: Option<&Platform>) -> String {
        let image = platform.and_then(|platform| self.image(Some(platform)).ok());
        image.map_or_else(|| self.artifact.digest(), |image| image.manifest.digest()).to_string()
    }

    /// What each layer changes. Layers that are elsewhere come through the store.
    pub(super) fn layers(&self, image: &Image, reach: &Reach<'_>) -> anyhow::Result<Vec<Changes>> {
        let store = reach.store()?;
        self.bring(image, reach)?;
        Ok(image.layers.iter().map(|layer| lith::layer::open(store, layer)).collect::<Result<_, _>>()?)
    }
}

/// Reads a name for an image of the store. It can't carry a digest: that is the image's own.
pub(super) fn parse_name(text: &str) -> anyhow::Result<Reference> {
    let name: Reference = text.parse().map_err(Hinted::usage)?;
    if name.digest().is_some() {
        let error = Hinted::usage(format!("`{text}` is a name with a digest"));
        return Err(error.hint("give the name alone, like `app:1.0`").into());
    }
    Ok(name)
}

/// Reads the name of an image in a registry: `docker://NAME`, `registry:NAME`, or the name alone.
pub(super) fn parse_remote(text: &str) -> anyhow::Result<Reference> {
    let name = bare(text);
    Ok(name.parse().map_err(Hinted::usage)?)
}

fn bare(text: &str) -> &str {
    let rest = if is_remote(text) { text.split_once(':').map_or(text, |(_, rest)| rest) } else { text };
    path(rest)
}

/// Reads a name to push to: with its registry written out, as an accident must not reach the public one.
pub(super) fn parse_target(text: &str) -> anyhow::Result<Reference> {
    let name = parse_name(bare(text))?;
    check_target(&name, text)?;
    Ok(name)
}

/// `text` is what was typed.
pub(super) fn check_target(name: &Reference, text: &str) -> anyhow::Result<()> {
    let is_official = name.registry() == "docker.io" && name.repository().starts_with("library/");
    if !is_official || text.contains("docker.io/") {
        return Ok(());
    }
    let short = name.familiar();
    let error = Hinted::usage(format!("`{short}` does not say to which registry it is to be pushed"));
    Err(error.hint(format!("write it out: `REGISTRY/{short}`, or `{name}` if that is meant")).into())
}

/// Reads the name of a repository, which has no tag.
pub(super) fn parse_repository(text: &str) -> anyhow::Result<Repository> {
    let name = parse_remote(text)?;
    let last = text.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        let error = Hinted::usage(format!("`{text}` is more than a repository"));
        return Err(error.hint(format!("give it without tag and digest: `{}`", name.name())).into());
    }
    Ok((&name).into())
}

/// Finds an image of the store by its name, its digest, or both.
pub(super) fn find(store: &Store, text: &str) -> anyhow::Result<Descriptor> {
    Ok(look_in_store(store, text)?.ok_or_else(|| missing(text))?)
}

fn missing(text: &str) -> Hinted {
    Hinted::new(format!("the store has no image `{text}`")).hint("`lith images` lists what it has")
}

fn look_in_store(store: &Store, text: &str) -> anyhow::Result<Option<Descriptor>> {
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok(store.manifest(&digest)?);
    }
    let name: Reference = text.parse().map_err(Hinted::usage)?;
    if let Some(image) = short_digest(store, &name, text)? {
        return Ok(Some(image));
    }
    Ok(match name.digest() {
        Some(digest) => store.manifest(digest)?,
        None => store.resolve(&name)?,
    })
}

/// The named image whose digest begins so; a name that is just that goes first.
fn short_digest(store: &Store, name: &Reference, text: &str) -> anyhow::Result<Option<Descriptor>> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    if !is_short_digest(text) || store.resolve(name)?.is_some() {
        return Ok(None);
    }
    let start = format!("sha256:{hex}");
    let mut found: Vec<Descriptor> = store.tags()?.into_iter().map(|(_, image)| image).collect();
    found.retain(|image| image.digest().to_string().starts_with(&start));
    found.sort_by_key(|image| image.digest().to_string());
    found.dedup_by(|a, b| a.digest() == b.digest());
    match &found[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        _ => Err(Hinted::new(format!("several images begin with `{text}`")).hint("give more digits").into()),
    }
}

fn is_short_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    hex.len() >= 7 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `--platform`, for subcommands that look at one image of an index.
#[derive(Debug, clap::Args)]
pub(super) struct PlatformArg {
    /// Which image of an index [default: linux/amd64, or the only one]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
}

impl PlatformArg {
    pub(super) fn get(&self) -> anyhow::Result<Option<Platform>> {
        let parse = |text: &String| text.parse().map_err(Hinted::usage);
        Ok(self.platform.as_ref().map(parse).transpose()?)
    }
}

/// An image to look at, and how what is seen is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct LookArgs {
    /// The image: a name or digest of the store, else of a registry; `docker://NAME` for the registry's, or
    /// `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE`
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    #[command(flatten)]
    pub(super) platform: PlatformArg,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// How an image is sent somewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct SendArgs {
    /// Move a registry's tag that stands for another digest
    #[arg(long)]
    pub(super) move_tag: bool,
    #[command(flatten)]
    pub(super) platform: PlatformArg,
    #[command(flatten)]
    pub(super) progress: ProgressArg,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Place {
        Place::Name(text.into())
    }

    #[test]
    fn a_name_with_a_tag_is_a_name() {
        let parse = |text| Place::parse(text).unwrap();
        for text in ["app:1.0", "localhost:5000/app", "registry:2", "docker:dind", "docker", "registry"] {
            assert_eq!(parse(text), name(text));
        }
        assert_eq!(parse("store:app"), Place::Store("app".into()));
        assert_eq!(parse("oci:dir:tag"), Place::At(ImageFormat::OciLayout, "dir:tag".into()));
        assert_eq!(parse("oci-archive:f.tar"), Place::At(ImageFormat::OciArchive, "f.tar".into()));
        assert_eq!(parse("docker-daemon:app:1"), Place::Daemon("app:1".into()));
        assert_eq!(split_tag("dir:tag"), ("dir".into(), Some("tag".into())));
        assert_eq!(split_tag("a:b/dir"), ("a:b/dir".into(), None));
    }

    #[test]
    fn a_registry_can_be_said() {
        let parse = |text| Place::parse(text).unwrap();
        for (text, expected) in [
            ("docker://app", "docker.io/library/app:latest"),
            ("docker://r.example:5000/a/b:1", "r.example:5000/a/b:1"),
            ("registry:r.example/a", "r.example/a:latest"),
            ("registry://r.example/a", "r.example/a:latest"),
        ] {
            let Place::Registry(name) = parse(text) else { panic!("{text}") };
            assert_eq!(name.to_string(), expected);
        }
        assert!(Place::parse("docker://UPPER").is_err());
        assert!(Place::parse("docker://").is_err());
    }

    #[test]
    fn nothing_is_pushed_to_the_public_registry_by_accident() {
        for text in ["app", "app:1", "docker://app", "library/app"] {
            assert!(parse_target(text).is_err(), "{text}");
        }
        for text in ["docker.io/library/app", "docker.io/app:1", "somebody/app", "localhost:5000/app"] {
            assert!(parse_target(text).is_ok(), "{text}");
        }
        let digest = Digest::of(b"");
        assert!(parse_target(&format!("r.example/app@{digest}")).is_err());
    }

    #[test]
    fn a_repository_has_no_tag() {
        assert_eq!(parse_repository("localhost:5000/a").unwrap().to_string(), "localhost:5000/a");
        assert_eq!(parse_repository("docker://r.example/a/b").unwrap().to_string(), "r.example/a/b");
        for text in ["a:1", "localhost:5000/a:1", "a@sha256:x"] {
            assert!(parse_repository(text).is_err(), "{text}");
        }
    }
}
