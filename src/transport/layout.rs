//! The OCI image layout (image-spec, image-layout.md) in a folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde_json::{Map, Value, json};

use super::copy::each;
use super::file::{pump, temporary_in, write_small};
use super::{Sink, Source, TransportError};
use crate::image::{Artifact, Blobs, MAX_MANIFEST, digest_of, not_found};
use crate::oci::media_type::INDEX;
use crate::oci::{Descriptor, Digest, ImageIndex, Reference, canonical};
use crate::store::Verified;
use crate::store::files::{open_regular, read_bounded};
use crate::text::shown;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// containerd's annotation for the whole name, which `ref.name` by custom holds only the tag of.
const IMAGE_NAME: &str = "io.containerd.image.name";
pub(super) const LAYOUT_FILE: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Which image of a layout is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// The only one there is, or else the one that is called `latest`.
    #[default]
    Only,
    /// The one of this `ref.name`, or whose whole name has this tag.
    Tag(String),
    Digest(Digest),
}

impl Choice {
    /// Splits `PATH`, `PATH:NAME` or `PATH@DIGEST`. As paths may hold these characters, the shortest path that exists
    /// decides; where none does, the last part is taken for a tag if it looks like one.
    pub fn split(text: &str) -> (PathBuf, Self) {
        let ends = || text.match_indices([':', '@']).map(|(at, _)| at);
        let exists = |at: &usize| Path::new(&text[..*at]).exists();
        let looks = |at: &usize| !text[at + 1..].contains('/');
        if Path::new(text).exists() {
            return (text.into(), Self::Only);
        }
        let Some(at) = ends().find(exists).or_else(|| ends().find(|at| *at > 0 && looks(at))) else {
            return (text.into(), Self::Only);
        };
        let (path, rest) = (PathBuf::from(&text[..at]), &text[at + 1..]);
        // A tag beside a digest says nothing more.
        match rest.rsplit_once('@').map_or(rest, |(_, digest)| digest).parse() {
            Ok(digest) => (path, Self::Digest(digest)),
            Err(_) if rest.is_empty() => (path, Self::Only),
            Err(_) => (path, Self::Tag(rest.into())),
        }
    }

    /// Whether what was asked for as `wanted`, a tag or a whole reference, is what an image called `name` is.
    pub(super) fn names(wanted: &str, name: &str) -> bool {
        if name == wanted {
            return true;
        }
        let Ok(name) = name.parse::<Reference>() else { return false };
        let same = |wanted: Reference| wanted.to_string() == name.to_string();
        let whole = wanted.contains([':', '/']).then(|| wanted.parse().ok()).flatten();
        name.tag() == Some(wanted) || whole.is_some_and(same)
    }

    /// The entry of a layout's index that is meant.
    pub(super) fn pick(&self, index: &ImageIndex, path: &Path) -> Result<Descriptor, TransportError> {
        let entries = index.manifests();
        let found = match self {
            Self::Only => only(entries),
            Self::Tag(tag) => entries.iter().find(|entry| has_tag(entry, tag)),
            Self::Digest(digest) => entries.iter().find(|e| e.digest().as_ref() == digest.to_string()),
        };
        found.cloned().ok_or_else(|| {
            let (path, available) = (path.to_owned(), entries.iter().map(describe).collect());
            match self {
                Self::Only if entries.is_empty() => TransportError::Empty { path },
                Self::Only => TransportError::NoChoice { path, available },
                Self::Tag(tag) => TransportError::NoSuchImage { path, wanted: shown(tag), available },
                Self::Digest(digest) => {
                    TransportError::NoSuchImage { path, wanted: digest.to_string(), available }
                }
            }
        })
    }
}

fn only(entries: &[Descriptor]) -> Option<&Descriptor> {
    let (first, rest) = entries.split_first()?;
    if rest.iter().all(|entry| entry.digest() == first.digest()) {
        return Some(first);
    }
    entries.iter().find(|entry| annotation(entry, REF_NAME) == Some("latest"))
}

fn has_tag(entry: &Descriptor, tag: &str) -> bool {
    // A `ref.name` without a colon is a tag, though it would parse as the name of a repository.
    let ref_name = annotation(entry, REF_NAME);
    ref_name == Some(tag)
        || ref_name.is_some_and(|name| name.contains(':') && Choice::names(tag, name))
        || annotation(entry, IMAGE_NAME).is_some_and(|name| Choice::names(tag, name))
}

fn describe(entry: &Descriptor) -> String {
    let name = annotation(entry, REF_NAME).or(annotation(entry, IMAGE_NAME));
    name.map_or_else(|| entry.digest().to_string(), |name| shown(&name))
}

fn annotation<'a>(entry: &'a Descriptor, key: &str) -> Option<&'a str> {
    entry.annotations().as_ref()?.get(key).map(String::as_str)
}

fn read_index(folder: &Path) -> Result<ImageIndex, TransportError> {
    let read = |name: &str| {
        read_bounded(&folder.join(name), MAX_MANIFEST).map_err(|error| TransportError::Format {
            path: folder.to_owned(),
            expected: "an image layout",
            why: format!("`{name}`: {error}"),
        })
    };
    parse_layout(folder, &read("oci-layout")?, &read("index.json")?)
}

/// Reads a layout's two files, from wherever it is.
pub(super) fn parse_layout(path: &Path, layout: &[u8], index: &[u8]) -> Result<ImageIndex, TransportError> {
    let wrong =
        |why: String| TransportError::Format { path: path.to_owned(), expected: "an image layout", why };
    let layout: Value =
        serde_json::from_slice(layout).map_err(|e| wrong(format!("`oci-layout`: {}", shown(&e))))?;
    let version = layout.get("imageLayoutVersion").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("1.") {
        return Err(wrong(format!("its layout version is `{}`; expected 1.0.0", shown(&version))));
    }
    let index: ImageIndex =
        serde_json::from_slice(index).map_err(|e| wrong(format!("`index.json`: {}", shown(&e))))?;
    for entry in index.manifests() {
        digest_of(entry).map_err(|e| wrong(format!("`index.json`: {}", shown(&e))))?;
    }
    Ok(index)
}

/// The path of a blob below a layout's folder.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// An image in a layout's folder.
#[derive(Debug)]
pub struct Layout {
    folder: PathBuf,
    root: Descriptor,
}

impl Layout {
    pub fn open(folder: &Path, choice: &Choice) -> Result<Self, TransportError> {
        let root = choice.pick(&read_index(folder)?, folder)?;
        Ok(Self { folder: folder.to_owned(), root })
    }

    /// What `root` stands for in a layout. Nothing is read yet.
    pub fn of(folder: &Path, root: Descriptor) -> Self {
        Self { folder: folder.to_owned(), root }
    }

    /// The tags of a layout, in its order.
    pub fn tags(folder: &Path) -> Result<Vec<(String, Descriptor)>, TransportError> {
        let index = read_index(folder)?;
        let tagged = |entry: &Descriptor| Some((annotation(entry, REF_NAME)?.to_owned(), entry.clone()));
        Ok(index.manifests().iter().filter_map(tagged).collect())
    }
}

impl Blobs for Layout {
    fn open(&self, blob: &Descriptor) -> io::Result<Box<dyn Read + '_>> {
        let digest = digest_of(blob)?;
        match open_regular(&self.folder.join(blob_path(&digest))) {
            Ok(file) => Ok(Box::new(Verified::new(file, blob)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_found(&digest)),
            Err(error) => Err(error),
        }
    }

    fn file(&self, blob: &Descriptor) -> Option<File> {
        open_regular(&self.folder.join(blob_path(&digest_of(blob).ok()?))).ok()
    }
}

impl Source for Layout {
    fn root(&self) -> &Descriptor {
        &self.root
    }
}

/// What an image is called in a layout's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    ref_name: String,
    image_name: Option<String>,
}

impl Name {
    /// Called by this tag alone.
    pub fn tag(tag: &str) -> Self {
        Self { ref_name: tag.to_owned(), image_name: None }
    }

    /// Of two entries with one tag, only one may say so: a tag that two have is ambiguous (umoci).
    fn annotations(&self, has_tag: bool) -> Value {
        match &self.image_name {
            Some(name) if !has_tag => json!({ IMAGE_NAME: name }),
            Some(name) => json!({ REF_NAME: self.ref_name, IMAGE_NAME: name }),
            None => json!({ REF_NAME: self.ref_name }),
        }
    }

    /// Whether the entry stands for this name, or for another one with its tag.
    fn is_of(&self, entry: &Value) -> bool {
        match entry["annotations"][REF_NAME].as_str() {
            Some(tag) => tag == self.ref_name,
            None => {
                self.image_name.is_some()
                    && entry["annotations"][IMAGE_NAME].as_str() == self.image_name.as_deref()
            }
        }
    }
}

impl From<&Reference> for Name {
    /// The tag as `ref.name`, beside the whole name, as BuildKit has it.
    fn from(reference: &Reference) -> Self {
        let ref_name = reference.tag().unwrap_or("latest").to_owned();
        Self { ref_name, image_name: Some(reference.to_string()) }
    }
}

/// Writes into a layout's folder, which is made if it isn't there. Images of other names stay.
#[derive(Debug)]
pub struct LayoutSink {
    folder: PathBuf,
    names: Vec<Name>,
}

impl LayoutSink {
    pub fn new(folder: &Path, names: Vec<Name>) -> Self {
        Self { folder: folder.to_owned(), names }
    }

    fn write(&self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<(), TransportError> {
        let _lock = self.lock()?;
        let index = self.index(artifact)?;
        self.put_parts(artifact, blobs)?;
        let put = |name: &str, bytes: &[u8]| {
            let path = self.folder.join(name);
            write_small(&path, bytes).map_err(TransportError::io("writing", &path))
        };
        put("oci-layout", LAYOUT_FILE)?;
        put("index.json", &index)
    }

    /// Puts all of it there without giving it a name: that is for who puts it again.
    pub(crate) fn add(&self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<(), TransportError> {
        let _lock = self.lock()?;
        self.put_parts(artifact, blobs)
    }

    /// Two builds into one folder take turns, so that neither loses the other's name.
    fn lock(&self) -> Result<File, TransportError> {
        let doing = |what| TransportError::io(what, &self.folder);
        std::fs::create_dir_all(self.folder.join("blobs/sha256")).map_err(doing("making"))?;
        let lock = File::open(&self.folder).map_err(doing("opening"))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| doing("locking")(e.into()))?;
        Ok(lock)
    }

    fn put_parts(&self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<(), TransportError> {
        each(&artifact.contents(), |blob| self.put_blob(blob, blobs))?;
        for (descriptor, bytes) in artifact.documents() {
            self.write_blob(descriptor, |file| pump(&mut Verified::new(bytes, descriptor)?, file))?;
        }
        Ok(())
    }

    /// The new `index.json`: what was there, with the images of our names replaced.
    fn index(&self, artifact: &Artifact) -> Result<Vec<u8>, TransportError> {
        let path = self.folder.join("index.json");
        let mut index = match read_bounded(&path, MAX_MANIFEST) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| self.not_an_index(&shown(&error)))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => empty_index(),
            Err(error) => return Err(TransportError::io("reading", &path)(error)),
        };
        let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
        let entries = entries.ok_or_else(|| self.not_an_index("it has no list `manifests`"))?;
        set_entries(entries, artifact.descriptor(), &self.names);
        canonical::to_vec(&index).map_err(|error| self.not_an_index(&error.to_string()))
    }

    fn not_an_index(&self, why: &str) -> TransportError {
        let why = format!("`index.json`: {why}");
        TransportError::Format { path: self.folder.clone(), expected: "an image layout", why }
    }

    /// Writes a blob that isn't there. Where it comes from a file, the kernel copies it (on some file systems
    /// without copying a byte) and the copy is verified; otherwise it is verified on its way.
    fn put_blob(&self, blob: &Descriptor, blobs: &dyn Blobs) -> Result<(), TransportError> {
        self.write_blob(blob, |file| match blobs.file(blob) {
            Some(source) => {
                // One byte more than it may have is enough to tell.
                io::copy(&mut source.take(blob.size().saturating_add(1)), file)?;
                file.rewind()?;
                let verified = pump(&mut Verified::new(file, blob)?, &mut io::sink());
                // If the copy is wrong because its source is, the source says so itself.
                verified.or_else(|error| pump(&mut *blobs.open(blob)?, &mut io::sink()).and(Err(error)))
            }
            None => pump(&mut *blobs.open(blob)?, file),
        })
    }

    fn write_blob(
        &self,
        blob: &Descriptor,
        write: impl FnOnce(&mut File) -> io::Result<u64>,
    ) -> Result<(), TransportError> {
        let failed = |error| TransportError::Io {
            what: format!("writing blob `{}` to `{}`", blob.digest(), self.folder.display()),
            error,
        };
        let digest = digest_of(blob).map_err(failed)?;
        let path = self.folder.join(blob_path(&digest));
        if is_there(&path, blob) {
            return Ok(());
        }
        let write = || {
            std::fs::create_dir_all(path.parent().expect("it is below the folder"))?;
            let mut file = temporary_in(&self.folder)?;
            write(file.as_file_mut())?;
            file.persist(&path).map(drop).map_err(|error| error.error)
        };
        write().map_err(failed)
    }
}

impl Sink for LayoutSink {
    fn put(&mut self, artifact: &Artifact, blobs: &dyn Blobs) -> Result<Digest, TransportError> {
        refuse_foreign(&self.folder)?;
        self.write(artifact, blobs)?;
        Ok(artifact.digest())
    }
}

/// Whether the blob is there already, whole: a file of its name may be what a crash or a full disk has left.
fn is_there(path: &Path, blob: &Descriptor) -> bool {
    let Ok(file) = open_regular(path) else { return false };
    if file.metadata().map_or(0, |m| m.len()) != blob.size() {
        return false;
    }
    Verified::new(file, blob).and_then(|mut reader| pump(&mut reader, &mut io::sink())).is_ok()
}

/// A mistyped destination must not be strewn with blobs.
fn refuse_foreign(folder: &Path) -> Result<(), TransportError> {
    let names = walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name();
    let mut names =
        names.into_iter().filter_map(Result::ok).map(|entry| entry.file_name().to_owned()).peekable();
    let known = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        matches!(&*name, "blobs" | "oci-layout" | "index.json") || name.starts_with(".lith-")
    };
    if names.peek().is_some() && !folder.join("oci-layout").exists() && !names.all(|name| known(&name)) {
        return Err(TransportError::ForeignFolder { path: folder.to_owned() });
    }
    Ok(())
}

pub(super) fn empty_index() -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
}

/// Puts `root` under `names`, or without a name, in place of what had them.
pub(super) fn set_entries(entries: &mut Vec<Value>, root: &Descriptor, names: &[Name]) {
    let entry = |annotations: Option<Value>| {
        let mut entry = Map::new();
        entry.insert("mediaType".into(), json!(root.media_type()));
        entry.insert("digest".into(), json!(root.digest()));
        entry.insert("size".into(), json!(root.size()));
        entry.extend(annotations.map(|annotations| ("annotations".into(), annotations)));
        Value::Object(entry)
    };
    if names.is_empty() {
        let is_named =
            |old: &Value| [REF_NAME, IMAGE_NAME].iter().any(|&key| old["annotations"][key].is_string());
        entries.retain(is_named);
        entries.push(entry(None));
        return;
    }
    entries.retain(|old| !names.iter().any(|name| name.is_of(old)));
    let mut tags = BTreeSet::new();
    let named = names.iter().map(|name| entry(Some(name.annotations(tags.insert(&name.ref_name)))));
    entries.extend(named);
}

#[cfg(test)]
mod tests;
