//! Locks between processes: `flock`, which the kernel lets go of when its holder dies.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::files::{open_or_make, open_regular};
use super::{StoreError, doing};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Waits until nobody holds it exclusively.
    pub(super) fn shared(path: &Path) -> Result<Self, StoreError> {
        Self::take(path, FlockOperation::LockShared)
    }

    /// Waits until nobody holds it.
    pub(super) fn exclusive(path: &Path) -> Result<Self, StoreError> {
        Self::take(path, FlockOperation::LockExclusive)
    }

    /// Takes it if nobody holds it.
    pub(super) fn try_exclusive(path: &Path) -> Result<Option<Self>, StoreError> {
        match Self::take(path, FlockOperation::NonBlockingLockExclusive) {
            Ok(lock) => Ok(Some(lock)),
            Err(StoreError::Io { error, .. }) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Lock::shared`], by one who may not write the lock file. It isn't made.
    pub(super) fn shared_by_reader(path: &Path) -> Result<Self, StoreError> {
        Self::hold(open_regular(path).map_err(doing("opening", path))?, path, FlockOperation::LockShared)
    }

    /// Whether the file that is locked still has that name.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        match (self.file.metadata(), path.symlink_metadata()) {
            (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Self, StoreError> {
        Self::hold(open_or_make(path).map_err(doing("opening", path))?, path, operation)
    }

    fn hold(file: File, path: &Path, operation: FlockOperation) -> Result<Self, StoreError> {
        rustix::io::retry_on_intr(|| flock(&file, operation))
            .map_err(|error| doing("locking", path)(error.into()))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a process that another thread is just starting, until that executes.
        let _unlocked = flock(&self.file, FlockOperation::Unlock);
    }
}
