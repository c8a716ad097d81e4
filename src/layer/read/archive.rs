//! The framing of a tar: header blocks and bodies, and the headers that say more of the next one.

use std::fs::File;
use std::io::{self, Read};

use super::block::{Block, text};
use super::pax::Pax;
use super::sparse::{Builder, Form, Lines, Sparse};
use super::spool::Spool;
use super::{Limits, MAX_SPECIAL, MAX_UNPACKED, ReadError, quote};
use crate::tree::Meta;

/// What an entry without names and attributes is taken to need of memory.
const ENTRY_MEMORY: u64 = 128;

/// A tar being read.
pub(super) struct Archive<'a, R> {
    reader: R,
    spool: Spool<'a>,
    memory: Budget,
    buffer: Vec<u8>,
}

/// The memory that names and attributes may still take.
struct Budget {
    left: u64,
    limit: u64,
}

impl Budget {
    fn charge(&mut self, memory: u64) -> Result<(), ReadError> {
        let over = ReadError::Limit { what: "names and attributes", limit: self.limit };
        self.left = self.left.checked_sub(memory).ok_or(over)?;
        Ok(())
    }
}

/// One entry, with all that was said of it.
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) meta: Meta,
    pub(super) mtime: i64,
    pub(super) body: Body,
}

pub(super) enum Body {
    File(Data),
    Dir { skip: u64 },
    Symlink(Vec<u8>),
    Link(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// The bytes after a header.
pub(super) struct Data {
    stored: u64,
    sparse: Option<Sparse>,
}

/// What the headers before an entry's own said.
#[derive(Default)]
struct Before {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<'a, R: Read> Archive<'a, R> {
    pub(super) fn new(reader: R, spool: Option<&'a mut File>, limits: Limits) -> Self {
        let buffer = vec![0; 64 << 10];
        let memory = Budget { left: limits.metadata, limit: limits.metadata };
        Self { reader, spool: Spool::new(spool, limits.unpacked), memory, buffer }
    }

    /// The next entry. Its body is to be read, by [`Archive::body`] or [`Archive::skip`], before the next call.
    pub(super) fn next(&mut self) -> Result<Option<Member>, ReadError> {
        let mut before = Before::default();
        while let Some(block) = self.header()? {
            match block.kind() {
                b'x' | b'X' => before.pax = Some(self.pax(&block)?),
                // Global records hold for no entry, as unpackers of images have it: git notes its commit there.
                b'g' => drop(self.pax(&block)?),
                b'L' => before.name = Some(self.long(&block)?),
                b'K' => before.link = Some(self.long(&block)?),
                // A volume's label, Solaris' ACLs, and old GNU long names that nothing writes any more.
                b'V' | b'A' | b'N' => {
                    let size = block.size().ok_or_else(|| number(&block, "size"))?;
                    self.skip(size)?;
                    before = Before::default();
                }
                b'M' => return Err(ReadError::MultiVolume { entry: quote(&block.name()) }),
                _ => return self.member(&block, before).map(Some),
            }
        }
        Ok(None)
    }

    /// The next header; `None` at the end: two blocks of zeros, or one, or none, and then nothing.
    fn header(&mut self) -> Result<Option<Block>, ReadError> {
        let at = self.spool.position();
        let Some(bytes) = self.block()? else { return Ok(None) };
        if bytes.iter().any(|&b| b != 0) {
            return Block::new(&bytes).map(Some).ok_or(ReadError::Checksum(at));
        }
        match self.block()? {
            Some(bytes) if bytes.iter().any(|&b| b != 0) => Err(ReadError::Checksum(at)),
            _ => Ok(None),
        }
    }

    /// One block; `None` if there is not a byte more.
    fn block(&mut self) -> Result<Option<[u8; 512]>, ReadError> {
        let mut bytes = [0; 512];
        match read_full(&mut self.reader, &mut bytes)? {
            0 => Ok(None),
            512 => {
                self.spool.write(&bytes)?;
                Ok(Some(bytes))
            }
            _ => Err(ReadError::Truncated("a header")),
        }
    }

    fn pax(&mut self, block: &Block) -> Result<Pax, ReadError> {
        let body = self.special(block)?;
        Pax::parse(&body).ok_or_else(|| ReadError::Pax { entry: quote(&block.name()) })
    }

    fn long(&mut self, block: &Block) -> Result<Vec<u8>, ReadError> {
        Ok(text(&self.special(block)?).to_vec())
    }

    /// The body of a header that says more of the next entry.
    fn special(&mut self, block: &Block) -> Result<Vec<u8>, ReadError> {
        let size = block.size().ok_or_else(|| number(block, "size"))?;
        if size > MAX_SPECIAL {
            return Err(ReadError::Limit { what: "metadata of one entry", limit: MAX_SPECIAL });
        }
        self.memory.charge(ENTRY_MEMORY)?;
        let mut body = Vec::new();
        self.copy(padded(size), |piece| body.extend_from_slice(piece))?;
        body.truncate(usize::try_from(size).expect("within the limit"));
        Ok(body)
    }

    fn member(&mut self, block: &Block, before: Before) -> Result<Member, ReadError> {
        let pax = before.pax.unwrap_or_default();
        let said = |long: Option<Vec<u8>>, key| long.or_else(|| pax.get(key).map(<[u8]>::to_vec));
        let mut name = said(before.name, "path").unwrap_or_else(|| block.name());
        let link = said(before.link, "linkpath").unwrap_or_else(|| block.link().to_vec());
        let (meta, mtime) = attributes(block, &pax, &name)?;
        let xattrs: usize = meta.xattrs.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        self.memory.charge(ENTRY_MEMORY + (name.len() + link.len() + xattrs) as u64)?;
        let body = match block.kind() {
            b'1' => Body::Link(link),
            b'2' => Body::Symlink(target(link, &name)?),
            b'3' => device(block, &name).map(|(major, minor)| Body::CharDevice(major, minor))?,
            b'4' => device(block, &name).map(|(major, minor)| Body::BlockDevice(major, minor))?,
            b'5' => Body::Dir { skip: 0 },
            b'6' => Body::Fifo,
            // GNU's folder of an incremental backup, with a list of what was in it.
            b'D' => Body::Dir { skip: size(block, &pax, &name)? },
            // A v7 tar has no type for folders, but a slash.
            0 if name.ends_with(b"/") => Body::Dir { skip: size(block, &pax, &name)? },
            // A contiguous file and GNU's sparse one are files, whatever a file system makes of them.
            b'0' | 0 | b'7' | b'S' => {
                let data = self.data(block, &pax, &name)?;
                if data.sparse.is_some() {
                    name = pax.get("GNU.sparse.name").map_or(name, <[u8]>::to_vec);
                }
                Body::File(data)
            }
            kind => return Err(ReadError::Kind { entry: quote(&name), kind: char::from(kind) }),
        };
        Ok(Member { name, meta, mtime, body })
    }

    /// What the body of a file is, its map having been read if it is sparse.
    fn data(&mut self, block: &Block, pax: &Pax, name: &[u8]) -> Result<Data, ReadError> {
        let malformed = || ReadError::Sparse { entry: quote(name) };
        let mut stored = size(block, pax, name)?;
        let builder = match Form::of(block, pax).ok_or_else(malformed)? {
            Form::Dense => return Ok(Data { stored, sparse: None }),
            Form::Old { size } => self.old_map(block, Builder::new(size, Vec::new())).transpose(),
            Form::Pax { size, regions } => Some(Ok(Builder::new(size, regions))),
            Form::InBody { size } => self.map_in_body(size, &mut stored).transpose(),
        };
        let sparse = builder.ok_or_else(malformed)??.finish(stored).ok_or_else(malformed)?;
        Ok(Data { stored, sparse: Some(sparse) })
    }

    fn old_map(&mut self, block: &Block, mut map: Builder) -> Result<Option<Builder>, ReadError> {
        let mut more = map.old(block.0.as_bytes(), 386, 4);
        while more == Some(true) {
            let bytes = self.block()?.ok_or(ReadError::Truncated("a map of a sparse file"))?;
            more = map.old(&bytes, 0, 21);
        }
        Ok(more.map(|_| map))
    }

    fn map_in_body(&mut self, size: u64, stored: &mut u64) -> Result<Option<Builder>, ReadError> {
        let mut lines = Lines::default();
        loop {
            let Some(left) = stored.checked_sub(512) else { return Ok(None) };
            *stored = left;
            let bytes = self.block()?.ok_or(ReadError::Truncated("a map of a sparse file"))?;
            match lines.block(&bytes) {
                None => return Ok(None),
                Some(true) => return Ok(Some(Builder::new(size, lines.regions()))),
                Some(false) => {}
            }
        }
    }

    /// Reads a file's body: where it is in the spool, its size there, and its fingerprint.
    pub(super) fn body(&mut self, data: Data) -> Result<(u64, u64, [u8; 32]), ReadError> {
        let offset = self.spool.position();
        let mut hash = blake3::Hasher::new();
        let size = match data.sparse {
            None => {
                self.copy(data.stored, |piece| _ = hash.update(piece))?;
                data.stored
            }
            Some(sparse) => {
                self.expand(&sparse, &mut hash)?;
                sparse.size
            }
        };
        self.copy(padded(data.stored) - data.stored, |_| ())?;
        Ok((offset, size, *hash.finalize().as_bytes()))
    }

    fn expand(&mut self, sparse: &Sparse, hash: &mut blake3::Hasher) -> Result<(), ReadError> {
        let mut at = 0;
        for &(offset, len) in &sparse.regions {
            self.hole(offset - at, hash)?;
            self.copy(len, |piece| _ = hash.update(piece))?;
            at = offset + len;
        }
        self.hole(sparse.size - at, hash)
    }

    fn hole(&mut self, len: u64, hash: &mut blake3::Hasher) -> Result<(), ReadError> {
        self.spool.hole(len)?;
        self.buffer.fill(0);
        let mut left = len;
        while left > 0 {
            let n = usize::try_from(left.min(self.buffer.len() as u64)).expect("at most the buffer");
            hash.update(&self.buffer[..n]);
            left -= n as u64;
        }
        Ok(())
    }

    /// Passes over a body of which nothing is wanted.
    pub(super) fn skip(&mut self, size: u64) -> Result<(), ReadError> {
        self.copy(padded(size), |_| ())
    }

    /// Moves bytes from the archive to the spool, showing them on the way.
    fn copy(&mut self, len: u64, mut show: impl FnMut(&[u8])) -> Result<(), ReadError> {
        let mut left = len;
        while left > 0 {
            let n = usize::try_from(left.min(self.buffer.len() as u64)).expect("at most the buffer");
            let n = read_some(&mut self.reader, &mut self.buffer[..n])?;
            if n == 0 {
                return Err(ReadError::Truncated("an entry"));
            }
            self.spool.write(&self.buffer[..n])?;
            show(&self.buffer[..n]);
            left -= n as u64;
        }
        Ok(())
    }

    /// Reads what comes after the end, which means nothing.
    pub(super) fn finish(mut self) -> Result<(), ReadError> {
        let mut trailing = Spool::new(None, MAX_UNPACKED);
        loop {
            match read_some(&mut self.reader, &mut self.buffer)? {
                0 => return self.spool.finish(),
                n => trailing.write(&self.buffer[..n])?,
            }
        }
    }
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(512).unwrap_or(size)
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A decoder says so where its input ends too early.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ReadError::Truncated("its compressed data"));
            }
            result => return result.map_err(ReadError::Io),
        }
    }
}

fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_some(reader, &mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

fn number(block: &Block, field: &'static str) -> ReadError {
    named(&block.name(), field)
}

fn named(name: &[u8], field: &'static str) -> ReadError {
    ReadError::Number { entry: quote(name), field }
}

/// A symbolic link may lead anywhere, but no system has one that leads nowhere at all.
fn target(link: Vec<u8>, name: &[u8]) -> Result<Vec<u8>, ReadError> {
    match link.contains(&0) {
        true => Err(ReadError::Pax { entry: quote(name) }),
        false if link.is_empty() => Err(ReadError::NoTarget { entry: quote(name) }),
        false => Ok(link),
    }
}

/// A PAX record, or else the header's field, checked to be in range.
fn field<T: TryFrom<i64>>(
    record: Result<Option<u64>, ()>,
    in_header: &[u8],
    name: &[u8],
    what: &'static str,
) -> Result<T, ReadError> {
    let value = match record {
        Ok(Some(value)) => i64::try_from(value).ok(),
        Ok(None) => super::block::number(in_header),
        Err(()) => None,
    };
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| named(name, what))
}

fn device(block: &Block, name: &[u8]) -> Result<(u32, u32), ReadError> {
    block.device().ok_or_else(|| named(name, "device number"))
}

fn size(block: &Block, pax: &Pax, name: &[u8]) -> Result<u64, ReadError> {
    field(pax.number("size"), &block.0.as_old().size, name, "size")
}

fn attributes(block: &Block, pax: &Pax, name: &[u8]) -> Result<(Meta, i64), ReadError> {
    let old = block.0.as_old();
    let mode = super::block::number(&old.mode).ok_or_else(|| named(name, "mode"))? & 0o7777;
    let meta = Meta {
        mode: u16::try_from(mode).expect("masked"),
        uid: field(pax.number("uid"), &old.uid, name, "user id")?,
        gid: field(pax.number("gid"), &old.gid, name, "group id")?,
        xattrs: pax.xattrs(),
    };
    let mtime = match pax.seconds("mtime") {
        Ok(Some(mtime)) => Some(mtime),
        Ok(None) => super::block::number(&old.mtime),
        Err(()) => None,
    };
    Ok((meta, mtime.ok_or_else(|| named(name, "mtime"))?))
}
