//! Images of a size and content of one's choice.

use std::collections::BTreeMap;
use std::path::Path;

use lith::compression::Compression;
use lith::image::{Artifact, Image, Memory, Parts, assemble, descriptor};
use lith::layer::Layer;
use lith::oci::{DiffId, Digest, Epoch, ImageConfig};
use lith::transport::{LayoutSink, Name, Sink as _};

/// A layer of one file, of about `size` bytes that don't compress; another `seed` gives another.
pub(crate) fn layer(blobs: &mut Memory, seed: u64, size: usize) -> Layer {
    let mut content = vec![0; size];
    fastrand::Rng::with_seed(seed).fill(&mut content);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(size as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, format!("etc/{seed}"), &content[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    let diff_id = DiffId::from_uncompressed(Digest::of(&tar));
    let compression: Compression = "none".parse().unwrap();
    let size = tar.len() as u64;
    Layer { descriptor: descriptor(compression.media_type(), &blobs.put(tar), size), diff_id }
}

pub(crate) fn image(blobs: &mut Memory, platform: &str, layers: &[(u64, usize)]) -> Image {
    let layers = layers.iter().map(|(seed, size)| layer(blobs, *seed, *size)).collect();
    let parts = Parts {
        config: ImageConfig { platform: platform.parse().unwrap(), ..ImageConfig::default() },
        layers,
        history: Vec::new(),
        annotations: BTreeMap::new(),
        epoch: Epoch::ZERO,
    };
    assemble(parts).unwrap()
}

/// An image with layers of these seeds and sizes.
pub(crate) fn artifact(blobs: &mut Memory, layers: &[(u64, usize)]) -> Artifact {
    Artifact::Image(image(blobs, "linux/amd64", layers))
}

/// An index of two images that share their first layer.
pub(crate) fn index(blobs: &mut Memory) -> Artifact {
    let image = |blobs: &mut Memory, platform, seed| image(blobs, platform, &[(1, 900), (seed, 5000)]);
    let images = vec![image(blobs, "linux/amd64", 2), image(blobs, "linux/arm64", 3)];
    Artifact::index(images, BTreeMap::new()).unwrap()
}

/// The digests of an image's or index's configs and layers, sorted.
pub(crate) fn contents(artifact: &Artifact) -> Vec<String> {
    let configs = artifact.images().into_iter().map(|image| &image.config.descriptor);
    let blobs = artifact.contents().into_iter().chain(configs);
    let mut found: Vec<String> = blobs.map(|blob| blob.digest().to_string()).collect();
    found.sort();
    found.dedup();
    found
}

/// As a layout in a folder, for other people's programs.
pub(crate) fn write(artifact: &Artifact, blobs: &Memory, folder: &Path) {
    let name: lith::oci::Reference = "r.io/app:1".parse().unwrap();
    LayoutSink::new(folder, vec![Name::from(&name)]).put(artifact, blobs).unwrap();
}
