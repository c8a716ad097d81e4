//! Whether all of an image is there.

use std::sync::Mutex;

use super::Shelf;
use crate::image::Artifact;
use crate::oci::Descriptor;
use crate::parallel;
use crate::transport::TransportError;

/// As many questions at once as a registry doesn't mind.
const QUESTIONS: usize = 6;

/// What is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WholeError {
    #[error("`{image}` is not whole: {} has not its blob {}", .place, list(.blobs))]
    Missing { image: String, place: String, blobs: Vec<String> },
    #[error("`{image}` is not whole: {error}")]
    Document { image: String, error: TransportError },
    #[error(transparent)]
    Transport(TransportError),
}

/// The image with all its platforms, if each blob of it is there.
pub fn whole(shelf: &dyn Shelf, root: &Descriptor) -> Result<Artifact, WholeError> {
    let image = root.digest().to_string();
    let artifact = shelf.image(root).map_err(|error| WholeError::Document { image: image.clone(), error })?;
    let missing = Mutex::new(Vec::new());
    parallel::each(&artifact.contents(), QUESTIONS, |blob| {
        if !is_foreign(blob) && !shelf.has(blob).map_err(WholeError::Transport)? {
            missing.lock().expect("nobody panics with it").push(blob.digest().to_string());
        }
        Ok(())
    })?;
    let mut blobs = missing.into_inner().expect("as above");
    blobs.sort();
    if blobs.is_empty() {
        Ok(artifact)
    } else {
        Err(WholeError::Missing { image, place: shelf.name(), blobs })
    }
}

/// A layer that is had from elsewhere (image-spec, layer.md).
fn is_foreign(blob: &Descriptor) -> bool {
    blob.urls().as_ref().is_some_and(|urls| !urls.is_empty())
}

fn list(blobs: &[String]) -> String {
    blobs.iter().map(|blob| format!("`{blob}`")).collect::<Vec<_>>().join(", ")
}
