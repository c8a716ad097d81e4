//! The store: content-addressed blobs, names for them, and lith's own indexes.
//!
//! It is an OCI image layout that any tool can read (`oci-layout`, `index.json`, `blobs/`), with a folder `lith/`
//! beside the blobs for what is lith's alone: locks, temporary files, the memo, stat caches, unpacked layers. Invariants: a blob
//! is in `blobs/` only under its digest, whole and flushed; it is verified whenever it is read; every file is
//! replaced by rename, so that a kill at any moment leaves the old or the new; all in `lith/` can be deleted at
//! the cost of time.

mod blob;
mod builds;
pub(crate) mod files;
pub mod fsck;
pub mod gc;
mod lock;
mod memo;
mod origins;
mod replace;
pub mod roots;
pub mod stat_cache;
pub mod steps;
mod tags;
mod vendor;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use blob::{BlobWriter, Verified, digest_of};
pub use replace::Replacement;
pub use vendor::Vendor;

use crate::oci::{Descriptor, Digest, MediaType};
use files::{
    is_read_only, make_folder, named_temp, open_regular, own_entries, read_bounded, sorted_entries,
    sync_folder,
};
use lock::Lock;

/// An open store. While one is open, nothing is taken out of it.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Temporary files that several readers share while one of them has it.
    shared: Mutex<BTreeMap<String, Weak<File>>>,
    /// Held shared, so that garbage collection waits.
    _lock: Option<Lock>,
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("{doing} `{}`: {error}", .path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    #[error("`{}` is not a store: {why}", .path.display())]
    NotAStore { path: PathBuf, why: String },
    #[error("the store has no blob `{0}`")]
    Missing(Digest),
    #[error("expected the blob `{expected}` of {size} bytes, found `{found}` of {found_size} bytes")]
    Mismatch { expected: Digest, size: u64, found: Digest, found_size: u64 },
    #[error("`{digest}` has {size} bytes, more than the {limit} that such a document may have")]
    TooLarge { digest: Digest, size: u64, limit: u64 },
    #[error("`{name}` can't be the name of `{digest}`")]
    OtherDigest { name: String, digest: Digest },
    #[error("`{}` is damaged: {why}", .path.display())]
    Damaged { path: PathBuf, why: String },
}

/// Adds to an I/O error what was being done, and to which file.
fn doing<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |error| StoreError::Io { doing, path: path.to_owned(), error }
}

/// The kind of memos whose blobs were recorded of the network: nobody else may have them any more.
pub(crate) const RECORDED: &str = "recorded";

/// What an index or manifest may take in memory (distribution-spec: registries need accept no more than 4 MiB).
const MAX_DOCUMENT: u64 = 4 << 20;

impl Store {
    /// Opens the store in a folder, made if need be. Waits for a garbage collection that is under way.
    ///
    /// A store that may only be read is opened too, for reading. A folder with something else in it is refused.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        // Steps' workers stand in another folder.
        let root = &std::path::absolute(root).map_err(doing("finding", root))?;
        let mut store = Self { root: root.to_owned(), shared: Mutex::default(), _lock: None };
        store.refuse_other_folders()?;
        match store.prepare() {
            Ok(lock) => store._lock = Some(lock),
            Err(StoreError::Io { error, .. })
                if is_read_only(&error) && root.join("oci-layout").is_file() =>
            {
                // Without a lock file, nobody has ever collected garbage here.
                store._lock = Lock::shared_by_reader(&store.private("lock")).ok();
            }
            Err(error) => return Err(error),
        }
        store.check_layout()?;
        Ok(store)
    }

    /// A slip in a path must not scatter a store's files over somebody's home.
    fn refuse_other_folders(&self) -> Result<(), StoreError> {
        const OURS: [&str; 4] = ["blobs", "index.json", "lith", "oci-layout"];
        if self.root.join("oci-layout").exists() {
            return Ok(());
        }
        let entries = sorted_entries(&self.root).map_err(doing("reading", &self.root))?;
        match entries.iter().find(|path| !OURS.iter().any(|ours| path.ends_with(ours))) {
            Some(path) => Err(StoreError::NotAStore {
                path: self.root.clone(),
                why: format!("it has no `oci-layout`, but `{}`", path.display()),
            }),
            None => Ok(()),
        }
    }

    fn prepare(&self) -> Result<Lock, StoreError> {
        if let Some(parent) = self.root.parent() {
            fs::create_dir_all(parent).map_err(doing("making", parent))?;
        }
        let (blobs, tmp) = (self.blobs(), self.private("tmp"));
        for folder in [&self.root, &blobs, &blobs.join("sha256"), &self.root.join("lith"), &tmp] {
            make_folder(folder).map_err(doing("making", folder))?;
        }
        let path = self.private("lock");
        if let Some(lock) = Lock::try_exclusive(&path)? {
            // Nobody else has the store open, so whatever is in the temporary folder was left by a killed process.
            self.sweep();
            drop(lock);
        }
        let lock = Lock::shared(&path)?;
        let layout = self.root.join("oci-layout");
        if layout.exists() {
            // If the index is lost, it stays so until somebody mends it: an empty one would make garbage of all.
            return Ok(lock);
        }
        let _guard = self.lock_index()?;
        if !self.index_path().exists() {
            self.replace(&self.index_path(), tags::EMPTY)?;
        }
        self.replace(&layout, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(lock)
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        let path = self.root.join("oci-layout");
        let text = read_bounded(&path, 4096).map_err(doing("reading", &path))?;
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        match value["imageLayoutVersion"].as_str() {
            Some("1.0.0") => Ok(()),
            _ => Err(StoreError::NotAStore {
                path: self.root.clone(),
                why: "its `oci-layout` does not say version 1.0.0".into(),
            }),
        }
    }

    /// The folder that it is in: an OCI image layout.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    fn private(&self, name: &str) -> PathBuf {
        self.root.join("lith").join(name)
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.json")
    }

    /// The path of a blob, whether it is there or not.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.algorithm().name()).join(digest.hex())
    }

    /// Whether it has a blob of that digest. Whether that is what it should be shows when it is read.
    pub fn has(&self, digest: &Digest) -> bool {
        self.size_of(digest).is_some()
    }

    fn size_of(&self, digest: &Digest) -> Option<u64> {
        self.blob_path(digest).metadata().ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len())
    }

    /// A writer of a new blob.
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        BlobWriter::new(self)
    }

    /// Stores bytes as a blob.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.size_of(&digest) != Some(bytes.len() as u64) {
            let mut writer = self.writer()?;
            io::Write::write_all(&mut writer, bytes).map_err(doing("writing a blob to", &self.root))?;
            writer.finish()?;
        }
        Ok(digest)
    }

    /// A reader of a blob that verifies it: at its end it has given exactly the descriptor's bytes, or an error of
    /// kind [`io::ErrorKind::InvalidData`].
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Verified<File>, StoreError> {
        let digest = blob::digest_of(descriptor)
            .map_err(|error| StoreError::Damaged { path: self.index_path(), why: error.to_string() })?;
        let path = self.blob_path(&digest);
        let file = open_regular(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(digest),
            _ => StoreError::Io { doing: "opening", path: path.clone(), error },
        })?;
        Verified::in_store(file, descriptor, path.clone()).map_err(doing("reading", &path))
    }

    /// A blob's bytes, if they are not more than `limit`.
    pub fn read_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.open_blob(descriptor)?;
        if descriptor.size() > limit {
            let digest = reader.digest().clone();
            return Err(StoreError::TooLarge { digest, size: descriptor.size(), limit });
        }
        let mut bytes = Vec::new();
        let path = self.blob_path(reader.digest());
        reader.read_to_end(&mut bytes).map_err(doing("reading", &path))?;
        Ok(bytes)
    }

    /// The descriptor of a manifest or index that is in the store, by its digest alone.
    pub fn manifest(&self, digest: &Digest) -> Result<Option<Descriptor>, StoreError> {
        let Some(size) = self.size_of(digest) else { return Ok(None) };
        let blob = oci_spec::image::Digest::from(digest);
        let any = Descriptor::new(MediaType::ImageManifest, size, blob.clone());
        let bytes = self.read_blob(&any, MAX_DOCUMENT)?;
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let media_type = match value["mediaType"].as_str() {
            Some(media_type) => MediaType::from(media_type),
            None if value["manifests"].is_array() => MediaType::ImageIndex,
            None if value["layers"].is_array() => MediaType::ImageManifest,
            None => return Ok(None),
        };
        Ok(Some(Descriptor::new(media_type, size, blob)))
    }

    /// An unnamed file on the store's file system, gone when it is closed.
    pub fn temp_file(&self) -> Result<File, StoreError> {
        let folder = self.private("tmp");
        tempfile::tempfile_in(&folder).map_err(doing("making a temporary file in", &folder))
    }

    /// A temporary file that somebody shares under that name, and still has.
    pub fn shared_temp(&self, name: &str) -> Option<Arc<File>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).get(name)?.upgrade()
    }

    /// Shares a temporary file under a name that tells what is in it.
    pub fn share_temp(&self, name: &str, file: &Arc<File>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|_, file| file.strong_count() > 0);
        shared.insert(name.to_owned(), Arc::downgrade(file));
    }

    /// Where temporary files and folders go. What a killed process leaves there is swept away.
    pub fn temp_folder(&self) -> PathBuf {
        self.private("tmp")
    }

    /// Where pushes note the uploads that they have begun, so that after a kill another process can go on.
    pub fn uploads_folder(&self) -> PathBuf {
        self.private("uploads")
    }

    fn sweep(&self) {
        let folder = self.private("tmp");
        for path in own_entries(&folder).unwrap_or_default() {
            // What can't be removed now is no worse than what was there before.
            drop(files::remove(&path));
        }
        roots::bury_work(self);
    }

    /// Replaces a file as a whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let write = || -> io::Result<()> {
            let mut file = named_temp(&self.private("tmp"))?;
            io::Write::write_all(&mut file, bytes)?;
            file.as_file().sync_data()?;
            file.persist(path)?;
            sync_folder(path)
        };
        write().map_err(doing("writing", path))
    }
}

#[cfg(test)]
mod tests;
