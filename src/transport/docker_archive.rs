//! `docker-archive`: what `docker save` writes and `docker load` takes.
//!
//! A tar with a `manifest.json` that names a config and its layers, each a file of whatever name. There is no OCI
//! manifest in the older ones, so one is made: of the config as it is and the layers as they are. What lith writes
//! is an image layout at the same time where it can be, as BuildKit's is, so that readers that look for one keep
//! the digest.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use oci_spec::image::ImageManifestBuilder;
use serde::{Deserialize, Serialize};

use super::file::{Destination, pump};
use super::layout::{Choice, Name};
use super::oci_archive::Members;
use super::tarball::{Extent, Tarball};
use super::{Sink, Source, TransportError};
use crate::compression::{self, Format};
use crate::image::{
    Artifact, Blobs, Document, Image, MAX_CONFIG, MAX_MANIFEST, Memory, descriptor, digest_of,
};
use crate::layer::Layer;
use crate::oci::{
    Algorithm, Descriptor, Digest, HashingReader, ImageConfig, MediaType, Reference, canonical,
};
use crate::store::Verified;
use crate::text::shown;

const EXPECTED: &str = "a docker archive";
const SINK: &str = "a docker archive";

/// One image of `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<String>,
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An image in an archive of `docker save` or `podman save`, compressed or not.
#[derive(Debug)]
pub struct DockerArchive {
    tar: Tarball,
    layers: BTreeMap<Digest, Extent>,
    /// The config, and the manifest that was made of what the archive says.
    documents: Memory,
    root: Descriptor,
}

impl DockerArchive {
    pub fn open(path: &Path, choice: &Choice) -> Result<Self, TransportError> {
        let tar = Tarball::open(path).map_err(TransportError::io("reading", path))?;
        let wrong = |why: String| TransportError::Format { path: path.to_owned(), expected: EXPECTED, why };
        let read = |name: &str, limit| match tar.read(name, limit) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(wrong(format!("there is no `{}` in it", shown(&name)))),
            Err(error) => Err(wrong(shown(&error))),
        };
        let json = |name: &str, error| wrong(format!("`{}`: {}", shown(&name), shown(&error)));
        let entries: Vec<Entry> = serde_json::from_slice(&read("manifest.json", MAX_MANIFEST)?)
            .map_err(|error| json("manifest.json", error))?;
        let entry = pick(choice, &entries, path)?;
        let config_bytes = read(&entry.config, MAX_CONFIG)?;
        let config: ImageConfig =
            serde_json::from_slice(&config_bytes).map_err(|error| json(&entry.config, error))?;
        if config.rootfs.diff_ids.len() != entry.layers.len() {
            let (layers, diff_ids) = (entry.layers.len(), config.rootfs.diff_ids.len());
            return Err(wrong(format!("the image has {layers} layers and {diff_ids} diff IDs")));
        }
        let mut layers = BTreeMap::new();
        let mut descriptors = Vec::new();
        for (name, diff_id) in std::iter::zip(&entry.layers, &config.rootfs.diff_ids) {
            let missing = || wrong(format!("there is no `{}` in it", shown(name)));
            let place = tar.find(name).ok_or_else(missing)?;
            let diff_id = diff_id.to_string().parse().expect("a diff ID is a digest");
            let found = describe(&tar, place, diff_id);
            let (digest, descriptor) = found.map_err(|e| wrong(format!("`{}`: {e}", shown(name))))?;
            layers.insert(digest, place);
            descriptors.push(descriptor);
        }
        let mut documents = Memory::default();
        let size = config_bytes.len() as u64;
        let config = descriptor(MediaType::ImageConfig, &documents.put(config_bytes), size);
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers(descriptors)
            .build()
            .expect("the required fields are set");
        let manifest = Document::write(manifest, MediaType::ImageManifest).expect("strings and integers");
        documents.put(manifest.bytes);
        Ok(Self { tar, layers, documents, root: manifest.descriptor })
    }
}

fn pick<'a>(choice: &Choice, entries: &'a [Entry], path: &Path) -> Result<&'a Entry, TransportError> {
    let names = || {
        let tags = |e: &Entry| {
            if e.repo_tags.is_empty() {
                vec![shown(&e.config)]
            } else {
                e.repo_tags.iter().map(shown).collect()
            }
        };
        entries.iter().flat_map(tags).collect()
    };
    let found = match choice {
        Choice::Only => match entries {
            [one] => Some(one),
            [] => return Err(TransportError::Empty { path: path.to_owned() }),
            _ => return Err(TransportError::NoChoice { path: path.to_owned(), available: names() }),
        },
        Choice::Tag(tag) => entries.iter().find(|e| e.repo_tags.iter().any(|name| Choice::names(tag, name))),
        // docker's ID of an image is its config's digest.
        Choice::Digest(digest) => entries.iter().find(|entry| entry.config.contains(digest.hex())),
    };
    found.ok_or_else(|| {
        let wanted = match choice {
            Choice::Digest(digest) => digest.to_string(),
            Choice::Tag(tag) => shown(tag),
            Choice::Only => String::new(),
        };
        TransportError::NoSuchImage { path: path.to_owned(), wanted, available: names() }
    })
}

/// The descriptor of a layer as it lies in the archive. A plain tar's digest is its diff ID, which whoever reads it
/// verifies; a compressed one has to be hashed.
fn describe(tar: &Tarball, place: Extent, diff_id: Digest) -> io::Result<(Digest, Descriptor)> {
    let mut first = [0; Format::MAGIC_LEN];
    let n = pump(&mut tar.reader(place).take(first.len() as u64), &mut &mut first[..])?;
    let media_type = match Format::detect(&first[..usize::try_from(n).expect("at most six")]) {
        Format::Plain => {
            let described = descriptor(MediaType::ImageLayer, &diff_id, place.size);
            return Ok((diff_id, described));
        }
        Format::Gzip => MediaType::ImageLayerGzip,
        Format::Zstd => MediaType::ImageLayerZstd,
        Format::Bzip2 | Format::Xz => {
            let why = "an image's layer is a tar, or one compressed with gzip or zstd";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    };
    let mut reader = HashingReader::new(tar.reader(place), Algorithm::Sha256);
    pump(&mut reader, &mut io::sink())?;
    let (digest, size) = reader.finish();
    let described = descriptor(media_type, &digest, size);
    Ok((digest, described))
}

impl Blobs for DockerArchive {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        match self.layers.get(&digest_of(blob)?) {
            Some(place) => Ok(Box::new(Verified::new(self.tar.reader(*place), blob)?)),
            None => self.documents.open(blob),
        }
    }
}

impl Source for DockerArchive {
    fn root(&self) -> &Descriptor {
        &self.root
    }
}

/// Writes one image as `docker load` and `podman load` take it, in one pass without seeking.
#[derive(Debug)]
pub struct DockerArchiveSink {
    destination: Destination,
    names: Vec<Reference>,
}

impl DockerArchiveSink {
    pub fn new(destination: Destination, names: Vec<Reference>) -> Self {
        Self { destination, names }
    }
}

impl Sink for DockerArchiveSink {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        let members = members(artifact, blobs, &self.names)?;
        self.destination.write(|out| members.write(blobs, out))?;
        Ok(artifact.digest())
    }
}

/// The files of a docker archive of the one image in `artifact`.
pub(super) fn members<'a>(
    artifact: &'a Artifact,
    blobs: &dyn Blobs,
    names: &[Reference],
) -> Result<Members<'a>, TransportError> {
    let image = match artifact.images()[..] {
        [image] => image,
        [] => return Err(TransportError::NoImage { sink: SINK }),
        ref images => return Err(TransportError::OneImage { sink: SINK, images: images.len() }),
    };
    let mut members = Members::default();
    let layers = if image.layers.iter().all(is_common) {
        // podman reads the layout first, and of one that has two names it takes but the first.
        if names.len() <= 1 {
            members.layout(artifact, &names.iter().map(Name::from).collect::<Vec<_>>())?;
        }
        image.layers.iter().map(|layer| members.blob(&layer.descriptor)).collect::<Result<_, _>>()?
    } else {
        // Another set of blobs is another image, so a layout beside it would only lie.
        plain_layers(image, blobs, &mut members)?
    };
    let digest = Digest::try_from(image.config.descriptor.digest());
    let config = super::layout::blob_path(&digest.map_err(|error| TransportError::Load(error.into()))?);
    members.bytes(config.clone(), image.config.bytes.clone());
    // The whole names, as docker and podman fill in short ones differently. One with a digest is nothing that an
    // image could be called by.
    let named = names.iter().filter(|name| name.digest().is_none());
    let repo_tags = named.map(ToString::to_string).collect();
    let manifest = canonical::to_vec(&[Entry { config, repo_tags, layers }]).expect("strings");
    members.bytes("manifest.json".into(), manifest);
    Ok(members)
}

/// Whether every docker reads it: they detect gzip, and have learnt of zstd in version 23 only.
fn is_common(layer: &Layer) -> bool {
    !layer.descriptor.media_type().as_ref().ends_with("zstd")
}

/// The layers as plain tars under their diff IDs. A tar must announce the size of each, so that those which are
/// compressed are unpacked twice: once to measure them, and to see that they are what the image says they are.
fn plain_layers<'a>(
    image: &'a Image,
    blobs: &dyn Blobs,
    members: &mut Members<'a>,
) -> Result<Vec<String>, TransportError> {
    let mut names = Vec::new();
    for layer in &image.layers {
        let size = measure(blobs, layer)?;
        let name = format!("{}.tar", layer.diff_id.hex());
        members.unpacked(name.clone(), layer, size);
        names.push(name);
    }
    Ok(names)
}

fn measure(blobs: &dyn Blobs, layer: &Layer) -> Result<u64, TransportError> {
    let failed = |error| TransportError::Io {
        what: format!("unpacking layer `{}`", layer.descriptor.digest()),
        error,
    };
    let reader = unpacked(blobs, layer).map_err(failed)?;
    let mut reader = HashingReader::new(reader, layer.diff_id.algorithm());
    pump(&mut reader, &mut io::sink()).map_err(failed)?;
    let (digest, size) = reader.finish();
    if digest.to_string() == layer.diff_id.to_string() {
        return Ok(size);
    }
    let (digest, expected) = (layer.descriptor.digest().to_string(), layer.diff_id.to_string());
    Err(TransportError::DiffId { digest, expected })
}

/// A layer's tar, whatever it is compressed by.
pub(super) fn unpacked<'a>(blobs: &'a dyn Blobs, layer: &Layer) -> io::Result<Box<dyn Read + 'a>> {
    compression::decode(BufReader::with_capacity(128 << 10, blobs.open(&layer.descriptor)?))
}

#[cfg(test)]
mod tests;
