//! Which repositories a blob came from: a push to the same registry can have it mounted from there.
//!
//! Notes of the memo's kind: about one blob, gone with it, and never needed.

use std::path::Path;

use super::{Store, StoreError};
use crate::oci::{Descriptor, Digest, Repository};

const KIND: &str = "origin";

/// More are not asked for anyway.
const LIMIT: usize = 8;

impl Store {
    /// The repositories that are known to have held a blob, the latest first.
    pub fn origins_of(&self, blob: &Digest) -> Vec<Repository> {
        self.memo(KIND, &blob.to_string()).unwrap_or_default()
    }

    /// Notes that these repositories have a blob that the store has, too. What can't be noted costs an upload some day.
    pub fn note_origins(&self, blob: &Digest, origins: &[Repository]) {
        if origins.is_empty() {
            return;
        }
        let mut known = self.origins_of(blob);
        if origins.iter().all(|origin| known.contains(origin)) {
            return;
        }
        known.retain(|repository| !origins.contains(repository));
        known.splice(0..0, origins.iter().cloned());
        known.truncate(LIMIT);
        if let Err(error) = self.remember_with(KIND, &blob.to_string(), &known, vec![blob.clone()]) {
            log::debug!("noting where `{blob}` came from: {error}");
        }
    }

    /// The manifests that are known to have been in a repository.
    pub fn manifests_of(&self, repository: &Repository) -> Result<Vec<Descriptor>, StoreError> {
        let blobs = self.blob_files()?.into_iter().filter_map(|(_, digest)| digest);
        let own = blobs.filter(|digest| self.origins_of(digest).contains(repository));
        // What is damaged, or too large to be one, is none that could be asked for.
        Ok(own.filter_map(|digest| self.manifest(&digest).ok().flatten()).collect())
    }

    /// Whether an entry of the memo is such a note: it keeps no blob.
    pub(super) fn is_origin(&self, entry: &Path) -> bool {
        entry.starts_with(self.private("memo").join(KIND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gc;

    fn repository(name: &str) -> Repository {
        Repository { registry: "r.test".into(), name: name.into() }
    }

    #[test]
    fn a_note_goes_with_its_blob_and_keeps_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let store = Store::open(&root).unwrap();
        let blob = store.put(b"layer").unwrap();
        store.note_origins(&blob, &[repository("a")]);
        store.note_origins(&blob, &[repository("b")]);
        store.note_origins(&blob, &[repository("a")]);
        assert_eq!(store.origins_of(&blob), [repository("b"), repository("a")]);
        drop(store);
        let options = gc::Options { keep_cache: true, ..gc::Options::default() };
        let garbage = gc::collect(&root, &options).unwrap();
        assert_eq!((garbage.blobs.len(), garbage.memos), (1, 1));
        assert_eq!(Store::open(&root).unwrap().origins_of(&blob), []);
    }

    #[test]
    fn the_notes_of_a_blob_stay_few() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let blob = store.put(b"layer").unwrap();
        for n in 0..20 {
            store.note_origins(&blob, &[repository(&n.to_string())]);
        }
        let known = store.origins_of(&blob);
        assert_eq!((known.len(), known[0].name.as_str()), (LIMIT, "19"));
    }
}
