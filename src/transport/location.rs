//! Images outside of the store, as people write where they are.

use super::{Choice, DockerArchive, Layout, OciArchive, Source, TransportError};

/// What an image outside of the store can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    OciLayout,
    OciArchive,
    DockerArchive,
}

impl ImageFormat {
    /// What it is called where contexts and images are named.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::OciLayout => "oci-layout",
            Self::OciArchive => "oci-archive",
            Self::DockerArchive => "docker-archive",
        }
    }

    pub fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::OciLayout, Self::OciArchive, Self::DockerArchive].into_iter().find(|f| f.scheme() == scheme)
    }

    /// Opens what `text` says: `PATH`, `PATH:NAME` or `PATH@DIGEST` (see [`Choice::split`]).
    pub fn open(self, text: &str) -> Result<Box<dyn Source>, TransportError> {
        let (path, choice) = Choice::split(text);
        Ok(match self {
            Self::OciLayout => Box::new(Layout::open(&path, &choice)?),
            Self::OciArchive => Box::new(OciArchive::open(&path, &choice)?),
            Self::DockerArchive => Box::new(DockerArchive::open(&path, &choice)?),
        })
    }
}
