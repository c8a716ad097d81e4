//! Garbage collection: what no entry of the index needs goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lock::Lock;
use super::{MAX_DOCUMENT, Store, StoreError, doing, read_bounded, sorted_entries};
use crate::oci::Digest;

/// What to keep beside what is named.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The layers that the step cache knows.
    pub keep_cache: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Blobs with their sizes, in order.
    pub blobs: Vec<(Digest, u64)>,
    /// Entries of the memo that are about those blobs.
    pub memos: usize,
}

/// Collects the garbage of the store in a folder. Waits until nobody has the store open, so that nothing is taken
/// that a build under way has made or found.
pub fn collect(root: &Path, options: &Options) -> Result<Garbage, StoreError> {
    // Opening makes the layout where there is none, and sweeps temporary files.
    let store = Store::open(root)?;
    if options.dry_run {
        return Ok(find(&store, options)?.0);
    }
    // Our own shared lock would keep us waiting for ever.
    let Store { root, _lock } = store;
    drop(_lock);
    let exclusive = Lock::exclusive(&root.join("lith/lock"))?;
    let store = Store { root, _lock: Some(exclusive) };
    let (garbage, memos) = find(&store, options)?;
    // Memos first: one that is about a blob must not outlive it. (It would be noticed, but it would be there.)
    for path in memos {
        fs::remove_file(&path).map_err(doing("removing", &path))?;
    }
    for (digest, _) in &garbage.blobs {
        let path = store.blob_path(digest);
        fs::remove_file(&path).map_err(doing("removing", &path))?;
    }
    Ok(garbage)
}

fn find(store: &Store, options: &Options) -> Result<(Garbage, Vec<PathBuf>), StoreError> {
    let present = present(store)?;
    let memos = store.memo_entries()?;
    let mut needed = reachable(store, &present)?;
    if options.keep_cache {
        needed.extend(memos.iter().filter_map(|(_, needs)| needs.as_ref()).flatten().cloned());
    }
    let goes: BTreeMap<Digest, u64> =
        present.into_iter().filter(|(digest, _)| !needed.contains(digest)).collect();
    let stale = |needs: &Option<Vec<Digest>>| {
        needs
            .as_ref()
            .is_none_or(|needs| needs.iter().any(|blob| goes.contains_key(blob) || !store.has(blob)))
    };
    let memos: Vec<PathBuf> =
        memos.into_iter().filter(|(_, needs)| stale(needs)).map(|(path, _)| path).collect();
    Ok((Garbage { blobs: goes.into_iter().collect(), memos: memos.len() }, memos))
}

/// Every blob with its size. A file with another name than a digest is not ours, and is left alone.
fn present(store: &Store) -> Result<BTreeMap<Digest, u64>, StoreError> {
    let folder = store.blobs();
    let mut found = BTreeMap::new();
    for path in sorted_entries(&folder).map_err(doing("reading", &folder))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Ok(digest) = format!("sha256:{name}").parse() {
            let size = path.metadata().map_err(doing("reading", &path))?.len();
            found.insert(digest, size);
        }
    }
    Ok(found)
}

/// What the index refers to, at any depth, and what refers to any of that as its subject.
fn reachable(store: &Store, present: &BTreeMap<Digest, u64>) -> Result<BTreeSet<Digest>, StoreError> {
    let mut reached = BTreeSet::new();
    let mut todo: Vec<Digest> =
        store.roots()?.iter().filter_map(|root| Digest::try_from(root.digest()).ok()).collect();
    let referrers = referrers(store, present);
    while let Some(digest) = todo.pop() {
        if reached.insert(digest.clone()) {
            todo.extend(document(store, &digest, present).iter().flat_map(references));
            todo.extend(referrers.get(&digest).into_iter().flatten().cloned());
        }
    }
    Ok(reached)
}

/// By subject, the manifests that refer to it.
fn referrers(store: &Store, present: &BTreeMap<Digest, u64>) -> BTreeMap<Digest, Vec<Digest>> {
    let mut found: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    for digest in present.keys() {
        let subject = document(store, digest, present).and_then(|value| digest_in(value.get("subject")?));
        if let Some(subject) = subject {
            found.entry(subject).or_default().push(digest.clone());
        }
    }
    found
}

/// A blob as JSON, if it is small enough to be a document and looks like one. Not verified: whoever reads a wrong
/// manifest here keeps too much or fails later, but never takes a blob that a right one needs.
fn document(store: &Store, digest: &Digest, present: &BTreeMap<Digest, u64>) -> Option<Value> {
    present.get(digest).filter(|size| **size <= MAX_DOCUMENT)?;
    let path = store.blob_path(digest);
    let mut first = [0];
    std::io::Read::read_exact(&mut fs::File::open(&path).ok()?, &mut first).ok()?;
    if first != *b"{" && !first[0].is_ascii_whitespace() {
        return None;
    }
    serde_json::from_slice(&read_bounded(&path, MAX_DOCUMENT).ok()?).ok()
}

fn references(document: &Value) -> Vec<Digest> {
    let lists = ["manifests", "layers", "blobs"];
    let listed = lists.iter().filter_map(|key| document.get(key)?.as_array()).flatten();
    let single = ["config", "subject"].iter().filter_map(|key| document.get(key));
    listed.chain(single).filter_map(digest_in).collect()
}

fn digest_in(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}
