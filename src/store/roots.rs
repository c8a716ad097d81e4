//! Unpacked root file systems: one folder for each layer, kept as long as its blob.
//!
//! `lith/roots/MODE/NAME/fs` is a layer's folder, `lith/roots/MODE/NAME/record` says of which blobs it is and in which
//! boot it was written; `lith/roots/MODE/work/` has what is being made, `lith/roots/MODE/dead/` what nobody wants any more.
//! MODE tells who owns the files, as what one user namespace wrote is of no use in another.
//!
//! Invariant: what has a name is whole, and stays while the store is open, as steps may stand on it. A folder gets its
//! name by one rename when all is in it. It is not flushed: what was written in an earlier boot may have been lost with
//! the power, and is made again.
//!
//! Files in here may belong to others than who uses the store, and then not everybody can remove them: so whoever calls
//! says how.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use serde::{Deserialize, Serialize};

use super::files::{make_folder, make_folders, own_entries, read_bounded, remove};
use super::lock::Lock;
use super::{Store, StoreError, doing, memo};
use crate::oci::{DiffId, Digest};

/// Removes a folder with all that is in it, whoever owns it.
pub type Remove<'a> = &'a dyn Fn(&Path) -> io::Result<()>;

/// Who owns the files: root's folders, those of a user namespace, and those of one id are apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mode(String);

impl Mode {
    /// The ids are those of the image.
    pub fn real() -> Self {
        Self("real".into())
    }

    /// The ids are mapped. Other maps are other modes: lines as in `/proc/self/uid_map`, inside, outside, count.
    pub fn mapped(uids: &[[u32; 3]], gids: &[[u32; 3]]) -> Self {
        let mut hash = blake3::Hasher::new();
        for map in [uids, gids] {
            hash.update(&(map.len() as u64).to_le_bytes());
            map.iter().flatten().for_each(|n| _ = hash.update(&n.to_le_bytes()));
        }
        Self(format!("mapped-{}", &hash.finalize().to_hex()[..16]))
    }

    /// All files have one id.
    pub fn single() -> Self {
        Self("single".into())
    }

    /// The same for folders that nothing can be laid over.
    #[must_use]
    pub fn flat(self) -> Self {
        Self(format!("{}-flat", self.0))
    }
}

/// Which folder: that of a layer, in a context. See `sandbox::rootfs::Completed`.
#[derive(Debug, Clone)]
pub struct Key<'a> {
    pub diff_id: &'a DiffId,
    /// The layer's blob: one of those that keep the folder from the next collection.
    pub blob: &'a Digest,
    pub context: Option<&'a str>,
}

impl Key<'_> {
    fn name(&self) -> String {
        let layer = self.diff_id.to_string().replace(':', "-");
        self.context.map_or(layer.clone(), |context| format!("{layer}-{context}"))
    }
}

/// What is known of a folder.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// One layer may be there in several compressions. The folder is that of all, as somebody may stand on it.
    blobs: Vec<Digest>,
    boot: Vec<u8>,
}

/// The folders of one mode.
#[derive(Debug)]
pub struct Roots<'a> {
    store: &'a Store,
    folder: PathBuf,
}

/// A folder being made, or a step's upper folder. Dropped, it is garbage.
#[derive(Debug)]
pub struct Staged {
    /// `None` once it has a name.
    wrapper: Option<PathBuf>,
    dead: PathBuf,
}

impl Store {
    /// The unpacked root file systems of a mode.
    pub fn unpacked(&self, mode: &Mode) -> Result<Roots<'_>, StoreError> {
        let folder = self.private("roots").join(&mode.0);
        for part in ["work", "dead", "locks"] {
            let path = folder.join(part);
            make_folders(&path).map_err(doing("making", &path))?;
        }
        Ok(Roots { store: self, folder })
    }
}

impl Roots<'_> {
    /// The folder of a layer, if it is there and whole.
    pub fn get(&self, key: &Key<'_>) -> Option<PathBuf> {
        let path = self.folder.join(key.name());
        let mut record: Record = memo::read(&path.join("record"))?;
        if record.boot != boot() {
            return None;
        }
        // When it was last used, and by whom. Where only reading is allowed, it isn't known.
        if record.blobs.contains(key.blob) {
            let _unknown = touch(&path.join("record"));
        } else {
            record.blobs.push(key.blob.clone());
            let _unknown = memo::write(&self.store.private("tmp"), &path.join("record"), &record);
        }
        Some(path.join("fs")).filter(|folder| folder.is_dir())
    }

    /// The folder of a layer, made if need be: by one process, if several want it at once. `make` is given a new,
    /// empty folder.
    pub fn get_or_make<E: From<StoreError>>(
        &self,
        key: &Key<'_>,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        if let Some(found) = self.get(key) {
            return Ok(found);
        }
        let _lock = self.lock(key)?;
        if let Some(found) = self.get(key) {
            return Ok(found);
        }
        let staged = self.stage()?;
        make(&staged.fs())?;
        Ok(self.name(staged, key)?)
    }

    /// A new folder for an upper folder and what overlayfs needs beside it, to be [adopted](Roots::adopt) or dropped.
    pub fn stage(&self) -> Result<Staged, StoreError> {
        let work = self.folder.join("work");
        let making = || doing("making a folder in", &work);
        let wrapper = tempfile::Builder::new().prefix("").tempdir_in(&work).map_err(making())?.keep();
        let staged = Staged { wrapper: Some(wrapper), dead: self.folder.join("dead") };
        make_folder(&staged.fs()).map_err(making())?;
        Ok(staged)
    }

    /// Makes a step's upper folder, settled and no longer mounted, the folder of the layer that it became. If that
    /// has one already, the other stays.
    pub fn adopt(&self, staged: Staged, key: &Key<'_>, remove: Remove<'_>) -> Result<PathBuf, StoreError> {
        let _lock = self.lock(key)?;
        if let Some(found) = self.get(key) {
            return Ok(found);
        }
        let work = staged.work();
        remove(&work).map_err(doing("removing", &work))?;
        self.name(staged, key)
    }

    /// Gives a whole folder its name. What has the name is not whole, and goes.
    fn name(&self, mut staged: Staged, key: &Key<'_>) -> Result<PathBuf, StoreError> {
        let path = self.folder.join(key.name());
        let wrapper = staged.wrapper.clone().expect("it has no name yet");
        let record = Record { blobs: vec![key.blob.clone()], boot: boot() };
        memo::write(&self.store.private("tmp"), &wrapper.join("record"), &record)?;
        if path.symlink_metadata().is_ok() {
            bury(&path, &self.folder.join("dead")).map_err(doing("putting aside", &path))?;
        }
        fs::rename(&wrapper, &path).map_err(doing("naming", &path))?;
        staged.wrapper = None;
        Ok(path.join("fs"))
    }

    /// Removes what nobody wants any more: of this process, and of others that were killed.
    pub fn sweep(&self, remove: Remove<'_>) -> Result<(), StoreError> {
        let dead = self.folder.join("dead");
        for path in own_entries(&dead).map_err(doing("reading", &dead))? {
            remove(&path).map_err(doing("removing", &path))?;
        }
        Ok(())
    }

    fn lock(&self, key: &Key<'_>) -> Result<Lock, StoreError> {
        Lock::exclusive(&self.folder.join("locks").join(key.name()))
    }
}

impl Staged {
    /// The folder that will be the layer's: a step's upper folder.
    pub fn fs(&self) -> PathBuf {
        self.wrapper().join("fs")
    }

    /// Where overlayfs's work folder may be made.
    pub fn work(&self) -> PathBuf {
        self.wrapper().join("work")
    }

    /// Where the step's root may be mounted, or its other files put.
    pub fn wrapper(&self) -> &Path {
        self.wrapper.as_deref().expect("it has no name yet")
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(wrapper) = &self.wrapper {
            // Where it can't be moved, it is found when the store is next opened by one alone.
            let _found_later = bury(wrapper, &self.dead);
        }
    }
}

/// Moves a folder to those that nobody wants. It is ours, whoever owns what is in it.
fn bury(path: &Path, dead: &Path) -> io::Result<()> {
    let grave = tempfile::Builder::new().prefix("").tempdir_in(dead)?.keep();
    // A rename onto an empty folder replaces it.
    match fs::rename(path, &grave) {
        Err(error) => {
            let _empty = fs::remove_dir(&grave);
            Err(error)
        }
        moved => moved,
    }
}

/// Which boot this is; empty where nothing tells.
fn boot() -> Vec<u8> {
    read_bounded(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default()
}

fn touch(path: &Path) -> io::Result<()> {
    let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// The folders of all modes.
fn modes(store: &Store) -> Result<Vec<PathBuf>, StoreError> {
    let roots = store.private("roots");
    own_entries(&roots).map_err(doing("reading", &roots))
}

/// Puts aside what killed processes were making. To be called by who has the store alone.
pub(super) fn bury_work(store: &Store) {
    for mode in modes(store).unwrap_or_default() {
        for path in own_entries(&mode.join("work")).unwrap_or_default() {
            // Left where it is, it takes room and nothing else.
            let _left = bury(&path, &mode.join("dead"));
        }
        for path in own_entries(&mode.join("dead")).unwrap_or_default() {
            // What belongs to others waits for who can remove it.
            let _left = remove(&path);
        }
    }
}

/// How long an unpacked layer may go unused: a month.
const UNUSED: i64 = 30 * 24 * 3600;

/// The folders of layers whose blob isn't one of `stays`, those that nobody used for long, those that are not whole,
/// and all that nobody wants any more.
pub(super) fn garbage(store: &Store, stays: impl Fn(&Digest) -> bool) -> Result<Vec<PathBuf>, StoreError> {
    let list = |folder: &Path| own_entries(folder).map_err(doing("reading", folder));
    let mut found = Vec::new();
    let now = now(store)?;
    for mode in modes(store)? {
        for part in ["work", "dead", "locks"] {
            found.extend(list(&mode.join(part))?);
        }
        for path in list(&mode)? {
            if ["work", "dead", "locks"].iter().any(|part| path.ends_with(part)) {
                continue;
            }
            let record = path.join("record");
            let is_whole = memo::read::<Record>(&record)
                .is_some_and(|record| record.blobs.iter().any(&stays) && record.boot == boot());
            let used =
                record.symlink_metadata().map_or(0, |seen| std::os::unix::fs::MetadataExt::mtime(&seen));
            if !is_whole || now - used > UNUSED {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The time of the store's file system: only how it compares with other times there counts.
fn now(store: &Store) -> Result<i64, StoreError> {
    let file = store.temp_file()?;
    let seen = file.metadata().map_err(doing("looking at a file of", store.root()))?;
    Ok(std::os::unix::fs::MetadataExt::mtime(&seen))
}
