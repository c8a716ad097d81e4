//! `oci-archive`: an image layout in a tar.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::Value;

use super::file::Destination;
use super::layout::{Choice, LAYOUT_FILE, Name, blob_path, empty_index, parse_layout, set_entries};
use super::tarball::{TarWriter, Tarball};
use super::{Sink, Source, TransportError};
use crate::image::{Artifact, Blobs, MAX_MANIFEST, digest_of, not_found};
use crate::oci::{Descriptor, Digest, canonical};
use crate::store::Verified;

const EXPECTED: &str = "an OCI archive";

/// An image in a layout in a tar, compressed or not.
#[derive(Debug)]
pub struct OciArchive {
    tar: Tarball,
    root: Descriptor,
}

impl OciArchive {
    pub fn open(path: &Path, choice: &Choice) -> Result<Self, TransportError> {
        let wrong = |why: String| TransportError::Format { path: path.to_owned(), expected: EXPECTED, why };
        let tar = Tarball::open(path).map_err(TransportError::io("reading", path))?;
        let read = |name: &str| match tar.read(name, MAX_MANIFEST) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(wrong(format!("there is no `{name}` in it"))),
            Err(error) => Err(wrong(error.to_string())),
        };
        let index = parse_layout(path, &read("oci-layout")?, &read("index.json")?)?;
        let root = choice.pick(&index, path)?;
        Ok(Self { tar, root })
    }
}

impl Blobs for OciArchive {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        let place = self.tar.find(&blob_path(&digest)).ok_or_else(|| not_found(&digest))?;
        Ok(Box::new(Verified::new(self.tar.reader(place), blob)?))
    }
}

impl Source for OciArchive {
    fn root(&self) -> &Descriptor {
        &self.root
    }
}

/// Writes an image as a layout in a tar, in one pass without seeking.
#[derive(Debug)]
pub struct OciArchiveSink {
    destination: Destination,
    names: Vec<Name>,
}

impl OciArchiveSink {
    pub fn new(destination: Destination, names: Vec<Name>) -> Self {
        Self { destination, names }
    }
}

impl Sink for OciArchiveSink {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        let mut members = Members::default();
        members.layout(artifact, &self.names)?;
        self.destination.write(|out| members.write(blobs, out))?;
        Ok(artifact.digest())
    }
}

/// The files of an archive by name, so that they are written in order and each once.
#[derive(Default)]
pub(super) struct Members<'a>(BTreeMap<String, Part<'a>>);

enum Part<'a> {
    Bytes(Vec<u8>),
    Blob(&'a Descriptor),
    /// The tar that a compressed layer holds; the size is the tar's.
    Unpacked(&'a crate::layer::Layer, u64),
}

impl<'a> Members<'a> {
    /// The layout of an artifact.
    pub(super) fn layout(&mut self, artifact: &'a Artifact, names: &[Name]) -> Result<(), TransportError> {
        for blob in artifact.contents() {
            self.blob(blob)?;
        }
        for (descriptor, bytes) in artifact.documents() {
            self.bytes(blob_path(&digest(descriptor)?), bytes.to_vec());
        }
        let mut index = empty_index();
        let entries = index.get_mut("manifests").and_then(Value::as_array_mut).expect("it is a list");
        set_entries(entries, artifact.descriptor(), names);
        self.bytes("index.json".into(), canonical::to_vec(&index).expect("strings and integers"));
        self.bytes("oci-layout".into(), LAYOUT_FILE.to_vec());
        Ok(())
    }

    pub(super) fn bytes(&mut self, name: String, bytes: Vec<u8>) {
        self.0.insert(name, Part::Bytes(bytes));
    }

    /// A blob under its layout's name, which is returned.
    pub(super) fn blob(&mut self, blob: &'a Descriptor) -> Result<String, TransportError> {
        let name = blob_path(&digest(blob)?);
        self.0.insert(name.clone(), Part::Blob(blob));
        Ok(name)
    }

    pub(super) fn unpacked(&mut self, name: String, layer: &'a crate::layer::Layer, size: u64) {
        self.0.insert(name, Part::Unpacked(layer, size));
    }

    pub(super) fn write(&self, blobs: &dyn Blobs, out: &mut dyn Write) -> Result<(), TransportError> {
        let mut tar = TarWriter::new(out);
        let failed = |name: &str| {
            let what = format!("writing `{name}` into an archive");
            move |error| TransportError::Io { what, error }
        };
        let mut folder = String::new();
        for (name, part) in &self.0 {
            for (end, _) in name.match_indices('/').filter(|(end, _)| !folder.starts_with(&name[..=*end])) {
                tar.folder(&name[..=end]).map_err(failed(name))?;
            }
            folder = name[..name.rfind('/').map_or(0, |end| end + 1)].to_owned();
            let result = match part {
                Part::Bytes(bytes) => tar.file(name, bytes.len() as u64, &mut &bytes[..]),
                Part::Blob(blob) => {
                    blobs.open(blob).and_then(|mut reader| tar.file(name, blob.size(), &mut *reader))
                }
                Part::Unpacked(layer, size) => super::docker_archive::unpacked(blobs, layer)
                    .and_then(|mut reader| tar.file(name, *size, &mut *reader)),
            };
            result.map_err(failed(name))?;
        }
        tar.finish().map_err(failed("the end"))
    }
}

fn digest(blob: &Descriptor) -> Result<Digest, TransportError> {
    Digest::try_from(blob.digest()).map_err(|error| TransportError::Load(error.into()))
}

#[cfg(test)]
mod tests;
