//! The stat cache: fingerprints of a context's files, so that what did not change is not read again.
//!
//! An entry is believed only if device, inode, size, mtime and ctime are as they were when the content was hashed,
//! and if the file had been left alone for a while by then: a write in the same tick of the file system's clock
//! as the hashing would leave the same ctime behind (git's "racy" index entries). ctime can't be set by users.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, memo};
use crate::tree::{Fingerprint, Stat};

/// The fingerprints known of one context.
#[derive(Debug)]
pub struct StatCache {
    context: PathBuf,
    file: PathBuf,
    temporaries: PathBuf,
    /// Sorted by path.
    known: Vec<(Box<[u8]>, Entry)>,
    /// Where the one after the last found is.
    next: AtomicUsize,
    /// Of each that is known, whether it was asked for and is as it was.
    found: Vec<AtomicBool>,
    /// Whether one was asked for that is not known, or another by now.
    missed: AtomicBool,
    /// Of the files seen this time; what is not seen again is forgotten.
    seen: Mutex<BTreeMap<Box<[u8]>, Entry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    stat: Stat,
    fingerprint: Fingerprint,
    /// When the hashing began, in seconds and nanoseconds.
    hashed: (i64, i64),
}

/// What is in the file. Its slices are borrowed when it is read: with a hundred thousand files, that counts.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    /// For garbage collection; the file's name is its hash.
    context: &'a [u8],
    #[serde(borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    path: &'a [u8],
    stat: Stat,
    fingerprint: &'a [u8],
    hashed: (i64, i64),
}

fn load(file: &Path) -> Option<Vec<(Box<[u8]>, Entry)>> {
    let body = memo::read_body(file)?;
    let saved: Saved<'_> = postcard::from_bytes(&body).ok()?;
    let entry = |record: Record<'_>| {
        let fingerprint = Fingerprint(record.fingerprint.try_into().ok()?);
        Some((record.path.into(), Entry { stat: record.stat, fingerprint, hashed: record.hashed }))
    };
    let known: Vec<(Box<[u8]>, Entry)> = saved.records.into_iter().map(entry).collect::<Option<_>>()?;
    known.is_sorted_by(|a, b| a.0 < b.0).then_some(known)
}

/// The context that the cache in `file` is of; `None` if the file is damaged.
pub(super) fn context_of(file: &Path) -> Option<PathBuf> {
    let body = memo::read_body(file)?;
    let (context, _) = postcard::take_from_bytes::<&[u8]>(&body).ok()?;
    Some(OsStr::from_bytes(context).into())
}

impl StatCache {
    /// What is known of the context at that path.
    pub fn open(store: &Store, context: &Path) -> Self {
        let context = context.canonicalize().unwrap_or_else(|_| context.to_owned());
        let name = blake3::hash(context.as_os_str().as_bytes()).to_hex();
        let file = store.private("stat").join(name.as_str());
        let known = load(&file).unwrap_or_default();
        Self {
            context,
            file,
            temporaries: store.private("tmp"),
            found: known.iter().map(|_| AtomicBool::new(false)).collect(),
            known,
            next: AtomicUsize::new(0),
            missed: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The fingerprint of the file at that relative path, if it is sure to be that of its content now.
    pub fn get(&self, path: &[u8], stat: &Stat) -> Option<Fingerprint> {
        let known = self.find(path).filter(|(_, entry)| entry.stat == *stat && entry.is_settled());
        match known {
            Some((at, _)) => self.found[at].store(true, Ordering::Relaxed),
            None => self.missed.store(true, Ordering::Relaxed),
        }
        Some(known?.1.fingerprint)
    }

    /// Whether each known file was asked for and is as it was, and no other, so that there is nothing to note.
    pub fn is_unchanged(&self) -> bool {
        !self.missed.load(Ordering::Relaxed) && self.found.iter().all(|found| found.load(Ordering::Relaxed))
    }

    /// Notes a fingerprint for the next time. `hashed` is a moment before the hashing began.
    pub fn put(&self, path: &[u8], stat: Stat, fingerprint: Fingerprint, hashed: Moment) {
        let entry = match self.find(path) {
            // The older moment is worth no less than the new one.
            Some((_, old)) if old.stat == stat && old.fingerprint == fingerprint && old.is_settled() => *old,
            _ => Entry { stat, fingerprint, hashed: hashed.0 },
        };
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.insert(path.into(), entry);
    }

    /// What is known of a file, and where among all.
    fn find(&self, path: &[u8]) -> Option<(usize, &Entry)> {
        // Most are asked for in order.
        let next = self.next.load(Ordering::Relaxed);
        let is_next = self.known.get(next).is_some_and(|(known, _)| **known == *path);
        let at = if is_next {
            next
        } else {
            self.known.binary_search_by(|(known, _)| (**known).cmp(path)).ok()?
        };
        self.next.store(at + 1, Ordering::Relaxed);
        Some((at, &self.known[at].1))
    }

    /// Writes what is known now, if that is anything new.
    pub fn save(self) -> Result<(), StoreError> {
        let seen = self.seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.iter().eq(self.known.iter().map(|(path, entry)| (path, entry))) {
            return Ok(());
        }
        let records = seen.iter().map(|(path, entry)| Record {
            path,
            stat: entry.stat,
            fingerprint: &entry.fingerprint.0,
            hashed: entry.hashed,
        });
        let saved = Saved { context: self.context.as_os_str().as_bytes(), records: records.collect() };
        memo::write(&self.temporaries, &self.file, &saved)
    }
}

impl Entry {
    fn is_settled(&self) -> bool {
        // Nanoseconds that aren't zero show a clock that counts them; it ticks at least every 10 ms on Linux. Others
        // count seconds, or two of them.
        let margin = if self.stat.ctime.1 == 0 { 2_000_000_000 } else { 20_000_000 };
        let newest = self.stat.ctime.max(self.stat.mtime);
        nanoseconds(newest).saturating_add(margin) < nanoseconds(self.hashed)
    }
}

fn nanoseconds((seconds, nanoseconds): (i64, i64)) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

/// A moment of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Moment((i64, i64));

impl Moment {
    #[cfg(test)]
    pub(super) fn at(seconds: i64, nanoseconds: i64) -> Self {
        Self((seconds, nanoseconds))
    }

    #[expect(clippy::disallowed_methods, reason = "compared with files' times, never part of an output")]
    pub fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self((i64::try_from(now.as_secs()).unwrap_or(i64::MAX), i64::from(now.subsec_nanos())))
    }
}
