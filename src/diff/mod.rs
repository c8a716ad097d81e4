//! How two images differ, from the platform down to the bytes of a file in a wheel, and what the likely cause is.
//!
//! [`images`] compares images, [`changes`] what two runs of a step changed. Both give values ([`ImageDiff`],
//! [`FileDiff`]) whose serialisation is the documented shape of `lith diff --format json` (docs/diff.md); how they
//! are told to people is the command line's business.
//!
//! Nothing is compared by its bytes that a fingerprint tells to be the same: listings come first, and only
//! contents that differ are read, each layer being unpacked once at most for that. Memory is bounded by the number of
//! files: of contents only a window is held. Archives in files are a stranger's: what opening them may take is in
//! `archive`.

mod align;
mod archive;
mod cause;
mod content;
mod documents;
mod files;
mod layers;
mod moved;
mod node;
mod report;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::sync::Arc;

pub use cause::Cause;
pub use report::{
    ArchiveDiff, Aspect, Both, Change, ContentDiff, Facts, Field, FileDiff, HistoryDiff, How, ImageDiff,
    LayerDiff, LayerFacts, Lines, Same,
};
pub use summary::{counts, sentence};

use crate::image::Image;
use crate::layer::LayerError;
use crate::store::Store;
use crate::tree::{Changes, ContentError, ImagePath};

/// What is compared, and how closely.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Whether files that have other times than before differ.
    pub times: bool,
    /// Whether what is in layers that differ is compared as well, beside the final trees.
    pub layers: bool,
    /// The paths that count; without one all do.
    pub filter: Option<&'a dyn Fn(&ImagePath) -> bool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { times: true, layers: false, filter: None }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("times", &self.times)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// Why two things can't be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("writing what an archive holds to a temporary file: {0}")]
    Scratch(io::Error),
}

/// Whether comparing them needs no layer: they have the same ones.
pub fn has_same_layers(a: &Image, b: &Image) -> bool {
    a.config.value.rootfs.diff_ids == b.config.value.rootfs.diff_ids
}

/// Compares two images by their documents alone: files are left out, and of layers with other files it isn't said how they
/// differ.
pub fn documents(a: &Image, b: &Image) -> ImageDiff {
    ImageDiff {
        manifest: documents::manifest(a, b),
        config: documents::config(a, b),
        history: documents::history(&a.config.value.history, &b.config.value.history),
        layers: layers::aligned(a, b),
        files: Vec::new(),
    }
}

/// Compares two images. Unless they have the same layers, these are in the store.
pub fn images(
    store: &Arc<Store>,
    a: &Image,
    b: &Image,
    options: Options<'_>,
) -> Result<ImageDiff, DiffError> {
    let scratch = || store.temp_file().map_err(io::Error::other);
    let mut engine = Engine::new(options, &scratch);
    let mut diff = documents(a, b);
    if !has_same_layers(a, b) {
        let opened = layers::Opened::of(store, [a, b])?;
        diff.files = opened.files(&mut engine, a, b)?;
        opened.explain(&mut engine, store, (a, b), &mut diff.layers)?;
    }
    Ok(diff)
}

/// Compares what two runs changed. `scratch` makes temporary files.
pub fn changes(
    a: &Changes,
    b: &Changes,
    options: Options<'_>,
    scratch: &Scratch<'_>,
) -> Result<Vec<FileDiff>, DiffError> {
    files::changes(&mut Engine::new(options, scratch), a, b)
}

/// Makes a temporary file without a name.
pub type Scratch<'a> = dyn Fn() -> io::Result<File> + 'a;

/// The work of one comparison, with what it may still spend.
struct Engine<'a> {
    options: Options<'a>,
    scratch: &'a Scratch<'a>,
    /// Bytes of text differences that may still be kept.
    text_left: usize,
    /// Bytes that archives may still unpack to.
    unpack_left: u64,
}

/// Differences of texts beyond that are told by their offset alone, so that memory stays bounded.
const MAX_TEXTS: usize = 8 << 20;
/// What all archives in the files of two images may unpack to.
const MAX_UNPACKED: u64 = 16 << 30;

impl<'a> Engine<'a> {
    fn new(options: Options<'a>, scratch: &'a Scratch<'a>) -> Self {
        Self { options, scratch, text_left: MAX_TEXTS, unpack_left: MAX_UNPACKED }
    }
}
