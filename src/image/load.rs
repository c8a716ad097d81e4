//! Reading an image from wherever its blobs are, believing nothing.
//!
//! Every document is bounded, verified against its descriptor and checked for being what it says it is, before
//! any of its words is followed. What is accepted passes through byte for byte. Layers are not read here.

use std::io::{self, Read as _};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::select::{distance, is_attestation, platform};
use super::{Artifact, Blobs, Document, Image, Index};
use crate::layer::Layer;
use crate::oci::media_type::{is_config, is_index, is_layer, is_manifest};
use crate::oci::{Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest, ParseDigestError, Platform};
use crate::text::shown;

/// The largest manifest or index that is read: what registries must take (distribution-spec, "Push").
pub const MAX_MANIFEST: u64 = 4 << 20;
/// The largest config that is read. The largest of real images have some 100 KiB.
pub const MAX_CONFIG: u64 = 8 << 20;
/// How deep an index may stand in an index.
const MAX_NESTING: u32 = 4;
/// How many documents one image or index may make us read.
const MAX_DOCUMENTS: u32 = 1024;

/// Why what was found is not an image that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    #[error("reading {what} `{digest}`: {error}")]
    Read { what: &'static str, digest: String, error: io::Error },
    #[error("{what} `{digest}` has {size} bytes, more than the {limit} that are read")]
    TooLarge { what: &'static str, digest: String, size: u64, limit: u64 },
    #[error("{what} `{digest}` is not valid: {why}")]
    Json { what: &'static str, digest: String, why: String },
    #[error("{0}")]
    Digest(#[from] ParseDigestError),
    #[error("`{digest}` has schema version {found}; only version 2 can be read")]
    Schema { digest: String, found: u64 },
    #[error("`{digest}` is both an index and a manifest")]
    Ambiguous { digest: String },
    #[error("`{digest}` has the media type `{found}`; expected {expected}")]
    MediaType { digest: String, found: String, expected: &'static str },
    #[error("`{digest}` is announced as `{announced}` and calls itself `{found}`")]
    Disagreement { digest: String, announced: String, found: String },
    #[error("image `{digest}` has {layers} layers and {diff_ids} diff IDs")]
    LayerCount { digest: String, layers: usize, diff_ids: usize },
    #[error("image `{digest}` has a root file system of type `{found}`; expected `layers`")]
    RootFs { digest: String, found: String },
    #[error("indexes are nested more than {MAX_NESTING} deep")]
    Nesting,
    #[error("an index leads to more than {MAX_DOCUMENTS} documents")]
    Documents,
    #[error("there is no image for `{wanted}`; there is {}", list(available))]
    NoPlatform { wanted: Platform, available: Vec<Platform> },
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "none at all".into();
    }
    let names: Vec<String> = platforms.iter().map(|p| format!("`{}`", shown(p))).collect();
    names.join(", ")
}

/// The image that `root` stands for: it itself or, of an index, the one that fits `wanted` best.
///
/// An image that stands alone is taken whatever its platform is; its config says for which it is.
pub fn load(blobs: &dyn Blobs, root: &Descriptor, wanted: &Platform) -> Result<Image, LoadError> {
    Loader { blobs, left: MAX_DOCUMENTS }.select(root, wanted)
}

/// All that `root` stands for, with every image of an index and what is said beside them.
pub fn load_all(blobs: &dyn Blobs, root: &Descriptor) -> Result<Artifact, LoadError> {
    Loader { blobs, left: MAX_DOCUMENTS }.all(root, 0)
}

struct Loader<'a> {
    blobs: &'a dyn Blobs,
    left: u32,
}

#[expect(clippy::large_enum_variant, reason = "one at a time")]
enum Manifest {
    Image(Document<ImageManifest>),
    Index(Document<ImageIndex>),
}

/// An image of an index, by the platform that the index or, where that is silent, its config says.
struct Candidate {
    platform: Platform,
    descriptor: Descriptor,
}

impl Loader<'_> {
    fn select(&mut self, root: &Descriptor, wanted: &Platform) -> Result<Image, LoadError> {
        let index = match self.manifest(root)? {
            Manifest::Image(manifest) => return self.image(manifest),
            Manifest::Index(index) => index,
        };
        let mut candidates = Vec::new();
        self.candidates(&index, 1, &mut candidates)?;
        let ranked = candidates.iter().filter_map(|c| Some((distance(wanted, &c.platform)?, c)));
        // The first of equals: `min_by_key` gives it, and an index's order is its author's preference.
        let Some((_, best)) = ranked.min_by_key(|(rank, _)| *rank) else {
            let available = candidates.into_iter().map(|c| c.platform).collect();
            return Err(LoadError::NoPlatform { wanted: wanted.clone(), available });
        };
        match self.manifest(&best.descriptor)? {
            Manifest::Image(manifest) => self.image(manifest),
            Manifest::Index(_) => Err(LoadError::Nesting),
        }
    }

    fn candidates(
        &mut self,
        index: &Document<ImageIndex>,
        depth: u32,
        found: &mut Vec<Candidate>,
    ) -> Result<(), LoadError> {
        for entry in index.value.manifests().iter().filter(|entry| !is_attestation(entry)) {
            if is_index(entry.media_type().as_ref()) {
                if depth == MAX_NESTING {
                    return Err(LoadError::Nesting);
                }
                if let Manifest::Index(inner) = self.manifest(entry)? {
                    self.candidates(&inner, depth + 1, found)?;
                }
            } else if let Some(platform) = platform(entry) {
                found.push(Candidate { platform, descriptor: entry.clone() });
            } else if let Manifest::Image(manifest) = self.manifest(entry)?
                && is_config(manifest.value.config().media_type().as_ref())
            {
                let platform = self.image(manifest)?.config.value.platform;
                found.push(Candidate { platform, descriptor: entry.clone() });
            }
        }
        Ok(())
    }

    fn all(&mut self, root: &Descriptor, depth: u32) -> Result<Artifact, LoadError> {
        let index = match self.manifest(root)? {
            Manifest::Image(manifest)
                if is_attestation(root) || !is_config(manifest.value.config().media_type().as_ref()) =>
            {
                return Ok(Artifact::Other(manifest));
            }
            Manifest::Image(manifest) => return Ok(Artifact::Image(self.image(manifest)?)),
            Manifest::Index(_) if depth == MAX_NESTING => return Err(LoadError::Nesting),
            Manifest::Index(index) => index,
        };
        let entries = index.value.manifests().iter().map(|entry| self.all(entry, depth + 1));
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Artifact::Index(Index { document: index, entries }))
    }

    fn image(&mut self, manifest: Document<ImageManifest>) -> Result<Image, LoadError> {
        let config = self.config(manifest.value.config())?;
        let digest = || manifest.descriptor.digest().to_string();
        let (layers, diff_ids) = (manifest.value.layers(), &config.value.rootfs.diff_ids);
        if config.value.rootfs.kind != "layers" {
            return Err(LoadError::RootFs { digest: digest(), found: shown(&config.value.rootfs.kind) });
        }
        if layers.len() != diff_ids.len() {
            let (layers, diff_ids) = (layers.len(), diff_ids.len());
            return Err(LoadError::LayerCount { digest: digest(), layers, diff_ids });
        }
        let layers = std::iter::zip(layers, diff_ids)
            .map(|(descriptor, diff_id)| {
                expect_type(descriptor, is_layer(descriptor.media_type().as_ref()), "a layer's")?;
                Ok(Layer { descriptor: descriptor.clone(), diff_id: diff_id.clone() })
            })
            .collect::<Result<_, LoadError>>()?;
        Ok(Image { manifest, config, layers })
    }

    fn config(&mut self, descriptor: &Descriptor) -> Result<Document<ImageConfig>, LoadError> {
        expect_type(descriptor, is_config(descriptor.media_type().as_ref()), "an image config's")?;
        let bytes = self.read("config", descriptor, MAX_CONFIG)?;
        let value = parse("config", descriptor, &bytes)?;
        Ok(Document { value, bytes, descriptor: descriptor.clone() })
    }

    fn manifest(&mut self, descriptor: &Descriptor) -> Result<Manifest, LoadError> {
        let media_type = descriptor.media_type().as_ref();
        let index = is_index(media_type);
        expect_type(descriptor, index || is_manifest(media_type), "a manifest's or an index's")?;
        let what = if index { "index" } else { "manifest" };
        let bytes = self.read(what, descriptor, MAX_MANIFEST)?;
        parse::<Shape>(what, descriptor, &bytes)?.check(descriptor)?;
        let descriptor = descriptor.clone();
        if index {
            let value: ImageIndex = parse(what, &descriptor, &bytes)?;
            check_digests(value.manifests())?;
            return Ok(Manifest::Index(Document { value, bytes, descriptor }));
        }
        let value: ImageManifest = parse(what, &descriptor, &bytes)?;
        check_digests([value.config()])?;
        check_digests(value.layers())?;
        Ok(Manifest::Image(Document { value, bytes, descriptor }))
    }

    fn read(&mut self, what: &'static str, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, LoadError> {
        self.left = self.left.checked_sub(1).ok_or(LoadError::Documents)?;
        let digest = Digest::try_from(blob.digest())?.to_string();
        let size = blob.size();
        if size > limit {
            return Err(LoadError::TooLarge { what, digest, size, limit });
        }
        let mut bytes = Vec::new();
        let result = self.blobs.open(blob).and_then(|reader| reader.take(limit + 1).read_to_end(&mut bytes));
        result.map_err(|error| LoadError::Read { what, digest, error })?;
        Ok(bytes)
    }
}

/// The fields by which one kind of document is told from another. A document that different readers would take
/// for different things is refused (CVE-2021-41190).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Shape {
    fn check(self, descriptor: &Descriptor) -> Result<(), LoadError> {
        let digest = descriptor.digest().to_string();
        let image = self.config.is_some() || self.layers.is_some() || self.fs_layers.is_some();
        if self.manifests.is_some() && image {
            return Err(LoadError::Ambiguous { digest });
        }
        if self.schema_version != Some(2) {
            return Err(LoadError::Schema { digest, found: self.schema_version.unwrap_or(0) });
        }
        match self.media_type {
            Some(found) if found != descriptor.media_type().as_ref() => {
                let announced = shown(descriptor.media_type());
                Err(LoadError::Disagreement { digest, announced, found: shown(&found) })
            }
            _ => Ok(()),
        }
    }
}

fn parse<T: DeserializeOwned>(
    what: &'static str,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<T, LoadError> {
    serde_json::from_slice(bytes).map_err(|error| LoadError::Json {
        what,
        digest: descriptor.digest().to_string(),
        why: shown(&error),
    })
}

fn check_digests<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> Result<(), LoadError> {
    for descriptor in descriptors {
        Digest::try_from(descriptor.digest())?;
    }
    Ok(())
}

fn expect_type(descriptor: &Descriptor, fits: bool, expected: &'static str) -> Result<(), LoadError> {
    if fits {
        return Ok(());
    }
    let found = shown(descriptor.media_type());
    Err(LoadError::MediaType { digest: shown(descriptor.digest()), found, expected })
}

#[cfg(test)]
mod tests;
