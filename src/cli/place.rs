//! Where an image is, as subcommands that look at or copy images take it.

use std::sync::Arc;

use lith::image::{Artifact, Image, load_all};
use lith::oci::{Descriptor, Digest, Platform, Reference};
use lith::store::Store;
use lith::transport::{
    Destination, DockerArchiveSink, ImageFormat, LayoutSink, Name, OciArchiveSink, Sink, Source, StoreSink,
    StoreSource, import_layers,
};
use lith::tree::Changes;

use super::World;
use super::error::Hinted;

/// A name or digest of the store, or an image outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Store(String),
    At(ImageFormat, String),
}

/// An image that was read: its documents are verified, its layers wait where they are.
pub(super) struct Found {
    pub(super) artifact: Artifact,
    place: Place,
}

impl Place {
    /// Reads `NAME`, `store:NAME`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]` or `docker-archive:FILE[:NAME]`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let place = match text.split_once(':') {
            Some(("store", rest)) => Self::Store(rest.to_owned()),
            Some(("oci" | "oci-layout", rest)) => Self::At(ImageFormat::OciLayout, path(rest).to_owned()),
            Some(("oci-archive", rest)) => Self::At(ImageFormat::OciArchive, path(rest).to_owned()),
            Some(("docker-archive", rest)) => Self::At(ImageFormat::DockerArchive, path(rest).to_owned()),
            Some(("docker" | "registry", _)) => {
                let error = Hinted::usage(format!(
                    "`{text}` is in a registry, and this version has no registry client"
                ));
                return Err(error
                    .hint("copy it to a layout with `skopeo copy`, and name that as `oci:DIR`")
                    .into());
            }
            _ => Self::Store(text.to_owned()),
        };
        Ok(place)
    }

    pub(super) fn read(&self, world: &World) -> anyhow::Result<Found> {
        let store = world.open_store()?;
        let source = self.source(&store)?;
        let artifact = load_all(&*source, source.root())?;
        Ok(Found { artifact, place: self.clone() })
    }

    pub(super) fn source<'a>(&self, store: &'a Store) -> anyhow::Result<Box<dyn Source + 'a>> {
        Ok(match self {
            Self::Store(name) => Box::new(StoreSource::new(store, find(store, name)?)),
            Self::At(format, text) => format.open(text)?,
        })
    }

    /// Where to put an image. `name` is what it is called at its source, if it is called anything there.
    pub(super) fn sink<'a>(
        &self,
        store: &'a Store,
        name: Option<&Reference>,
    ) -> anyhow::Result<Box<dyn Sink + 'a>> {
        let (format, text) = match self {
            Self::Store(text) => return Ok(Box::new(StoreSink::new(store, vec![parse_name(text)?]))),
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

impl Found {
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

    /// What each layer changes. Layers that are elsewhere come through the store.
    pub(super) fn layers(&self, image: &Image, world: &World) -> anyhow::Result<Vec<Changes>> {
        let store: Arc<Store> = world.open_store()?;
        if !matches!(self.place, Place::Store(_)) {
            import_layers(image, &*self.place.source(&store)?, &store)?;
        }
        Ok(image.layers.iter().map(|layer| lith::layer::open(&store, layer)).collect::<Result<_, _>>()?)
    }
}

/// Reads a name for an image of the store. It can't carry a digest: that is the image's own.
pub(super) fn parse_name(text: &str) -> anyhow::Result<Reference> {
    let name: Reference = text.parse().map_err(|error| Hinted::usage(format!("{error}")))?;
    if name.digest().is_some() {
        let error = Hinted::usage(format!("`{text}` is a name with a digest"));
        return Err(error.hint("give the name alone, like `app:1.0`").into());
    }
    Ok(name)
}

/// Finds an image of the store by its name, its digest, or both.
pub(super) fn find(store: &Store, text: &str) -> anyhow::Result<Descriptor> {
    let missing =
        || Hinted::new(format!("the store has no image `{text}`")).hint("`lith images` lists what it has");
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok(store.manifest(&digest)?.ok_or_else(missing)?);
    }
    let name: Reference = text.parse().map_err(|error| Hinted::usage(format!("{error}")))?;
    if let Some(image) = short_digest(store, &name, text)? {
        return Ok(image);
    }
    match name.digest() {
        Some(digest) => Ok(store.manifest(digest)?.ok_or_else(missing)?),
        None => Ok(store.resolve(&name)?.ok_or_else(missing)?),
    }
}

/// The named image whose digest begins so; a name that is just that goes first.
fn short_digest(store: &Store, name: &Reference, text: &str) -> anyhow::Result<Option<Descriptor>> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_short = hex.len() >= 7 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_short || store.resolve(name)?.is_some() {
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

/// `--platform`, for subcommands that look at one image of an index.
#[derive(Debug, clap::Args)]
pub(super) struct PlatformArg {
    /// Which image of an index [default: linux/amd64, or the only one]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
}

impl PlatformArg {
    pub(super) fn get(&self) -> anyhow::Result<Option<Platform>> {
        let parse = |text: &String| text.parse().map_err(|error| Hinted::usage(format!("{error}")));
        Ok(self.platform.as_ref().map(parse).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_tag_is_the_stores() {
        let parse = |text| Place::parse(text).unwrap();
        assert_eq!(parse("app:1.0"), Place::Store("app:1.0".into()));
        assert_eq!(parse("localhost:5000/app"), Place::Store("localhost:5000/app".into()));
        assert_eq!(parse("store:app"), Place::Store("app".into()));
        assert_eq!(parse("oci:dir:tag"), Place::At(ImageFormat::OciLayout, "dir:tag".into()));
        assert_eq!(parse("oci-archive:f.tar"), Place::At(ImageFormat::OciArchive, "f.tar".into()));
        assert!(Place::parse("docker://app").is_err());
        assert_eq!(split_tag("dir:tag"), ("dir".into(), Some("tag".into())));
        assert_eq!(split_tag("a:b/dir"), ("a:b/dir".into(), None));
    }
}
