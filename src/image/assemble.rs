//! Making an image of what a build made.

use std::collections::BTreeMap;

use oci_spec::image::{DescriptorBuilder, ImageManifestBuilder};

use super::{Document, Image};
use crate::layer::Layer;
use crate::oci::canonical::CanonicalError;
use crate::oci::{Descriptor, Epoch, History, ImageConfig, ImageManifest, MediaType, RootFs};

/// All that an image is made of.
#[derive(Debug)]
pub struct Parts {
    /// Everything but `created`, `rootfs` and `history`, which are set from the fields below.
    pub config: ImageConfig,
    /// Base first.
    pub layers: Vec<Layer>,
    /// Base first: as many lines without `empty_layer` as there are layers.
    pub history: Vec<History>,
    pub annotations: BTreeMap<String, String>,
    pub epoch: Epoch,
}

/// The image of these parts. Part of the image contract: what it writes decides the digest.
pub fn assemble(parts: Parts) -> Result<Image, CanonicalError> {
    let layers: Vec<Layer> = parts.layers.into_iter().map(in_oci_words).collect();
    let config = ImageConfig {
        created: Some(parts.epoch.rfc3339()),
        rootfs: RootFs::new(layers.iter().map(|layer| layer.diff_id.clone()).collect()),
        history: parts.history,
        ..parts.config
    };
    let config = Document::write(config, MediaType::ImageConfig)?;
    let manifest = manifest(&config.descriptor, &layers, parts.annotations);
    let manifest = Document::write(manifest, MediaType::ImageManifest)?;
    Ok(Image { manifest, config, layers })
}

fn manifest(config: &Descriptor, layers: &[Layer], annotations: BTreeMap<String, String>) -> ImageManifest {
    let mut manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config.clone())
        .layers(layers.iter().map(|layer| layer.descriptor.clone()).collect::<Vec<_>>())
        .build()
        .expect("the required fields are set");
    if !annotations.is_empty() {
        manifest.set_annotations(Some(annotations.into_iter().collect()));
    }
    manifest
}

/// A base may speak docker's media types. The blob is the same byte for byte; only the descriptor's word for
/// it changes, as an OCI manifest must not mix the two vocabularies.
fn in_oci_words(layer: Layer) -> Layer {
    let media_type = match layer.descriptor.media_type().to_string().as_str() {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => MediaType::ImageLayerGzip,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => MediaType::ImageLayerZstd,
        "application/vnd.docker.image.rootfs.diff.tar" => MediaType::ImageLayer,
        _ => return layer,
    };
    let descriptor = DescriptorBuilder::default()
        .media_type(media_type)
        .digest(layer.descriptor.digest().clone())
        .size(layer.descriptor.size())
        .build()
        .expect("the required fields are set");
    Layer { descriptor, diff_id: layer.diff_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::descriptor;
    use crate::oci::{DiffId, Digest};
    use expect_test::expect;

    fn parts() -> Parts {
        let digest = Digest::of(b"layer");
        let media_type = MediaType::from("application/vnd.docker.image.rootfs.diff.tar.gzip");
        Parts {
            config: ImageConfig::default(),
            layers: vec![Layer {
                descriptor: descriptor(media_type, &digest, 5),
                diff_id: DiffId::from_uncompressed(Digest::of(b"tar")),
            }],
            history: vec![History { created_by: Some("COPY a b".into()), ..History::default() }],
            annotations: BTreeMap::from([("b".into(), "2".into()), ("a".into(), "1".into())]),
            epoch: Epoch::ZERO,
        }
    }

    #[test]
    fn the_documents_are_canonical() {
        let image = assemble(parts()).unwrap();
        expect![[r#"{"annotations":{"a":"1","b":"2"},"config":{"digest":"sha256:ddc088da5b7fa63a2a78f7eb40389dd880e8570b21c218d2c25a8231e7af1c5a","mediaType":"application/vnd.oci.image.config.v1+json","size":222},"layers":[{"digest":"sha256:dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":5}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#]]
            .assert_eq(std::str::from_utf8(&image.manifest.bytes).unwrap());
        expect![[r#"{"architecture":"amd64","created":"1970-01-01T00:00:00Z","history":[{"created_by":"COPY a b"}],"os":"linux","rootfs":{"diff_ids":["sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb"],"type":"layers"}}"#]].assert_eq(std::str::from_utf8(&image.config.bytes).unwrap());
    }

    #[test]
    fn the_same_parts_give_the_same_digest() {
        let digests: Vec<_> = (0..20).map(|_| assemble(parts()).unwrap().manifest.digest()).collect();
        assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
