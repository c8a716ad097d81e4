//! What steps that run programs keep in the store beside their layers: locks, cache mounts, logs, the state in which
//! the last one failed.
//!
//! `lith/steps/KEY` is locked while somebody runs that step. `lith/caches/NAME.N` is a cache mount, of which there
//! are several if builds at the same time must not share one, with its lock beside it. `lith/logs/NAME` is what a
//! step wrote. `lith/debug/` has the failed state. Names are hashes; what people call things never is a path here.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::files::{make_folder, make_folders, named_temp, own_entries, remove};
use super::lock::Lock;
use super::{Store, StoreError, doing};

/// How many logs are kept.
const LOGS: usize = 100;

/// More instances of one cache than builds ever run at once.
const INSTANCES: usize = 1000;

/// Held until it is dropped.
#[derive(Debug)]
pub struct StepLock {
    path: PathBuf,
    lock: Option<Lock>,
}

impl Drop for StepLock {
    fn drop(&mut self) {
        // While it is held: who waits for it finds that it has no name any more, and makes another.
        let _left = fs::remove_file(&self.path);
        self.lock = None;
    }
}

/// How builds at the same time use one cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// All the same.
    #[default]
    Shared,
    /// Each one that nobody else has.
    Private,
    /// One after the other.
    Locked,
}

/// A cache mount's folder, for as long as this is.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    _lock: Lock,
}

impl Cache {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it was never used.
    pub fn is_new(&self) -> bool {
        !self.marker().exists()
    }

    /// Notes that it has been used.
    pub fn mark(&self) -> Result<(), StoreError> {
        let path = self.marker();
        File::create(&path).map(drop).map_err(doing("making", &path))
    }

    fn marker(&self) -> PathBuf {
        beside(&self.folder, "used")
    }
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

impl Store {
    /// Waits until nobody else runs the step with that key.
    pub fn lock_step(&self, key: &str) -> Result<StepLock, StoreError> {
        let folder = self.private("steps");
        make_folders(&folder).map_err(doing("making", &folder))?;
        let path = folder.join(key);
        loop {
            let lock = Lock::exclusive(&path)?;
            if lock.is_at(&path) {
                return Ok(StepLock { path, lock: Some(lock) });
            }
        }
    }

    /// The cache mount that is known by that key.
    pub fn cache_mount(&self, key: &str, sharing: Sharing) -> Result<Cache, StoreError> {
        let folder = self.private("caches");
        make_folders(&folder).map_err(doing("making", &folder))?;
        let name = blake3::hash(key.as_bytes()).to_hex()[..32].to_owned();
        for instance in 0..INSTANCES {
            let folder = folder.join(format!("{name}.{instance}"));
            let path = beside(&folder, "lock");
            let lock = match sharing {
                Sharing::Shared => Some(Lock::shared(&path)?),
                Sharing::Locked => Some(Lock::exclusive(&path)?),
                Sharing::Private => Lock::try_exclusive(&path)?,
            };
            if let Some(_lock) = lock {
                make_folder(&folder).map_err(doing("making", &folder))?;
                return Ok(Cache { folder, _lock });
            }
        }
        let error = io::Error::other("too many builds use it at once");
        Err(doing("using the cache mount", &folder)(error))
    }

    /// A log, empty. It has its name from the start, so that it can be read while the step runs.
    pub fn step_log(&self, name: &str) -> Result<(File, PathBuf), StoreError> {
        let folder = self.private("logs");
        make_folders(&folder).map_err(doing("making", &folder))?;
        let path = folder.join(format!("{name}.log"));
        let temp = named_temp(&self.private("tmp")).map_err(doing("making a log in", &folder))?;
        let file = temp.persist(&path).map_err(|error| doing("making", &path)(error.error))?;
        self.trim_logs(&folder)?;
        Ok((file, path))
    }

    fn trim_logs(&self, folder: &Path) -> Result<(), StoreError> {
        let logs = own_entries(folder).map_err(doing("reading", folder))?;
        if logs.len() <= LOGS {
            return Ok(());
        }
        let time = |path: &PathBuf| path.symlink_metadata().map_or((0, 0), |m| (m.mtime(), m.mtime_nsec()));
        let mut logs: Vec<_> = logs.into_iter().map(|path| (time(&path), path)).collect();
        logs.sort();
        let old = logs.len() - LOGS;
        for (_, path) in &logs[..old] {
            remove(path).map_err(doing("removing", path))?;
        }
        Ok(())
    }

    /// Where the state is kept in which a step failed.
    pub fn debug_folder(&self) -> PathBuf {
        self.private("debug")
    }

    /// Waits until nobody else looks at the failed state, or replaces it.
    pub fn lock_debug(&self) -> Result<impl Sized + use<>, StoreError> {
        Lock::exclusive(&self.private("debug.lock"))
    }
}

/// What a collection takes of it: with `caches`, cache mounts too. The failed state stands on layers, and goes with
/// those of the build cache. Logs are small and of the last builds: they stay.
pub(super) fn garbage(store: &Store, options: &super::gc::Options) -> Result<Vec<PathBuf>, StoreError> {
    let debug = store.debug_folder();
    // What says that there is a state goes first.
    let mut found = vec![debug.join("state"), debug.join("kept")];
    found.retain(|path| !options.keep_cache && path.symlink_metadata().is_ok());
    if options.cache_mounts {
        let folder = store.private("caches");
        found.extend(own_entries(&folder).map_err(doing("reading", &folder))?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        (dir, store)
    }

    #[test]
    fn a_step_is_run_by_one() {
        let (_dir, store) = store();
        let running = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = store.lock_step("key").unwrap();
                        assert_eq!(running.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(own_entries(&store.private("steps")).unwrap().is_empty());
        let _one = store.lock_step("one").unwrap();
        let _other = store.lock_step("other").unwrap();
    }

    #[test]
    fn caches_are_shared_as_asked() {
        let (_dir, store) = store();
        let cache = |sharing| store.cache_mount("../../id", sharing).unwrap();
        let first = cache(Sharing::Shared);
        assert_eq!(first.folder(), cache(Sharing::Shared).folder());
        assert!(first.folder().starts_with(store.private("caches")));
        assert!(first.is_new());
        first.mark().unwrap();
        assert!(!cache(Sharing::Shared).is_new());
        let second = cache(Sharing::Private);
        let third = cache(Sharing::Private);
        assert!(first.folder() != second.folder() && second.folder() != third.folder());
        let of_second = second.folder().to_owned();
        drop(second);
        assert_eq!(cache(Sharing::Private).folder(), of_second);
        drop(first);
        let locked = cache(Sharing::Locked);
        assert_ne!(cache(Sharing::Private).folder(), locked.folder());
    }

    #[test]
    fn logs_are_bounded() {
        let (_dir, store) = store();
        for number in 0..LOGS + 20 {
            store.step_log(&format!("{number}")).unwrap();
        }
        assert_eq!(own_entries(&store.private("logs")).unwrap().len(), LOGS);
        let (_, path) = store.step_log("5").unwrap();
        assert!(path.is_file());
    }
}
