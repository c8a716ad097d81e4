//! A judge of images. It reads an OCI layout by the specification's words and recomputes everything: each
//! digest, size and diff ID, the media types, the order of the layers' entries, and the contract's rules that
//! can be seen from outside. It uses the JSON, tar and hash crates, and nothing of lith.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// An OCI layout in a folder, found to be right.
pub(crate) struct Layout {
    root: PathBuf,
    pub(crate) index: Value,
}

/// One image of a layout.
pub(crate) struct Image {
    pub(crate) digest: String,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
    pub(crate) layers: Vec<Layer>,
}

/// One layer, unpacked as far as its listing.
pub(crate) struct Layer {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) entries: Vec<Entry>,
}

/// An entry of a layer's tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) mtime: u64,
    pub(crate) link: Option<String>,
    pub(crate) device: Option<(u32, u32)>,
    pub(crate) content: Vec<u8>,
    pub(crate) pax: Vec<(String, Vec<u8>)>,
}

impl Layout {
    #[track_caller]
    pub(crate) fn open(root: &Path) -> Self {
        let marker: Value = json(&std::fs::read(root.join("oci-layout")).expect("`oci-layout`"));
        assert_eq!(marker["imageLayoutVersion"], "1.0.0");
        let index = json(&std::fs::read(root.join("index.json")).expect("`index.json`"));
        assert_eq!(index["schemaVersion"], 2);
        Self { root: root.to_owned(), index }
    }

    /// The blob behind a descriptor, whose size and digest must hold.
    #[track_caller]
    pub(crate) fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
        let hex = digest.strip_prefix("sha256:").expect("a SHA-256 digest");
        let bytes = std::fs::read(self.root.join("blobs/sha256").join(hex)).expect("the blob is there");
        assert_eq!(descriptor["size"].as_u64(), Some(bytes.len() as u64), "the size of {digest}");
        assert_eq!(sha256(&bytes), hex, "the digest of a blob");
        assert!(descriptor["mediaType"].is_string(), "a descriptor has a media type");
        bytes
    }

    /// The only image of the layout.
    #[track_caller]
    pub(crate) fn image(&self) -> Image {
        let manifests = self.index["manifests"].as_array().expect("manifests");
        assert_eq!(manifests.len(), 1, "one image was expected");
        self.image_of(&manifests[0])
    }

    /// The image of a manifest's descriptor.
    #[track_caller]
    pub(crate) fn image_of(&self, descriptor: &Value) -> Image {
        let bytes = self.blob(descriptor);
        let manifest = json(&bytes);
        assert_canonical(&bytes, &manifest);
        assert_eq!(manifest["schemaVersion"], 2);
        assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
        let bytes = self.blob(&manifest["config"]);
        let config = json(&bytes);
        assert_canonical(&bytes, &config);
        let layers = self.layers(&manifest, &config);
        let filled = config["history"]
            .as_array()
            .map_or(0, |lines| lines.iter().filter(|line| line["empty_layer"] != Value::Bool(true)).count());
        assert_eq!(filled, layers.len(), "the history has a line for each layer");
        Image { digest: descriptor["digest"].as_str().expect("checked").to_owned(), manifest, config, layers }
    }

    fn layers(&self, manifest: &Value, config: &Value) -> Vec<Layer> {
        assert_eq!(config["rootfs"]["type"], "layers");
        let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("diff IDs");
        let descriptors = manifest["layers"].as_array().expect("layers");
        assert_eq!(diff_ids.len(), descriptors.len(), "a diff ID for each layer");
        let pairs = descriptors.iter().zip(diff_ids);
        pairs.map(|(descriptor, diff_id)| self.layer(descriptor, diff_id.as_str().expect("text"))).collect()
    }

    fn layer(&self, descriptor: &Value, diff_id: &str) -> Layer {
        let blob = self.blob(descriptor);
        let media_type = descriptor["mediaType"].as_str().expect("checked").to_owned();
        let tar = match media_type.as_str() {
            "application/vnd.oci.image.layer.v1.tar" => blob,
            "application/vnd.oci.image.layer.v1.tar+gzip" => {
                let mut tar = Vec::new();
                flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut tar).expect("gzip");
                tar
            }
            "application/vnd.oci.image.layer.v1.tar+zstd" => zstd::decode_all(&blob[..]).expect("zstd"),
            other => panic!("a layer of type `{other}`"),
        };
        assert_eq!(format!("sha256:{}", sha256(&tar)), diff_id, "the diff ID");
        let digest = descriptor["digest"].as_str().expect("checked").to_owned();
        Layer { media_type, digest, entries: entries(&tar) }
    }
}

impl Image {
    /// All that the image is, for people: the golden form.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{}\n\n", self.digest);
        writeln!(text, "{}", serde_json::to_string_pretty(&self.config).expect("JSON")).expect("writing");
        if let Some(annotations) = self.manifest.get("annotations") {
            writeln!(text, "\nannotations {annotations}").expect("writing");
        }
        for layer in &self.layers {
            writeln!(text, "\n{} {}", layer.digest, layer.media_type).expect("writing");
            for entry in &layer.entries {
                writeln!(text, "{}", entry.describe()).expect("writing");
            }
        }
        text
    }
}

impl Entry {
    fn describe(&self) -> String {
        let mut text = format!(
            "{}{:04o} {}:{} {}",
            self.kind,
            self.mode,
            self.owner.0,
            self.owner.1,
            self.path.escape_debug()
        );
        if self.mtime != 0 {
            write!(text, " @{}", self.mtime).expect("writing");
        }
        if let Some(link) = &self.link {
            write!(text, " -> {}", link.escape_debug()).expect("writing");
        }
        if let Some((major, minor)) = self.device {
            write!(text, " {major},{minor}").expect("writing");
        }
        if self.kind == '-' {
            write!(text, " {} bytes {}", self.content.len(), &sha256(&self.content)[..12]).expect("writing");
        }
        for (key, value) in &self.pax {
            write!(text, " {key}={}", value.escape_ascii()).expect("writing");
        }
        text
    }
}

/// The entries of a tar that lith wrote, which must be in order, each path once, with exactly two closing blocks.
#[track_caller]
pub(crate) fn entries(tar: &[u8]) -> Vec<Entry> {
    assert!(tar.len().is_multiple_of(512) && tar.len() >= 1024, "whole blocks");
    assert!(tar[tar.len() - 1024..].iter().all(|&b| b == 0), "two blocks of zeros at the end");
    let mut archive = tar::Archive::new(tar);
    let mut found = Vec::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let pax = match entry.pax_extensions().expect("PAX records") {
            Some(records) => records
                .map(|record| record.expect("a PAX record"))
                .map(|record| (record.key().expect("UTF-8").to_owned(), record.value_bytes().to_vec()))
                .collect(),
            None => Vec::new(),
        };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("the body");
        found.push(describe_header(&entry, content, pax));
    }
    let names: Vec<&str> = found.iter().map(|entry| entry.path.trim_end_matches('/')).collect();
    assert!(names.is_sorted(), "entries are in order: {names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each path stands once");
    found
}

fn describe_header(entry: &tar::Entry<'_, &[u8]>, content: Vec<u8>, pax: Vec<(String, Vec<u8>)>) -> Entry {
    let header = entry.header();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kind = match header.entry_type() {
        tar::EntryType::Regular => '-',
        tar::EntryType::Directory => 'd',
        tar::EntryType::Symlink => 'l',
        tar::EntryType::Link => 'h',
        tar::EntryType::Char => 'c',
        tar::EntryType::Block => 'b',
        tar::EntryType::Fifo => 'p',
        other => panic!("an entry of type {other:?}"),
    };
    assert_eq!(header.username_bytes(), Some(&b""[..]), "owners are numbers");
    assert_eq!(header.groupname_bytes(), Some(&b""[..]), "owners are numbers");
    let device = matches!(kind, 'c' | 'b').then(|| {
        let number = |n: std::io::Result<Option<u32>>| n.expect("a number").expect("ustar");
        (number(header.device_major()), number(header.device_minor()))
    });
    Entry {
        path: text(&entry.path_bytes()),
        kind,
        mode: header.mode().expect("a mode"),
        owner: (header.uid().expect("a uid"), header.gid().expect("a gid")),
        mtime: header.mtime().expect("a time"),
        link: entry.link_name_bytes().map(|name| text(&name)),
        device,
        content,
        pax,
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[track_caller]
fn assert_canonical(bytes: &[u8], value: &Value) {
    assert_eq!(String::from_utf8_lossy(bytes), serde_json::to_string(value).expect("JSON"), "canonical JSON");
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
