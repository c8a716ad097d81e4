//! What is remembered of builds, for saying later why something was built anew. `lith/builds/NAME` is of one Buildfile in
//! one context, replaced as a whole; who reads it says what is in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::files::{own_entries, remove};
use super::{Store, StoreError, doing, memo};

/// How many Buildfiles are remembered.
const RECORDS: usize = 200;

#[derive(Serialize, Deserialize)]
struct Saved<'a, T> {
    /// For garbage collection.
    context: &'a [u8],
    value: T,
}

impl Store {
    /// What was kept under that name; `None` if it isn't there or isn't whole.
    pub fn build_record<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        read(&self.private("builds").join(name))
    }

    /// Keeps something of builds with that context, in the place of what was kept before.
    pub fn keep_build_record<T: Serialize>(
        &self,
        name: &str,
        context: &Path,
        value: &T,
    ) -> Result<(), StoreError> {
        let folder = self.private("builds");
        let path = folder.join(name);
        let is_new = !path.exists();
        let saved = Saved { context: context.as_os_str().as_bytes(), value };
        memo::write(&self.private("tmp"), &path, &saved)?;
        if is_new {
            for path in in_order(&folder)?.iter().skip(RECORDS) {
                remove(path).map_err(doing("removing", path))?;
            }
        }
        Ok(())
    }

    /// All that is kept and can be read, what was kept last first.
    pub fn build_records<T: DeserializeOwned>(&self) -> Result<Vec<T>, StoreError> {
        Ok(in_order(&self.private("builds"))?.iter().filter_map(|path| read(path)).collect())
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let body = memo::read_body(path)?;
    let (_, rest) = postcard::take_from_bytes::<&[u8]>(&body).ok()?;
    postcard::from_bytes(rest).ok()
}

fn in_order(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let time = |path: &PathBuf| path.symlink_metadata().map_or((0, 0), |m| (m.mtime(), m.mtime_nsec()));
    let paths = own_entries(folder).map_err(doing("reading", folder))?;
    let mut paths: Vec<_> = paths.into_iter().map(|path| (time(&path), path)).collect();
    paths.sort_by(|a, b| b.cmp(a));
    Ok(paths.into_iter().map(|(_, path)| path).collect())
}

/// What a collection takes: what can't be read, and what is of contexts that are gone.
pub(super) fn garbage(store: &Store) -> Result<Vec<PathBuf>, StoreError> {
    let is_garbage = |path: &PathBuf| {
        let Some(body) = memo::read_body(path) else { return true };
        let Ok((context, _)) = postcard::take_from_bytes::<&[u8]>(&body) else { return true };
        context.starts_with(b"/") && Path::new(OsStr::from_bytes(context)).symlink_metadata().is_err()
    };
    Ok(in_order(&store.private("builds"))?.into_iter().filter(is_garbage).collect())
}
