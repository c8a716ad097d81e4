//! The tar around an image: read by name in any order, written by the rules that layers follow.
//!
//! What an archive of images holds is a few files whose content is verified by digest. So only names, sizes and
//! links are read here; a layer's tar is [`crate::layer`]'s.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ::tar::{EntryType, Header};

use super::file::pump;
use crate::compression::{self, Format};
use crate::tree::ImagePath;

const BLOCK: usize = 512;
const BLOCK_SIZE: u64 = BLOCK as u64;
const MAX_MEMBERS: usize = 1 << 20;
/// The largest extension header that is read: names are at most `PATH_MAX`, and nothing else in it is used.
const MAX_EXTENSION: u64 = 1 << 20;
/// What a compressed archive may unpack to.
const MAX_UNPACKED: u64 = 64 << 30;

/// A tar whose members can be read in any order.
#[derive(Debug)]
pub(super) struct Tarball {
    file: File,
    members: BTreeMap<ImagePath, Member>,
}

#[derive(Debug, Clone)]
enum Member {
    File(Extent),
    Link(ImagePath),
}

/// Where the bytes of a member lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Tarball {
    /// Opens an archive. One that is compressed, or comes through a pipe, is unpacked into an unnamed file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() || first_bytes(&file)? != Format::Plain {
            let mut unpacked = tempfile::tempfile()?;
            let reader = compression::decode(BufReader::with_capacity(128 << 10, &mut file))?;
            if pump(&mut reader.take(MAX_UNPACKED + 1), &mut unpacked)? > MAX_UNPACKED {
                return Err(invalid(format!("it unpacks to more than {MAX_UNPACKED} bytes")));
            }
            unpacked.rewind()?;
            file = unpacked;
        }
        let members = Scan { file: &file, len: file.metadata()?.len(), at: 0 }.members()?;
        Ok(Self { file, members })
    }

    /// Where the file of this name lies, through links within the archive.
    pub(super) fn find(&self, name: &str) -> Option<Extent> {
        let mut path = ImagePath::new(name.as_bytes()).ok()?;
        for _ in 0..8 {
            match self.members.get(&path)? {
                Member::File(place) => return Some(*place),
                Member::Link(target) => path = target.clone(),
            }
        }
        None
    }

    pub(super) fn reader(&self, place: Extent) -> Slice<'_> {
        Slice { file: &self.file, at: place.offset, left: place.size }
    }

    /// A small file's content; `None` if there is no such file.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.find(name) else { return Ok(None) };
        if place.size > limit {
            return Err(invalid(format!("`{name}` has more than {limit} bytes")));
        }
        let mut bytes = Vec::new();
        self.reader(place).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn first_bytes(file: &File) -> io::Result<Format> {
    let mut first = [0; Format::MAGIC_LEN];
    let n = file.read_at(&mut first, 0)?;
    Ok(Format::detect(&first[..n]))
}

/// A part of a file, read without moving the file's position.
#[derive(Debug)]
pub(super) struct Slice<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..want], self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// One pass over the headers.
struct Scan<'a> {
    file: &'a File,
    len: u64,
    at: u64,
}

/// What the headers before a member's own say about it.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Scan<'_> {
    fn members(mut self) -> io::Result<BTreeMap<ImagePath, Member>> {
        let mut members = BTreeMap::new();
        let mut extension = Extension::default();
        let mut count = 0;
        while let Some(header) = self.header()? {
            count += 1;
            if count > MAX_MEMBERS {
                return Err(invalid(format!("it has more than {MAX_MEMBERS} members")));
            }
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::XHeader => extension.read_pax(&self.extension(size)?)?,
                EntryType::GNULongName => extension.path = Some(self.long_name(size)?),
                EntryType::GNULongLink => extension.link = Some(self.long_name(size)?),
                EntryType::XGlobalHeader => drop(self.body(size)?),
                kind => {
                    let Extension { path, link, size: real } = std::mem::take(&mut extension);
                    // These have no body, whatever their header says.
                    let bare = kind.is_hard_link() || kind.is_symlink() || kind.is_dir();
                    let place = self.body(if bare { 0 } else { real.unwrap_or(size) })?;
                    let name = path_of(&path.unwrap_or_else(|| header.path_bytes().into_owned()))?;
                    let link =
                        || link.or_else(|| Some(header.link_name_bytes()?.into_owned())).unwrap_or_default();
                    if kind.is_file() || kind.is_contiguous() {
                        members.insert(name, Member::File(place));
                    } else if kind.is_hard_link() {
                        members.insert(name, Member::Link(path_of(&link())?));
                    } else if kind.is_symlink()
                        && let Some(target) = link_target(&name, &link())
                    {
                        members.insert(name, Member::Link(target));
                    }
                }
            }
        }
        Ok(members)
    }

    /// The next header, or the end: two blocks of zeros by the book, one or none in the wild.
    fn header(&mut self) -> io::Result<Option<Header>> {
        if self.at >= self.len {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        self.file.read_exact_at(&mut block, self.at).map_err(truncated)?;
        self.at += BLOCK_SIZE;
        if block == [0; BLOCK] {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        // The sum of all bytes, with the field that holds it taken as spaces.
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) })
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(invalid(format!("there is no tar header at byte {}", self.at - BLOCK_SIZE)));
        }
        Ok(Some(header))
    }

    /// Steps over a body.
    fn body(&mut self, size: u64) -> io::Result<Extent> {
        let place = Extent { offset: self.at, size };
        let end = size.checked_next_multiple_of(BLOCK_SIZE).and_then(|size| self.at.checked_add(size));
        // The padding of the very last body may be missing.
        match end {
            Some(end) if place.offset + size <= self.len => self.at = end,
            _ => return Err(invalid("it is truncated")),
        }
        Ok(place)
    }

    fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(invalid(format!("it has an extension header of {size} bytes")));
        }
        let place = self.body(size)?;
        let mut bytes = Vec::new();
        Slice { file: self.file, at: place.offset, left: place.size }.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut name = self.extension(size)?;
        name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
        Ok(name)
    }
}

impl Extension {
    /// Records of `LENGTH KEY=VALUE\n`, split by their lengths, as a value may hold anything; the last of a key counts.
    fn read_pax(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let malformed = || invalid("it has a malformed PAX header");
        while !bytes.is_empty() {
            let space = bytes.iter().position(|&b| b == b' ').ok_or_else(malformed)?;
            let len: usize = number(&bytes[..space]).and_then(|n| n.try_into().ok()).ok_or_else(malformed)?;
            let record =
                bytes.get(space + 1..len).and_then(|r| r.strip_suffix(b"\n")).ok_or_else(malformed)?;
            let equals = record.iter().position(|&b| b == b'=').ok_or_else(malformed)?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).ok_or_else(malformed)?),
                _ => {}
            }
            bytes = &bytes[len..];
        }
        Ok(())
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

fn path_of(bytes: &[u8]) -> io::Result<ImagePath> {
    ImagePath::new(bytes).map_err(invalid)
}

/// A symbolic link's target within the archive; `None` if it leads out.
fn link_target(name: &ImagePath, target: &[u8]) -> Option<ImagePath> {
    if target.starts_with(b"/") {
        return ImagePath::new(target).ok();
    }
    name.parent()?.join_bytes(target).ok()
}

fn invalid(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}

fn truncated(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { invalid("it is truncated") } else { error }
}

/// Writes a tar whose bytes depend on names and contents alone: owned by 0:0, at time 0.
pub(super) struct TarWriter<'a> {
    out: &'a mut dyn Write,
}

impl<'a> TarWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    pub(super) fn folder(&mut self, name: &str) -> io::Result<()> {
        self.header(name, EntryType::Directory, 0o755, 0)
    }

    /// A file of exactly `size` bytes.
    pub(super) fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        const LARGEST: u64 = (1 << 33) - 1;
        if size > LARGEST {
            let record = pax_record("size", &size.to_string());
            self.header("PaxHeaders/size", EntryType::XHeader, 0o644, record.len() as u64)?;
            self.body(record.len() as u64, &mut record.as_bytes())?;
        }
        self.header(name, EntryType::Regular, 0o644, if size > LARGEST { 0 } else { size })?;
        self.body(size, content)
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, size: u64) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_device_major(0)?;
        header.set_device_minor(0)?;
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn body(&mut self, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let written = pump(content, self.out)?;
        if written != size {
            return Err(invalid(format!("{written} bytes came where {size} were announced")));
        }
        let padding = usize::try_from(size.next_multiple_of(BLOCK_SIZE) - size).expect("less than a block");
        self.out.write_all(&[0; BLOCK][..padding])
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK])
    }
}

/// A record's length counts its own digits too.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    format!("{len} {key}={value}\n")
}

#[cfg(test)]
mod tests;
