//! Archives that stand in files: tar, zip (wheel, jar), ar (deb), each compressed or not, and single compressed files.
//!
//! An archive becomes a [`Tree`], a value, and so no name in it leads anywhere. It is opened by what its first bytes
//! say, never by its name. The limits hold whatever it says of itself: [`MAX_ARCHIVE`] bytes unpacked,
//! [`MAX_METADATA`] of memory for its names, [`MAX_DEPTH`] archives in one another, and what the whole comparison may
//! unpack. What goes beyond them, or is damaged, is compared as bytes, which is said.

mod ar;
mod spool;
#[cfg(test)]
pub(super) mod tests;
mod zip;

use std::fmt;
use std::io::{self, BufReader, Read as _};
use std::sync::Arc;

use super::Scratch;
use super::content::part;
use crate::compression::Format;
use crate::layer::ListingError;
use crate::layer::read::{self, Limits, ReadError};
use crate::tree::{
    Backing, Content, ContentError, Fingerprint, ImagePath, Kind as NodeKind, Meta, Node, PathError, Tree,
};
use spool::Spool;

/// How deep archives in archives are opened: a jar in a tar in a deb.
pub(super) const MAX_DEPTH: u32 = 4;
/// The most that one archive may unpack to.
pub(super) const MAX_ARCHIVE: u64 = 2 << 30;
/// The most memory that names and attributes of one archive may take, with 128 bytes for each entry.
pub(super) const MAX_METADATA: u64 = 16 << 20;

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tar,
    Zip,
    Ar,
    Compressed(Format),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tar => "tar",
            Self::Zip => "zip",
            Self::Ar => "ar",
            Self::Compressed(format) => suffix(*format),
        })
    }
}

fn suffix(format: Format) -> &'static str {
    match format {
        Format::Plain => "",
        Format::Gzip => "gz",
        Format::Bzip2 => "bz2",
        Format::Xz => "xz",
        Format::Zstd => "zst",
    }
}

/// An archive that was read.
#[derive(Debug)]
pub(super) struct Opened {
    /// As in `tar.gz`.
    pub(super) format: String,
    pub(super) tree: Tree,
    /// A hash of its entries' names, as they came.
    pub(super) order: Fingerprint,
    /// Of what its compression hides: two that are the same differ in compression alone.
    pub(super) unpacked: Fingerprint,
    /// The time that the compression's header says.
    pub(super) stamp: Option<u32>,
}

/// Why an archive is compared as bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Tar(#[from] ReadError),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("{0}")]
    Name(#[from] PathError),
    #[error("unpacking it: {0}")]
    Decode(io::Error),
    #[error("writing what it holds to a temporary file: {0}")]
    Scratch(io::Error),
    #[error("it holds more {what} than the {limit} bytes that are looked at")]
    Limit { what: &'static str, limit: u64 },
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it uses the compression method {0}, which lith can't read")]
    Method(u16),
    #[error("it is encrypted")]
    Encrypted,
}

/// What a file's first bytes say that it is; `None` for no archive.
pub(super) fn kind(content: &Content) -> Result<Option<Kind>, ContentError> {
    let head = part(content, 0, 512)?;
    Ok(if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        Some(Kind::Zip)
    } else if head.starts_with(ar::MAGIC) {
        Some(Kind::Ar)
    } else if read::is_header(&head) {
        Some(Kind::Tar)
    } else {
        Some(Format::detect(&head)).filter(|format| *format != Format::Plain).map(Kind::Compressed)
    })
}

/// Reads an archive. `left` is what the whole comparison may still unpack.
pub(super) fn open(
    content: &Content,
    kind: Kind,
    path: &ImagePath,
    scratch: &Scratch<'_>,
    left: &mut u64,
) -> Result<Opened, OpenError> {
    let limit = MAX_ARCHIVE.min(*left);
    let mut spool = Spool::new(scratch, limit)?;
    let opened = match kind {
        Kind::Tar => tar(BufReader::new(content.open()?), &mut spool),
        Kind::Zip => zip::open(content, &mut spool),
        Kind::Ar => ar::open(content, &mut spool),
        Kind::Compressed(format) => compressed(content, format, path, &mut spool),
    };
    *left = left.saturating_sub(spool.written());
    opened
}

fn tar(reader: impl io::Read, spool: &mut Spool) -> Result<Opened, OpenError> {
    let limits = Limits { metadata: MAX_METADATA, unpacked: spool.left() };
    let mut order = blake3::Hasher::new();
    let mut hashing = Hashing { inner: reader, hash: blake3::Hasher::new() };
    let seen = |path: &ImagePath| _ = order.update(path.as_bytes()).update(&[0]);
    let listing = read::list_within(&mut hashing, Some(spool.file_mut()), limits, seen)?;
    let unpacked = Fingerprint(*hashing.hash.finalize().as_bytes());
    let tree = listing.tree(&spool.backing()?)?;
    let order = Fingerprint(*order.finalize().as_bytes());
    Ok(Opened { format: Kind::Tar.to_string(), tree, order, unpacked, stamp: None })
}

/// A compressed tar, or one file.
fn compressed(
    content: &Content,
    format: Format,
    path: &ImagePath,
    spool: &mut Spool,
) -> Result<Opened, OpenError> {
    let stamp = stamp(content, format)?;
    let mut head = Vec::with_capacity(512);
    let mut decoder = format.decoder(BufReader::new(content.open()?)).map_err(OpenError::Decode)?;
    decoder.by_ref().take(512).read_to_end(&mut head).map_err(OpenError::Decode)?;
    let is_tar = read::is_header(&head);
    let whole = io::Cursor::new(head).chain(decoder);
    let format = suffix(format);
    if is_tar {
        let opened = tar(whole, spool)?;
        return Ok(Opened { format: format!("tar.{format}"), stamp, ..opened });
    }
    let slice = spool.take(whole)?;
    let name = path.name();
    let name = name
        .strip_suffix(format!(".{format}").as_bytes())
        .filter(|name| !name.is_empty())
        .unwrap_or(b"content");
    let unpacked = slice.fingerprint;
    let file = slice.content(&spool.backing()?);
    let node = Node::new(Meta::root_owned(0o644), NodeKind::File { content: file, inode: None });
    let tree = [(ImagePath::new(name)?, node)].into_iter().collect();
    Ok(Opened { format: format.into(), tree, order: Fingerprint([0; 32]), unpacked, stamp })
}

/// The time in a gzip member's header (RFC 1952, MTIME).
fn stamp(content: &Content, format: Format) -> Result<Option<u32>, ContentError> {
    let head = part(content, 0, 8)?;
    let time = head.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    Ok(time.filter(|_| format == Format::Gzip))
}

/// A member that is a file.
fn file(content: Content, meta: Meta, mtime: i64) -> Node {
    Node { mtime, ..Node::new(meta, NodeKind::File { content, inode: None }) }
}

/// Counts the memory of names.
#[derive(Debug)]
struct Metadata(u64);

impl Metadata {
    fn new() -> Self {
        Self(MAX_METADATA)
    }

    fn charge(&mut self, name: usize) -> Result<(), OpenError> {
        let over = OpenError::Limit { what: "names", limit: MAX_METADATA };
        self.0 = self.0.checked_sub(128 + name as u64).ok_or(over)?;
        Ok(())
    }
}

struct Hashing<R> {
    inner: R,
    hash: blake3::Hasher,
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hash.update(&buffer[..n]);
        Ok(n)
    }
}

/// What may be read at any offset: an archive that is not read from its beginning to its end.
fn seekable(content: &Content, spool: &mut Spool) -> Result<(Arc<dyn Backing>, u64), OpenError> {
    if let crate::tree::Source::Slice { file, offset } = content.source() {
        return Ok((Arc::clone(file), *offset));
    }
    let slice = spool.take(content.open()?)?;
    Ok((spool.backing()?, slice.offset))
}
