//! The file of a lock: where it is, and how it is read and replaced.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::{Lock, LockError};
use crate::store::Replacement;
use crate::store::files::read_bounded;

/// Longer files are no locks: one of ten thousand entries has some 3 MB.
pub const MAX_BYTES: u64 = 256 << 20;

/// Why a lock's file can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockFileError {
    #[error("reading the lock file `{}`: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("the lock file `{}` can't be used: {error}", .path.display())]
    Content { path: PathBuf, error: LockError },
    #[error("writing the lock file `{}`: {error}", .path.display())]
    Write { path: PathBuf, error: io::Error },
}

/// `Buildfile.lock` for `Buildfile`.
pub fn path_beside(build_file: &Path) -> PathBuf {
    let mut name = build_file.file_name().map_or_else(|| OsString::from("Buildfile"), OsString::from);
    name.push(".lock");
    build_file.with_file_name(name)
}

/// The lock in a file, if there is one.
pub fn load(path: &Path) -> Result<Option<Lock>, LockFileError> {
    let read = |error| LockFileError::Read { path: path.to_owned(), error };
    let bytes = match read_bounded(path, MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(read)?,
    };
    parse(path, bytes).map(Some)
}

/// The lock that a file has.
pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Lock, LockFileError> {
    let path = || path.to_owned();
    let text = String::from_utf8(bytes).map_err(|_| {
        let error = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
        LockFileError::Read { path: path(), error }
    })?;
    text.parse().map_err(|error| LockFileError::Content { path: path(), error })
}

/// Puts a lock in the place of what the file had: whoever reads it sees the old one or the new one, whole.
pub fn save(path: &Path, lock: &Lock) -> Result<(), LockFileError> {
    Replacement::prepare(path, lock.to_text().as_bytes())
        .and_then(Replacement::put)
        .map_err(|error| LockFileError::Write { path: path.to_owned(), error })
}
