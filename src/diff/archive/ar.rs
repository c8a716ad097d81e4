//! ar, as in Debian's packages and in static libraries: a magic word, then headers of sixty bytes with bodies after
//! them (ar(5)). Names are those of System V with its table of long ones, and BSD's before the body.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::spool::Spool;
use super::{Metadata, OpenError, Opened, file, seekable};
use crate::tree::{Content, Fingerprint, ImagePath, Meta, Source, Tree};

pub(super) const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: u64 = 60;
/// The most that a table of names, or a name, may take.
const MAX_NAMES: u64 = 1 << 20;

pub(super) fn open(content: &Content, spool: &mut Spool) -> Result<Opened, OpenError> {
    let (backing, start) = seekable(content, spool)?;
    let bytes = backing.file().map_err(OpenError::Scratch)?;
    let read = |offset: u64, len: usize| {
        let mut found = vec![0; len];
        bytes.read_exact_at(&mut found, start + offset).map_err(OpenError::Decode)?;
        Ok::<_, OpenError>(found)
    };
    let mut reader = Members { at: MAGIC.len() as u64, size: content.size(), table: Vec::new(), read: &read };
    let (mut tree, mut order, mut memory) = (Tree::default(), blake3::Hasher::new(), Metadata::new());
    while let Some(member) = reader.next()? {
        memory.charge(member.name.len())?;
        order.update(&member.name).update(&[0]);
        let source = Source::Slice { file: Arc::clone(&backing), offset: start + member.offset };
        // A slice of a slice: what it holds is known when it is compared.
        tree.put(
            unique(&tree, &member.name)?,
            file(Content::new(member.size, source), member.meta, member.mtime),
        );
    }
    let order = Fingerprint(*order.finalize().as_bytes());
    Ok(Opened { format: "ar".into(), tree, order, unpacked: content.fingerprint()?, stamp: None })
}

/// Libraries may hold several objects of one name.
fn unique(tree: &Tree, name: &[u8]) -> Result<ImagePath, OpenError> {
    let name = name.escape_ascii().to_string().replace('/', "\\x2f");
    let path = ImagePath::new(name.as_bytes())?;
    if !tree.contains(&path) {
        return Ok(path);
    }
    for number in 2..1000 {
        let path = ImagePath::new(format!("{name}#{number}").as_bytes())?;
        if !tree.contains(&path) {
            return Ok(path);
        }
    }
    Err(OpenError::Damaged("a thousand members of one name"))
}

struct Member {
    name: Vec<u8>,
    meta: Meta,
    mtime: i64,
    offset: u64,
    size: u64,
}

struct Members<'a> {
    at: u64,
    size: u64,
    /// System V's long names.
    table: Vec<u8>,
    read: &'a dyn Fn(u64, usize) -> Result<Vec<u8>, OpenError>,
}

impl Members<'_> {
    fn next(&mut self) -> Result<Option<Member>, OpenError> {
        loop {
            if self.at + HEADER > self.size {
                return Ok(None);
            }
            let header = (self.read)(self.at, 60)?;
            if &header[58..] != b"`\n" {
                return Err(OpenError::Damaged("a member has no header"));
            }
            let mut size = number(&header[48..58], 10)?;
            let mut offset = self.at + HEADER;
            let end = offset.checked_add(size).filter(|end| *end <= self.size);
            self.at =
                end.ok_or(OpenError::Damaged("a member is longer than the archive"))?.next_multiple_of(2);
            let raw = header[..16].trim_ascii_end();
            if raw == b"//" {
                self.table = (self.read)(offset, small(size)?)?;
                continue;
            }
            let mut name = raw.to_vec();
            if let Some(length) = raw.strip_prefix(b"#1/") {
                let length = number(length, 10)?;
                if length > size {
                    return Err(OpenError::Damaged("a name is longer than its member"));
                }
                name = (self.read)(offset, small(length)?)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                (offset, size) = (offset + length, size - length);
            } else if let Some(at) =
                raw.strip_prefix(b"/").filter(|at| at.first().is_some_and(u8::is_ascii_digit))
            {
                let at = usize::try_from(number(at, 10)?).unwrap_or(usize::MAX);
                let rest = self.table.get(at..).ok_or(OpenError::Damaged("a name is not in the table"))?;
                name = rest.split(|&b| b == b'\n').next().unwrap_or_default().to_vec();
            }
            if name.len() > 1 && name.ends_with(b"/") && name != b"//" {
                name.pop();
            }
            let mode = u16::try_from(number(&header[40..48], 8)? & 0o7777).expect("masked");
            let id = |field| {
                u32::try_from(number(field, 10)?).map_err(|_| OpenError::Damaged("an id is out of range"))
            };
            let meta =
                Meta { uid: id(&header[28..34])?, gid: id(&header[34..40])?, ..Meta::root_owned(mode) };
            let mtime = i64::try_from(number(&header[16..28], 10)?).unwrap_or(i64::MAX);
            return Ok(Some(Member { name, meta, mtime, offset, size }));
        }
    }
}

fn small(size: u64) -> Result<usize, OpenError> {
    let over = OpenError::Limit { what: "names", limit: MAX_NAMES };
    usize::try_from(size).ok().filter(|_| size <= MAX_NAMES).ok_or(over)
}

/// Digits with spaces after them; none are zero.
fn number(field: &[u8], radix: u32) -> Result<u64, OpenError> {
    let text = std::str::from_utf8(field.trim_ascii()).ok();
    let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number =
        text.and_then(|text| if text.is_empty() { Some(0) } else { u64::from_str_radix(text, radix).ok() });
    number.ok_or(OpenError::Damaged("a field is no number"))
}
