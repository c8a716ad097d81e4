//! The ways in and out of lith for an image: layout, archives, store, folder, daemon, registry, each a [`Source`], a [`Sink`]
//! or both.
//!
//! Nothing here decides a byte of an image: what comes in is verified against the digest that names it, what goes
//! out is what the digest names. Only the packing around it is made here, and it is deterministic as well.

mod copy;
mod daemon;
mod docker_archive;
mod error;
mod file;
mod folder;
mod layout;
mod location;
mod oci_archive;
mod output;
pub mod registry;
mod store;
mod tar;
mod tarball;
#[cfg(test)]
mod testing;
mod watch;

pub use copy::{copy, import, import_documents, import_layers, put_blob, read};
pub use daemon::Daemon;
pub use docker_archive::{DockerArchive, DockerArchiveSink};
pub use error::TransportError;
pub use file::Destination;
pub use folder::{Warning, folder_name, joined, write_folder};
pub use layout::{Choice, Layout, LayoutSink, Name};
pub use location::ImageFormat;
pub use oci_archive::{OciArchive, OciArchiveSink};
pub use output::{Output, OutputKind, ParseOutputError, Split};
pub use store::{StoreSink, StoreSource};
pub use tar::write_tar;
pub use watch::{Arrival, Watch, Watched};

use crate::image::{Artifact, Blobs};
use crate::oci::{Descriptor, Digest};

/// A place that an image can be had from.
pub trait Source: Blobs {
    /// The descriptor of the image's manifest or index. Nothing of it has been believed yet but its digest:
    /// [`crate::image::load`] reads it.
    fn root(&self) -> &Descriptor;
}

/// A place that an image can be put.
pub trait Sink {
    /// Puts the whole of it, all or nothing, and gives its digest.
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError>;
}
