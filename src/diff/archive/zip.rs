//! zip, as in wheels and jars, by its central directory (PKWARE's APPNOTE, 4.3): that is what programs go by, too.
//!
//! A reader of our own, as it has to say the order of the entries and to bound what a hostile directory takes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::spool::Spool;
use super::{Metadata, OpenError, Opened, file, seekable};
use crate::compression::Format;
use crate::tree::{Content, Fingerprint, ImagePath, Kind, Meta, Node, Tree};

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY_LEN: usize = 46;
/// The largest central directory that is read.
const MAX_DIRECTORY: u64 = 16 << 20;
/// The longest link.
const MAX_LINK: u64 = 4096;

pub(super) fn open(content: &Content, spool: &mut Spool) -> Result<Opened, OpenError> {
    let (backing, start) = seekable(content, spool)?;
    let bytes = Bytes { file: backing.file().map_err(OpenError::Scratch)?, start, size: content.size() };
    let directory = directory(&bytes)?;
    let (mut order, mut memory) = (blake3::Hasher::new(), Metadata::new());
    let (mut tree, mut unpacked) = (Tree::default(), blake3::Hasher::new());
    let out = spool.backing()?;
    let mut rest = &directory[..];
    while let Some(entry) = Entry::take(&mut rest)? {
        memory.charge(entry.name.len())?;
        order.update(entry.name).update(&[0]);
        // All that it says but for how, and how well, it is compressed and where it stands.
        unpacked.update(&entry.fixed[4..10]).update(&entry.fixed[12..16]).update(&entry.fixed[34..42]);
        unpacked.update(entry.name).update(entry.extra);
        let path = ImagePath::new(entry.name)?;
        let node = node(&entry, &bytes, spool, &out)?;
        tree.put(path, node);
    }
    let order = Fingerprint(*order.finalize().as_bytes());
    let unpacked = Fingerprint(*unpacked.finalize().as_bytes());
    Ok(Opened { format: "zip".into(), tree, order, unpacked, stamp: None })
}

struct Bytes {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl Bytes {
    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, OpenError> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.size) {
            return Err(OpenError::Damaged("it points beyond its end"));
        }
        let mut found = vec![0; len];
        self.file.read_exact_at(&mut found, self.start + offset).map_err(OpenError::Decode)?;
        Ok(found)
    }
}

/// Some bytes of a file, as a reader.
struct Part<'a> {
    bytes: &'a Bytes,
    /// In the file.
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.bytes.file.read_at(&mut buffer[..len], self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// The central directory.
fn directory(bytes: &Bytes) -> Result<Vec<u8>, OpenError> {
    let tail_len = bytes.size.min(22 + 65535);
    let tail_at = bytes.size - tail_len;
    let tail = bytes.read(tail_at, usize::try_from(tail_len).expect("small"))?;
    let fits = |at: usize| {
        tail.get(at + 20..at + 22).is_some_and(|len| at + 22 + usize::from(u16_at(len, 0)) <= tail.len())
    };
    let end = (0..tail.len().saturating_sub(21)).rev().find(|&at| tail[at..].starts_with(END) && fits(at));
    let end = end.ok_or(OpenError::Damaged("it has no end record"))?;
    let (mut size, mut offset) = (u64::from(u32_at(&tail, end + 12)), u64::from(u32_at(&tail, end + 16)));
    let end_at = tail_at + end as u64;
    let is_wide = [offset, size].contains(&u32::MAX.into()) || u16_at(&tail, end + 10) == u16::MAX;
    if is_wide && let Some(at) = end_at.checked_sub(20) {
        let locator = bytes.read(at, 20)?;
        if locator.starts_with(LOCATOR) {
            let record = bytes.read(u64_at(&locator, 8), 56)?;
            if !record.starts_with(END64) {
                return Err(OpenError::Damaged("its locator leads nowhere"));
            }
            (size, offset) = (u64_at(&record, 40), u64_at(&record, 48));
        }
    }
    if size > MAX_DIRECTORY {
        return Err(OpenError::Limit { what: "entries", limit: MAX_DIRECTORY });
    }
    bytes.read(offset, usize::try_from(size).expect("bounded"))
}

struct Entry<'a> {
    fixed: &'a [u8],
    name: &'a [u8],
    extra: &'a [u8],
}

impl<'a> Entry<'a> {
    fn take(rest: &mut &'a [u8]) -> Result<Option<Self>, OpenError> {
        if rest.is_empty() || !rest.starts_with(ENTRY) {
            // A signature of the directory may follow.
            return Ok(None);
        }
        let cut = OpenError::Damaged("its directory is cut");
        let fixed = rest.get(..ENTRY_LEN).ok_or(OpenError::Damaged("its directory is cut"))?;
        let length = |at| usize::from(u16_at(fixed, at));
        let (name, extra, comment) = (length(28), length(30), length(32));
        let whole = rest.get(..ENTRY_LEN + name + extra + comment).ok_or(cut)?;
        *rest = &rest[whole.len()..];
        let (name, after) = whole[ENTRY_LEN..].split_at(name);
        Ok(Some(Self { fixed, name, extra: &after[..extra] }))
    }

    /// Compressed size, size, and the offset of the local header: those that don't fit are in a zip64 field.
    fn numbers(&self) -> Result<(u64, u64, u64), OpenError> {
        let mut wide = self.field(1).unwrap_or_default();
        let mut number = |at| {
            let narrow = u32_at(self.fixed, at);
            if narrow != u32::MAX || wide.len() < 8 {
                return u64::from(narrow);
            }
            let found = u64_at(wide, 0);
            wide = &wide[8..];
            found
        };
        let size = number(24);
        let compressed = number(20);
        let offset = number(42);
        Ok((compressed, size, offset))
    }

    /// An extra field.
    fn field(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = self.extra;
        while rest.len() >= 4 {
            let (kind, len) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
            let body = rest.get(4..4 + len)?;
            if kind == wanted {
                return Some(body);
            }
            rest = &rest[4 + len..];
        }
        None
    }

    /// Info-ZIP's extended time in UTC, or DOS's in whatever zone it was.
    fn mtime(&self) -> i64 {
        match self.field(0x5455) {
            Some([flags, time @ ..]) if flags & 1 == 1 && time.len() >= 4 => {
                i64::from(u32_at(time, 0).cast_signed())
            }
            _ => dos_time(u16_at(self.fixed, 14), u16_at(self.fixed, 12)),
        }
    }

    /// The mode that Unix programs leave in the upper half of the external attributes.
    fn mode(&self) -> Option<u16> {
        let mode = u16_at(self.fixed, 40);
        (mode != 0).then_some(mode)
    }
}

fn dos_time(date: u16, time: u16) -> i64 {
    let (year, month, day) = (1980 + i64::from(date >> 9), i64::from(date >> 5 & 15), i64::from(date & 31));
    let (hour, minute, second) = (i64::from(time >> 11), i64::from(time >> 5 & 63), 2 * i64::from(time & 31));
    // Days from 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    days * 86400 + hour * 3600 + minute * 60 + second
}

fn node(
    entry: &Entry<'_>,
    bytes: &Bytes,
    spool: &mut Spool,
    out: &Arc<dyn crate::tree::Backing>,
) -> Result<Node, OpenError> {
    let is_dir = entry.name.ends_with(b"/");
    let mode = entry.mode();
    let meta = Meta::root_owned(mode.map_or(if is_dir { 0o755 } else { 0o644 }, |mode| mode & 0o7777));
    if is_dir {
        return Ok(Node { mtime: entry.mtime(), ..Node::new(meta, Kind::Dir) });
    }
    if u16_at(entry.fixed, 8) & 1 == 1 {
        return Err(OpenError::Encrypted);
    }
    let (compressed, size, offset) = entry.numbers()?;
    let local = bytes.read(offset, 30)?;
    if !local.starts_with(LOCAL) {
        return Err(OpenError::Damaged("an entry has no header"));
    }
    let at = offset + 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
    if at.checked_add(compressed).is_none_or(|end| end > bytes.size) {
        return Err(OpenError::Damaged("an entry is longer than the archive"));
    }
    let part = BufReader::new(Part { bytes, at: bytes.start + at, left: compressed });
    let reader: Box<dyn Read + '_> = match u16_at(entry.fixed, 10) {
        0 => Box::new(part),
        8 => Box::new(flate2::bufread::DeflateDecoder::new(part)),
        12 => Format::Bzip2.decoder(part).map_err(OpenError::Decode)?,
        93 => Format::Zstd.decoder(part).map_err(OpenError::Decode)?,
        method => return Err(OpenError::Method(method)),
    };
    // One byte more than it says is enough to see that it lies.
    let slice = spool.take(reader.take(size.saturating_add(1)))?;
    if slice.size != size {
        return Err(OpenError::Damaged("an entry has another size than it says"));
    }
    let content = slice.content(out);
    if mode.is_some_and(|mode| mode & 0o170_000 == 0o120_000) && size <= MAX_LINK {
        let target = content.read_bounded(MAX_LINK)?.unwrap_or_default();
        let meta = Meta { mode: 0o777, ..meta };
        return Ok(Node { mtime: entry.mtime(), ..Node::new(meta, Kind::Symlink(target.into())) });
    }
    Ok(file(content, meta, entry.mtime()))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_dos() {
        assert_eq!(dos_time(0x0021, 0), 315_532_800, "1980-01-01");
        assert_eq!(dos_time((2026 - 1980) << 9 | 11 << 5 | 23, 12 << 11 | 30 << 5 | 5), 1_795_437_010);
    }
}
