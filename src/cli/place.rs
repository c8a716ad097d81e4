//! Where an image is, as subcommands that look at or copy images take it.

use std::sync::Arc;

use lith::image::{Artifact, Image, load_all};
use lith::oci::{Platform, Reference};
use lith::store::Store;
use lith::transport::{
    Choice, Destination, DockerArchive, DockerArchiveSink, Layout, LayoutSink, Name, OciArchive,
    OciArchiveSink, Sink, Source, StoreSink, StoreSource, import_layers,
};
use lith::tree::Changes;

use super::World;
use super::error::Hinted;

/// A name or digest of the store, or an image outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Store(String),
    Layout(String),
    OciArchive(String),
    DockerArchive(String),
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
            Some(("oci" | "oci-layout", rest)) => Self::Layout(path(rest).to_owned()),
            Some(("oci-archive", rest)) => Self::OciArchive(path(rest).to_owned()),
            Some(("docker-archive", rest)) => Self::DockerArchive(path(rest).to_owned()),
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
            Self::Store(name) => Box::new(StoreSource::new(store, super::images::find(store, name)?)),
            Self::Layout(text) => {
                let (path, choice) = Choice::split(text);
                Box::new(Layout::open(&path, &choice)?)
            }
            Self::OciArchive(text) => {
                let (path, choice) = Choice::split(text);
                Box::new(OciArchive::open(&path, &choice)?)
            }
            Self::DockerArchive(text) => {
                let (path, choice) = Choice::split(text);
                Box::new(DockerArchive::open(&path, &choice)?)
            }
        })
    }

    /// Where to put an image. `name` is what it is called at its source, if it is called anything there.
    pub(super) fn sink<'a>(
        &self,
        store: &'a Store,
        name: Option<&Reference>,
    ) -> anyhow::Result<Box<dyn Sink + 'a>> {
        let (text, tag) = match self {
            Self::Store(text) => {
                return Ok(Box::new(StoreSink::new(store, vec![super::images::parse_name(text)?])));
            }
            Self::Layout(text) | Self::OciArchive(text) | Self::DockerArchive(text) => split_tag(text),
        };
        let names: Vec<Name> = tag.map(|tag| Name::tag(&tag)).into_iter().collect();
        let file = || if text == "-" { Destination::Stdout } else { Destination::File(text.clone().into()) };
        if text == "-" && !matches!(self, Self::Layout(_)) {
            super::outputs::refuse_terminal()?;
        }
        Ok(match self {
            Self::Layout(_) => Box::new(LayoutSink::new(text.as_ref(), names)),
            Self::OciArchive(_) => Box::new(OciArchiveSink::new(file(), names)),
            _ => Box::new(DockerArchiveSink::new(file(), name.cloned().into_iter().collect())),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_tag_is_the_stores() {
        let parse = |text| Place::parse(text).unwrap();
        assert_eq!(parse("app:1.0"), Place::Store("app:1.0".into()));
        assert_eq!(parse("localhost:5000/app"), Place::Store("localhost:5000/app".into()));
        assert_eq!(parse("store:app"), Place::Store("app".into()));
        assert_eq!(parse("oci:dir:tag"), Place::Layout("dir:tag".into()));
        assert_eq!(parse("oci-archive:f.tar"), Place::OciArchive("f.tar".into()));
        assert!(Place::parse("docker://app").is_err());
        assert_eq!(split_tag("dir:tag"), ("dir".into(), Some("tag".into())));
        assert_eq!(split_tag("a:b/dir"), ("a:b/dir".into(), None));
    }
}
