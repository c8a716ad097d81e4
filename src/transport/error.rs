//! Why an image could not be brought in or out.

use std::io;
use std::path::{Path, PathBuf};

use super::registry::RegistryError;
use crate::image::LoadError;
use crate::layer::LayerError;
use crate::store::StoreError;
use crate::tree::ContentError;

/// What stood in the way, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("`{path}` is not {expected}: {why}", path = path.display())]
    Format { path: PathBuf, expected: &'static str, why: String },
    #[error("`{path}` has no image", path = path.display())]
    Empty { path: PathBuf },
    #[error("`{path}` has no image `{wanted}`; it has {}", list(available), path = path.display())]
    NoSuchImage { path: PathBuf, wanted: String, available: Vec<String> },
    #[error("`{path}` has several images and none was chosen: {}", list(available), path = path.display())]
    NoChoice { path: PathBuf, available: Vec<String> },
    #[error("`{path}` is a folder that holds other things than an image layout", path = path.display())]
    ForeignFolder { path: PathBuf },
    #[error("{sink} holds one image; this is an index of {images}")]
    OneImage { sink: &'static str, images: usize },
    #[error("{sink} cannot hold what is not an image")]
    NoImage { sink: &'static str },
    #[error("the layer `{digest}` unpacks to another diff ID than its image says, `{expected}`")]
    DiffId { digest: String, expected: String },
    #[error("the program `{program}` cannot be started: {error}")]
    NoProgram { program: String, error: io::Error },
    #[error("`{program}` is there, but does not work: {why}")]
    NotReady { program: String, why: String },
    #[error("`{program} load` failed: {why}")]
    Daemon { program: String, why: String },
}

impl TransportError {
    /// Gives an I/O error its context: a gerund and its object, "writing `x`".
    pub(super) fn io(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{doing} `{}`", path.display());
        move |error| Self::Io { what, error }
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return "none".into();
    }
    let mut text = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
