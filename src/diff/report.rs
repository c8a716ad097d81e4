//! What was found, as values. Their serialisation is documented in docs/diff.md: a field may be added, and none may
//! change its meaning.
//!
//! Names, targets and texts are a stranger's, escaped as [`crate::text::escaped`] does.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::Cause;

/// The same thing on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Both<T> {
    pub a: T,
    pub b: T,
}

impl<T> Both<T> {
    pub(super) fn new(a: T, b: T) -> Self {
        Self { a, b }
    }
}

/// How two images differ. All empty: they hold the same.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ImageDiff {
    pub manifest: Vec<Field>,
    pub config: Vec<Field>,
    pub history: Vec<HistoryDiff>,
    pub layers: Vec<LayerDiff>,
    /// Of the final trees, by path.
    pub files: Vec<FileDiff>,
}

impl ImageDiff {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A field of a document: absent on one side, or other on both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// As in `config.Env.PATH` or `annotations.org.example`.
    pub name: String,
    #[serde(flatten)]
    pub values: Both<Option<Value>>,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryDiff {
    #[serde(flatten)]
    pub lines: Both<Option<crate::oci::History>>,
}

/// Layers that are not the same, in one place of the two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerDiff {
    #[serde(flatten)]
    pub layers: Both<Option<LayerFacts>>,
    pub how: How,
    /// What is in them, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDiff>,
}

/// What a layer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerFacts {
    /// From 1.
    pub number: usize,
    pub digest: String,
    pub diff_id: String,
    pub media_type: String,
    /// Of the blob.
    pub size: u64,
}

/// How two layers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    Added,
    Removed,
    /// One blob; the manifests say other things of it.
    Descriptor,
    /// One tar, compressed otherwise.
    Compression,
    /// The same files; the tar has its entries in another order.
    Order,
    /// The same files in the same order; the tar says so in other headers, or with another end.
    Headers,
    /// The same files but for their times.
    Times,
    Files,
}

/// What stands at one path on the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileDiff {
    pub path: String,
    pub change: Change,
    /// Where a moved file was before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was added, removed or moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aspects: Vec<Aspect>,
    /// The likely causes: a guess, as docs/diff.md says.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub causes: BTreeSet<Cause>,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    Added,
    Removed,
    Changed,
    Moved,
}

/// What a file is that stands on one side alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// `file`, `dir`, `symlink`, `hardlink`, `char`, `block`, `fifo`, `whiteout` or `opaque`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub mode: String,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// One thing in which a path differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Aspect {
    Type(Both<&'static str>),
    Content(ContentDiff),
    /// As in `0755`.
    Mode(Both<String>),
    /// `UID:GID`.
    Owner(Both<String>),
    /// Seconds since 1970.
    Time(Both<i64>),
    /// Of a link.
    Target(Both<String>),
    /// The first name of the file that it is another name of.
    HardLink(Both<Option<String>>),
    /// The numbers of a device.
    Device(Both<String>),
    /// Values as hexadecimal digits; absent where there is no such attribute.
    Xattr {
        name: String,
        a: Option<String>,
        b: Option<String>,
    },
    /// Whether a folder hides what layers below have in it.
    Opaque(Both<bool>),
}

/// How two contents differ.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentDiff {
    pub size: Option<Both<u64>>,
    /// The offset of the first byte that differs, or the size of the one that the other begins with.
    pub first_difference: u64,
    /// A few bytes from there on, as hexadecimal digits, unless the lines or an archive's files are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Both<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveDiff>,
}

/// Lines of two texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lines {
    pub added: usize,
    pub removed: usize,
    /// A unified diff.
    pub unified: String,
    /// It was cut.
    pub truncated: bool,
}

/// Two archives, by what is in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArchiveDiff {
    /// As in `zip`, `tar.gz`, `ar` or `xz`.
    pub format: String,
    /// How they differ if their files do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same: Option<Same>,
    /// With paths that begin with the archive's own and `!`, as in `/app.whl!/x/y.py`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDiff>,
    /// Why they could not be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unopened: Option<String>,
}

/// How archives of the same files differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Same {
    Compression,
    Order,
    Headers,
}
