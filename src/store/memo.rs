//! The memo: what was found out once, by key. Private to lith, and never needed: an entry that is damaged, foreign
//! or gone is found out again.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::make_folders;
use super::{Store, StoreError, doing, named_temp, own_entries, read_bounded};
use crate::oci::Digest;

/// The first bytes of an entry. Another number is another format, and is not read.
const MAGIC: &[u8; 8] = b"lithmem3";

/// More than the listing of a layer of some million files.
const LIMIT: u64 = 1 << 30;

/// An entry's body: the value, and the blobs without which it is worth nothing.
#[derive(Serialize, Deserialize)]
struct Entry<T> {
    needs: Vec<Digest>,
    value: T,
}

/// The blobs that an entry needs; `None` if the entry can't be read.
pub(super) type Needs = Option<Vec<Digest>>;

impl Store {
    /// What is remembered under `key`.
    pub fn memo<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Option<T> {
        let entry: Entry<T> = read(&self.memo_path(kind, key))?;
        entry.needs.iter().all(|blob| self.has(blob)).then_some(entry.value)
    }

    /// Whether something is remembered under `key`, without a look at what.
    pub fn has_memo(&self, kind: &str, key: &str) -> bool {
        self.memo_path(kind, key).is_file()
    }

    /// Remembers a value.
    pub fn remember<T: Serialize>(&self, kind: &str, key: &str, value: &T) -> Result<(), StoreError> {
        self.remember_with(kind, key, value, Vec::new())
    }

    /// Remembers a value for as long as the store has the blobs that it is about.
    pub fn remember_with<T: Serialize>(
        &self,
        kind: &str,
        key: &str,
        value: &T,
        needs: Vec<Digest>,
    ) -> Result<(), StoreError> {
        write(&self.private("tmp"), &self.memo_path(kind, key), &Entry { needs, value })
    }

    pub(super) fn memo_path(&self, kind: &str, key: &str) -> PathBuf {
        let hash = blake3::hash(key.as_bytes()).to_hex();
        self.private("memo").join(kind).join(&hash[..2]).join(&hash[2..])
    }

    /// Whether an entry is about what was recorded of the network.
    pub(super) fn is_recorded(&self, entry: &Path) -> bool {
        entry.starts_with(self.private("memo").join(super::RECORDED))
    }

    /// Each entry's file with the blobs that it needs; of one that can't be read, a need that is never met.
    pub(super) fn memo_entries(&self) -> Result<Vec<(PathBuf, Needs)>, StoreError> {
        let mut found = Vec::new();
        let root = self.private("memo");
        let list = |folder: &Path| own_entries(folder).map_err(doing("reading", folder));
        for kind in list(&root)? {
            for shard in list(&kind)? {
                for path in list(&shard)? {
                    let needs = read_body(&path).and_then(|body| {
                        postcard::take_from_bytes::<Vec<Digest>>(&body).ok().map(|(needs, _)| needs)
                    });
                    found.push((path, needs));
                }
            }
        }
        Ok(found)
    }
}

/// Reads a file that [`write`] wrote; `None` if it isn't there or isn't whole.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    postcard::from_bytes(&read_body(path)?).ok()
}

pub(super) fn read_body(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = read_bounded(path, LIMIT).ok()?;
    let (head, body) = bytes.split_at_checked(MAGIC.len() + blake3::OUT_LEN)?;
    let (magic, hash) = head.split_at(MAGIC.len());
    if magic != MAGIC || blake3::hash(body).as_bytes() != hash {
        return None;
    }
    Some(bytes.split_off(MAGIC.len() + blake3::OUT_LEN))
}

/// Replaces a file as a whole. It isn't flushed: what a power cut leaves of it fails its hash.
pub(super) fn write<T: Serialize>(temporaries: &Path, path: &Path, value: &T) -> Result<(), StoreError> {
    let body = postcard::to_stdvec(value).expect("the store's own types can be written");
    let write = || -> std::io::Result<()> {
        use std::io::Write as _;
        make_folders(path.parent().expect("a file in a folder"))?;
        let mut file = named_temp(temporaries)?;
        file.write_all(MAGIC)?;
        file.write_all(blake3::hash(&body).as_bytes())?;
        file.write_all(&body)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(doing("writing", path))
}
