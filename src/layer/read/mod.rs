//! Reading any tar, from whoever it comes: a base image's layer, an archive that ADD unpacks, a context on
//! standard input.
//!
//! Nothing is unpacked: an archive becomes a [`Listing`], a value, and so no name in it can lead anywhere on this
//! machine. What it means is what unpackers of images make of it:
//! - a path that comes twice: the last one counts; a folder over a folder keeps what is in it, anything else
//!   replaces what was there, with all below it;
//! - a path through a symbolic link of the same archive stands where the link leads, inside the root;
//!   one through a file is an error. (A link of a lower layer is another matter: see `Tree::apply`.)
//! - a hard link is a name of what its target is at that moment, and its own attributes become those of the
//!   file, under all its names;
//! - names are cleaned lexically; one that leads out of the root is an error that names the entry, and so is
//!   such a hard link's target. A symbolic link may say what it likes: it is data;
//! - an entry for the root itself counts if it is a folder, and is passed over if not;
//! - entries of unknown types are errors; folders, links and devices have no body, whatever their size says;
//! - global PAX headers say nothing of any entry.
//!
//! Read are v7, ustar, GNU (long names, base-256 numbers, sparse files) and PAX (with the three GNU ways to
//! say sparse). Limits: [`MAX_UNPACKED`], [`MAX_METADATA`], [`MAX_SPECIAL`], [`MAX_REGIONS`].

mod archive;
mod block;
mod names;
mod pax;
mod sparse;
mod spool;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};

use archive::{Archive, Body, Member};
use names::Names;

use super::listing::{Item, Listing, Slice, What};
use crate::tree::{ImagePath, PathError};

/// The most bytes that an archive may unpack to, sparse files made dense: 256 GiB. What a small, hostile
/// archive could do to the disk is bounded by the disk: a spool has no name and goes when the reading fails.
pub const MAX_UNPACKED: u64 = 256 << 30;

/// The most memory that all names, links and attributes of an archive may take, with 128 bytes for each entry:
/// 384 MiB, which is about two million files.
pub const MAX_METADATA: u64 = 384 << 20;

/// The longest PAX header or GNU long name: 1 MiB, as in Go's archive/tar, and so in most unpackers of images.
pub const MAX_SPECIAL: u64 = 1 << 20;

/// The most regions of a sparse file.
pub const MAX_REGIONS: usize = 1 << 20;

/// Why an archive can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    #[error("reading an archive: {0}")]
    Io(io::Error),
    #[error("writing what an archive holds to a temporary file: {0}")]
    Spool(io::Error),
    #[error("the archive ends in the middle of {0}")]
    Truncated(&'static str),
    #[error("at byte {0} of the archive there is no tar header: its checksum is wrong")]
    Checksum(u64),
    #[error("the archive's entry `{entry}` has a {field} that is no number, or out of range")]
    Number { entry: String, field: &'static str },
    #[error("the archive's entry `{entry}`: {error}")]
    Name { entry: String, error: PathError },
    #[error("the archive's entry `{entry}` has a PAX header with a malformed record")]
    Pax { entry: String },
    #[error("the archive's entry `{entry}` has a malformed map of a sparse file")]
    Sparse { entry: String },
    #[error("the archive's entry `{entry}` stands below `{file}`, which is no folder")]
    BelowFile { entry: String, file: String },
    #[error("the archive's entry `{entry}` leads through too many symbolic links")]
    TooManyLinks { entry: String },
    #[error("the archive's entry `{entry}` is a hard link to a folder or to itself")]
    BadLink { entry: String },
    #[error("the archive's entry `{entry}` is a symbolic link without a target")]
    NoTarget { entry: String },
    #[error("the archive's entry `{entry}` is of the unknown type `{}`", .kind.escape_debug())]
    Kind { entry: String, kind: char },
    #[error("the archive's entry `{entry}` continues one of another volume")]
    MultiVolume { entry: String },
    #[error("the archive has more {what} than the limit of {limit} bytes")]
    Limit { what: &'static str, limit: u64 },
}

/// A name for an error message: escaped, as it is a stranger's, and cut, as it may be long.
fn quote(name: &[u8]) -> String {
    let shown = &name[..name.len().min(200)];
    let dots = if shown.len() < name.len() { "…" } else { "" };
    format!("{}{dots}", shown.escape_ascii())
}

/// Reads an uncompressed tar to its end, and what comes after that; the latter means nothing, but belongs to
/// the diff ID.
///
/// `spool` gets the tar, with sparse files made dense: the file that the listing's offsets are about. It is
/// expected to be empty.
pub fn list(reader: impl Read, spool: Option<&mut File>) -> Result<Listing, ReadError> {
    list_within(reader, spool, Limits::default(), |_| ())
}

/// What reading an archive may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// At most [`MAX_METADATA`], counted as it is there.
    pub(crate) metadata: u64,
    /// The bytes that it unpacks to, with sparse files made dense.
    pub(crate) unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { metadata: MAX_METADATA, unpacked: MAX_UNPACKED }
    }
}

/// As [`list`], within other limits; `seen` is told the path of each entry, in the archive's order.
pub(crate) fn list_within(
    reader: impl Read,
    spool: Option<&mut File>,
    limits: Limits,
    mut seen: impl FnMut(&ImagePath),
) -> Result<Listing, ReadError> {
    let mut archive = Archive::new(reader, spool, limits);
    let mut names = Names::default();
    while let Some(member) = archive.next()? {
        let entry = quote(&member.name);
        let path = path(&member.name, &entry)?;
        let path = names.resolve(&path, &entry)?;
        seen(&path);
        let item = item(&mut archive, &mut names, member, &path, &entry)?;
        names.put(&path, item);
    }
    archive.finish()?;
    Ok(Listing { items: names.finish() })
}

/// Whether these are the first bytes of a tar: a block with the checksum of a header. A tar of nothing is taken
/// for none, as BuildKit does where it decides what to unpack.
pub fn is_header(first: &[u8]) -> bool {
    first.first_chunk().is_some_and(|block| block::Block::new(block).is_some())
}

fn path(name: &[u8], entry: &str) -> Result<ImagePath, ReadError> {
    ImagePath::new(name).map_err(|error| ReadError::Name { entry: entry.into(), error })
}

/// What the entry is, its body having been read.
fn item(
    archive: &mut Archive<'_, impl Read>,
    names: &mut Names,
    member: Member,
    at: &ImagePath,
    entry: &str,
) -> Result<Item, ReadError> {
    let what = match member.body {
        Body::File(data) => {
            let (offset, size, fingerprint) = archive.body(data)?;
            What::File(Slice { offset, size, fingerprint, group: None })
        }
        Body::Dir { skip } => {
            archive.skip(skip)?;
            What::Dir
        }
        Body::Symlink(target) => What::Symlink(target.into()),
        Body::Link(target) => {
            let target = names.resolve(&path(&target, entry)?, entry)?;
            names.link(&target, &member.meta, at, entry)?.unwrap_or(What::Link(target))
        }
        Body::CharDevice(major, minor) => What::CharDevice(major, minor),
        Body::BlockDevice(major, minor) => What::BlockDevice(major, minor),
        Body::Fifo => What::Fifo,
    };
    let mut meta = member.meta;
    if matches!(what, What::Symlink(_)) {
        // A link has no mode of its own on Linux, whatever an archive says.
        meta.mode = 0o777;
    }
    Ok(Item { meta, mtime: member.mtime, what })
}
