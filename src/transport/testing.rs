//! Small images for the tests of this module.

use crate::compression::Compression;
use crate::image::{Artifact, Image, Memory, Parts, assemble, descriptor};
use crate::layer::Layer;
use crate::oci::{DiffId, Digest, Epoch, ImageConfig, Platform};

/// A tar of one file.
pub(super) fn tar(name: &str, content: &str) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

/// An image with a layer for each compression, for `platform`, whose blobs are in `blobs`.
pub(super) fn image(blobs: &mut Memory, platform: &str, compressions: &[&str]) -> Image {
    let layer = |(i, compression): (usize, &&str)| {
        let compression: Compression = compression.parse().unwrap();
        let tar = tar(&format!("etc/{platform}/{i}"), "content");
        let mut blob = Vec::new();
        compression.compress(&tar, &mut blob).unwrap();
        let size = blob.len() as u64;
        Layer {
            descriptor: descriptor(compression.media_type(), &blobs.put(blob), size),
            diff_id: DiffId::from_uncompressed(Digest::of(&tar)),
        }
    };
    let layers = compressions.iter().enumerate().map(layer).collect();
    let platform: Platform = platform.parse().unwrap();
    let parts = Parts {
        config: ImageConfig { platform, ..ImageConfig::default() },
        layers,
        history: Vec::new(),
        annotations: [("note".to_owned(), "kept".to_owned())].into(),
        epoch: Epoch::ZERO,
    };
    assemble(parts).unwrap()
}

/// An image with one layer of each kind that every reader takes.
pub(super) fn artifact(blobs: &mut Memory) -> Artifact {
    Artifact::Image(image(blobs, "linux/amd64", &["gzip", "none"]))
}

/// An index of two images.
pub(super) fn index(blobs: &mut Memory) -> Artifact {
    let images = ["linux/amd64", "linux/arm64"].map(|platform| image(blobs, platform, &["gzip"]));
    Artifact::index(images.into(), std::collections::BTreeMap::default()).unwrap()
}
