//! The canonical tar: ustar headers, PAX records where ustar can't say it. Part of the image contract.
//!
//! A header holds what the [`Changes`] say and nothing of the machine: numeric owner only, mtime the epoch, no
//! atime or ctime. A name of at most 100 bytes is in `name`; a longer one is cut at its first slash that
//! leaves at most 155 bytes for `prefix` and 100 for `name`; what can't be cut so is in the PAX record
//! `path`. All PAX records of an entry stand in one `x` header before it, sorted by key. Where a record
//! says it, the ustar field has zero, or the first 100 bytes of a name.

use std::collections::BTreeMap;
use std::io::Write;

use ::tar::{EntryType, Header};

use super::LayerError;
use super::entries::{Body, Entry, entries};
use super::produce::{Chunks, produce};
use crate::oci::Epoch;
use crate::tree::Changes;

pub(super) const BLOCK: usize = 512;

/// The archive ends with two blocks of zeros, and no more.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What the ustar fields of 8 and 12 bytes can say: 7 and 11 octal digits and a NUL.
const MAX_SMALL: u32 = 0o777_7777;
const MAX_LARGE: u64 = 0o777_7777_7777;

/// The largest body of an `x` header that Go's archive/tar reads, and so most unpackers of images.
pub(super) const MAX_PAX: usize = 1 << 20;

/// The name of the `x` header's own entry: the same for all, as a temporary name would be of no use to anyone.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// Writes the changes as an uncompressed tar: the same bytes that a layer of them holds.
pub fn write(changes: &Changes, epoch: Epoch, out: &mut dyn Write) -> Result<(), LayerError> {
    write_with(changes, Times::All(epoch), out)
}

/// As [`write()`], with each node's own time: no layer of lith's, but a faithful way through a pipe.
pub(crate) fn write_as_dated(changes: &Changes, out: &mut dyn Write) -> Result<(), LayerError> {
    write_with(changes, Times::Own, out)
}

fn write_with(changes: &Changes, times: Times, out: &mut dyn Write) -> Result<(), LayerError> {
    let entries = entries(changes)?;
    produce(&entries, times, &mut Plain { out, buffer: Vec::new() }).map(|_listing| ())
}

/// The times of a tar's entries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Times {
    /// One for all, as the image contract has it.
    All(Epoch),
    Own,
}

impl Times {
    pub(super) fn of(self, entry: &Entry<'_>) -> i64 {
        match self {
            Self::All(epoch) => epoch.mtime(),
            Self::Own => entry.mtime,
        }
    }
}

struct Plain<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl Chunks for Plain<'_> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn cut(&mut self) -> Result<(), LayerError> {
        self.out.write_all(&self.buffer).map_err(LayerError::Write)?;
        self.buffer.clear();
        Ok(())
    }
}

/// The bytes from a body's end to the next block.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// Whether a layer keeps this extended attribute. The others are of the machine that a file was on (SELinux labels, ACLs)
/// or can't be set by most unpackers.
pub(crate) fn keeps_xattr(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.")
}

/// Appends the headers of an entry: its `x` header, if it needs one, and its ustar header.
pub(super) fn head(
    entry: &Entry<'_>,
    name: &[u8],
    times: Times,
    out: &mut Vec<u8>,
) -> Result<(), LayerError> {
    let mut pax = Pax::default();
    let header = header(entry, name, times.of(entry), &mut pax)?;
    if !pax.0.is_empty() && !pax.write(out) {
        return Err(LayerError::TooManyXattrs { path: entry.path() });
    }
    out.extend_from_slice(header.as_bytes());
    Ok(())
}

fn header(entry: &Entry<'_>, name: &[u8], mtime: i64, pax: &mut Pax) -> Result<Header, LayerError> {
    let mut header = Header::new_ustar();
    set_name(&mut header, name, pax);
    header.set_mode(u32::from(entry.meta.mode & 0o7777));
    header.set_uid(pax.small("uid", entry.meta.uid));
    header.set_gid(pax.small("gid", entry.meta.gid));
    header.set_size(pax.large("size", entry.size()));
    header.set_mtime(pax.time(mtime));
    header.set_entry_type(match entry.body {
        Body::File(_) | Body::Marker => EntryType::Regular,
        Body::Dir => EntryType::Directory,
        Body::Symlink(_) => EntryType::Symlink,
        Body::Link(_) => EntryType::Link,
        Body::CharDevice(..) => EntryType::Char,
        Body::BlockDevice(..) => EntryType::Block,
        Body::Fifo => EntryType::Fifo,
    });
    set_link(&mut header, entry, pax)?;
    set_device(&mut header, entry)?;
    for (key, value) in entry.meta.xattrs.iter().filter(|(key, _)| keeps_xattr(key)) {
        if key.iter().any(|b| matches!(b, b'=' | 0)) {
            return Err(LayerError::XattrName { path: entry.path(), name: key.clone() });
        }
        pax.0.insert([b"SCHILY.xattr.", &key[..]].concat(), value.clone());
    }
    header.set_cksum();
    Ok(header)
}

fn set_name(header: &mut Header, name: &[u8], pax: &mut Pax) {
    let ustar = header.as_ustar_mut().expect("made as one");
    let slashes = || name.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i);
    let fits = |&at: &usize| (1..=155).contains(&at) && (1..=100).contains(&(name.len() - at - 1));
    if name.len() <= 100 {
        ustar.name[..name.len()].copy_from_slice(name);
    } else if let Some(at) = slashes().find(fits) {
        ustar.prefix[..at].copy_from_slice(&name[..at]);
        ustar.name[..name.len() - at - 1].copy_from_slice(&name[at + 1..]);
    } else {
        ustar.name.copy_from_slice(&name[..100]);
        pax.0.insert(b"path".to_vec(), name.to_vec());
    }
}

fn set_link(header: &mut Header, entry: &Entry<'_>, pax: &mut Pax) -> Result<(), LayerError> {
    let target = match entry.body {
        Body::Symlink(target) => target,
        Body::Link(target) => target.as_bytes(),
        _ => return Ok(()),
    };
    if target.contains(&0) {
        return Err(LayerError::NulInLink { path: entry.path() });
    }
    let n = target.len().min(100);
    header.as_ustar_mut().expect("made as one").linkname[..n].copy_from_slice(&target[..n]);
    if target.len() > 100 {
        pax.0.insert(b"linkpath".to_vec(), target.to_vec());
    }
    Ok(())
}

fn set_device(header: &mut Header, entry: &Entry<'_>) -> Result<(), LayerError> {
    let (major, minor) = match entry.body {
        Body::CharDevice(major, minor) | Body::BlockDevice(major, minor) => (major, minor),
        _ => (0, 0),
    };
    if major > MAX_SMALL || minor > MAX_SMALL {
        return Err(LayerError::DeviceNumber { path: entry.path(), major, minor });
    }
    header.set_device_major(major).expect("a ustar header has it");
    header.set_device_minor(minor).expect("a ustar header has it");
    Ok(())
}

/// The records of one `x` header.
#[derive(Default)]
struct Pax(BTreeMap<Vec<u8>, Vec<u8>>);

impl Pax {
    /// What the ustar field of a number says; too large a number gets a record, and zero in the field.
    fn small(&mut self, key: &str, value: u32) -> u64 {
        self.number(key, value.into(), MAX_SMALL.into())
    }

    fn large(&mut self, key: &str, value: u64) -> u64 {
        self.number(key, value, MAX_LARGE)
    }

    /// A time before 1970 has a record, too.
    fn time(&mut self, mtime: i64) -> u64 {
        let Ok(mtime) = u64::try_from(mtime) else {
            self.0.insert(b"mtime".into(), mtime.to_string().into());
            return 0;
        };
        self.large("mtime", mtime)
    }

    fn number(&mut self, key: &str, value: u64, max: u64) -> u64 {
        if value <= max {
            return value;
        }
        self.0.insert(key.into(), value.to_string().into());
        0
    }

    /// Appends the `x` header, unless it is larger than readers take.
    fn write(&self, out: &mut Vec<u8>) -> bool {
        let records: Vec<u8> = self.0.iter().flat_map(|(key, value)| record(key, value)).collect();
        if records.len() > MAX_PAX {
            return false;
        }
        let mut header = Header::new_ustar();
        header.as_ustar_mut().expect("made as one").name[..PAX_NAME.len()].copy_from_slice(PAX_NAME);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(records.len() as u64);
        header.set_device_major(0).expect("a ustar header has it");
        header.set_device_minor(0).expect("a ustar header has it");
        header.set_entry_type(EntryType::XHeader);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&records);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        true
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    [len.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}
