//! Garbage collection: what no entry of the index needs goes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::files::remove;
use super::lock::Lock;
use super::{
    MAX_DOCUMENT, Store, StoreError, builds, doing, open_regular, own_entries, read_bounded, roots,
    stat_cache, steps,
};
use crate::oci::media_type::MANIFESTS;
use crate::oci::{Digest, Digester, Reference};

/// Larger than any registry takes.
const MAX_MANIFEST: u64 = 64 << 20;

/// What to keep beside what is named.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The layers that the step cache knows.
    pub keep_cache: bool,
    /// What was recorded of the network for locked steps goes too. It may not be had again.
    pub recorded: bool,
    /// Cache mounts of steps go too.
    pub cache_mounts: bool,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went, or would go.
#[derive(Debug, Default)]
pub struct Garbage {
    /// Blobs with their sizes, in order.
    pub blobs: Vec<(Digest, u64)>,
    /// Entries of the memo that are about those blobs, or damaged.
    pub memos: usize,
    /// What `fsck` has put into quarantine, the stat caches and records of contexts that are gone, and notes of uploads that no
    /// registry remembers.
    pub leftovers: usize,
    /// Unpacked layers of those blobs, of long ago, or not whole.
    pub roots: usize,
    /// How many of those stayed, as their files belong to others.
    pub roots_left: usize,
    /// What stays: the named images, and how many blobs there are for them and for what else was to be kept.
    pub kept: Vec<(Reference, Digest)>,
    pub kept_blobs: usize,
}

/// Collects the garbage of the store in a folder. Waits until nobody has the store open, so that nothing is taken
/// that a build under way has made or found; who has it open themselves waits for ever. Other tools know nothing of
/// that lock: none should write into the store meanwhile.
pub fn collect(root: &Path, options: &Options) -> Result<Garbage, StoreError> {
    collect_with(root, options, &remove)
}

/// As [`collect`], where only `remove_root` can remove unpacked layers, as their files belong to others.
pub fn collect_with(
    root: &Path,
    options: &Options,
    remove_root: roots::Remove<'_>,
) -> Result<Garbage, StoreError> {
    // Opening makes the layout where there is none, and sweeps temporary files.
    let store = Store::open(root)?;
    if options.dry_run {
        return Ok(find(&store, options)?.garbage());
    }
    // Our own shared lock would keep us waiting for ever.
    let Store { root, shared, _lock } = store;
    drop(_lock);
    let exclusive = Lock::exclusive(&root.join("lith/lock"))?;
    let store = Store { root, shared, _lock: Some(exclusive) };
    let found = find(&store, options)?;
    let mut roots_left = 0;
    for path in &found.roots {
        // Emptied of what says that it is whole, before it is half gone.
        let _none = remove(&path.join("record"));
        match remove_root(path) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => roots_left += 1,
            removed => removed.map_err(doing("removing", path))?,
        }
    }
    // Memos first: one that is about a blob must not outlive it. (It would be noticed, but it would be there.)
    let blobs: Vec<_> = found.blobs.iter().map(|(digest, _)| store.blob_path(digest)).collect();
    for path in found.memos.iter().chain(&found.leftovers).chain(&blobs) {
        remove(path).map_err(doing("removing", path))?;
    }
    Ok(Garbage { roots_left, ..found.garbage() })
}

/// The garbage with its paths.
struct Found {
    blobs: Vec<(Digest, u64)>,
    memos: Vec<PathBuf>,
    leftovers: Vec<PathBuf>,
    roots: Vec<PathBuf>,
    kept: Vec<(Reference, Digest)>,
    kept_blobs: usize,
}

impl Found {
    fn garbage(self) -> Garbage {
        let Self { blobs, memos, leftovers, roots, kept, kept_blobs } = self;
        let (memos, leftovers, roots) = (memos.len(), leftovers.len(), roots.len());
        Garbage { blobs, memos, leftovers, roots, roots_left: 0, kept, kept_blobs }
    }
}

fn find(store: &Store, options: &Options) -> Result<Found, StoreError> {
    // What an entry needs is there before the entry, and a dry run may see one made: so the index comes last.
    let memos = store.memo_entries()?;
    let present = present(store)?;
    let mut needed = reachable(store, &present)?;
    if options.keep_cache {
        let cached = memos.iter().filter(|(path, _)| !store.is_origin(path));
        needed.extend(cached.filter_map(|(_, needs)| needs.as_ref()).flatten().cloned());
    }
    if !options.recorded {
        let recorded = memos.iter().filter(|(path, _)| store.is_recorded(path));
        needed.extend(recorded.filter_map(|(_, needs)| needs.as_ref()).flatten().cloned());
    }
    let all = present.len();
    let goes: BTreeMap<Digest, u64> =
        present.into_iter().filter(|(digest, _)| !needed.contains(digest)).collect();
    let stale = |needs: &Option<Vec<Digest>>| {
        needs
            .as_ref()
            .is_none_or(|needs| needs.iter().any(|blob| goes.contains_key(blob) || !store.has(blob)))
    };
    let memos = memos.into_iter().filter(|(_, needs)| stale(needs)).map(|(path, _)| path).collect();
    let mut roots = roots::garbage(store, |blob| store.has(blob) && !goes.contains_key(blob))?;
    roots.extend(steps::garbage(store, options)?);
    let digest =
        |image: &crate::oci::Descriptor| Digest::try_from(image.digest()).expect("checked with the index");
    let kept = store.tags()?.into_iter().map(|(name, image)| (name, digest(&image))).collect();
    let (leftovers, kept_blobs) = (leftovers(store)?, all - goes.len());
    Ok(Found { blobs: goes.into_iter().collect(), memos, leftovers, roots, kept, kept_blobs })
}

fn leftovers(store: &Store) -> Result<Vec<PathBuf>, StoreError> {
    let list = |folder: &Path| own_entries(folder).map_err(doing("reading", folder));
    let mut found = list(&store.private("quarantine"))?;
    let is_old = |path: &PathBuf| {
        stat_cache::context_of(path).is_none_or(|context| context.symlink_metadata().is_err())
    };
    found.extend(list(&store.private("stat"))?.into_iter().filter(is_old));
    found.extend(builds::garbage(store)?);
    found.extend(list(&store.uploads_folder())?.into_iter().filter(|path| is_stale(path)));
    Ok(found)
}

/// Whether the note of an unfinished upload is so old that the registry has forgotten the upload.
pub(crate) fn is_stale(note: &Path) -> bool {
    const FORGOTTEN: Duration = Duration::from_hours(24);
    let modified = note.symlink_metadata().and_then(|metadata| metadata.modified());
    #[expect(clippy::disallowed_methods, reason = "decides only whether an upload begins anew")]
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > FORGOTTEN))
}

/// Every blob with its size. A file with another name than a digest is not ours, and is left alone.
fn present(store: &Store) -> Result<BTreeMap<Digest, u64>, StoreError> {
    let blobs = store.blob_files()?.into_iter().filter_map(|(_, digest)| digest);
    Ok(blobs.filter_map(|digest| Some((digest.clone(), store.size_of(&digest)?))).collect())
}

/// What the index refers to, at any depth, and what refers to any of that as its subject.
fn reachable(store: &Store, present: &BTreeMap<Digest, u64>) -> Result<BTreeSet<Digest>, StoreError> {
    let referrers = referrers(store, present);
    let mut reached = BTreeMap::new();
    let mut todo: Vec<Link> = Vec::new();
    for root in store.roots()? {
        let digest = Digest::try_from(root.digest()).expect("checked with the index");
        todo.push(Link { digest, is_manifest: MANIFESTS.contains(&root.media_type().as_ref()) });
    }
    while let Some(Link { digest, is_manifest }) = todo.pop() {
        // Again if it turns out that it has to be a manifest; and as each is read, a nesting can't go on for ever.
        if reached.get(&digest).is_some_and(|before| *before || !is_manifest) {
            continue;
        }
        reached.insert(digest.clone(), is_manifest);
        let document =
            if is_manifest { manifest(store, &digest, present)? } else { document(store, &digest, present) };
        todo.extend(document.iter().flat_map(references));
        let referring = referrers.get(&digest).into_iter().flatten();
        todo.extend(referring.map(|digest| Link { digest: digest.clone(), is_manifest: false }));
    }
    Ok(reached.into_keys().collect())
}

/// What a document refers to.
struct Link {
    digest: Digest,
    /// For sure; anything else may be one, too.
    is_manifest: bool,
}

/// A manifest that is needed. An index may list what was never fetched; but if one that is here can't be read, what
/// it needs can't be told from garbage, and nothing may go.
fn manifest(
    store: &Store,
    digest: &Digest,
    present: &BTreeMap<Digest, u64>,
) -> Result<Option<Value>, StoreError> {
    if !present.contains_key(digest) {
        return Ok(None);
    }
    let path = store.blob_path(digest);
    let bytes = read_bounded(&path, MAX_MANIFEST).map_err(doing("reading", &path))?;
    let damaged = |why: String| StoreError::Damaged { path: path.clone(), why };
    let mut digester = Digester::new(digest.algorithm());
    digester.update(&bytes);
    let found = digester.finish();
    if found != *digest {
        return Err(damaged(format!("its bytes have the digest `{found}`")));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(error.to_string()))
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

/// A blob as JSON, if it is small enough to be a document and looks like one. Not verified: to whom it isn't known to
/// be a manifest, a wrong one can only make keep too much.
fn document(store: &Store, digest: &Digest, present: &BTreeMap<Digest, u64>) -> Option<Value> {
    present.get(digest).filter(|size| **size <= MAX_DOCUMENT)?;
    let path = store.blob_path(digest);
    let mut first = [0];
    open_regular(&path).ok()?.read_exact(&mut first).ok()?;
    if first != *b"{" && !first[0].is_ascii_whitespace() {
        return None;
    }
    serde_json::from_slice(&read_bounded(&path, MAX_DOCUMENT).ok()?).ok()
}

fn references(document: &Value) -> Vec<Link> {
    let lists = ["manifests", "layers", "blobs"];
    let listed = lists.iter().filter_map(|key| document.get(key)?.as_array()).flatten();
    // An entry of a ledger has `image`, and `previous`: what leads to a ledger's end keeps all of it.
    let single = ["config", "subject", "image", "previous"].iter().filter_map(|key| document.get(key));
    let link = |descriptor: &Value| {
        let media_type = descriptor.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        Some(Link { digest: digest_in(descriptor)?, is_manifest: MANIFESTS.contains(&media_type) })
    };
    listed.chain(single).filter_map(link).collect()
}

fn digest_in(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}
