//! Checking the store: everything that can be recomputed is.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::blob::hash_file;
use super::files::remove;
use super::{MAX_DOCUMENT, Store, StoreError, doing, make_folder, own_entries, stat_cache};
use crate::oci::{Descriptor, Digest};
use crate::parallel;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub path: PathBuf,
    pub what: What,
}

/// What is wrong with a file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A blob whose bytes have another digest than its name.
    WrongDigest { found: Digest },
    /// A file among the blobs whose name is no digest.
    NotABlob,
    /// Something else than a file stands where a blob should be.
    NotAFile,
    /// A blob that can't be read.
    Unreadable(String),
    /// A blob that `by` refers to is not there, or is of another size.
    Missing { digest: String, by: String },
    /// A document that says something that can't be.
    Malformed(String),
    /// An entry of the memo or a stat cache that is not as it was written.
    DamagedMemo,
}

impl What {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::WrongDigest { .. } | Self::NotAFile => {
                "put it aside, then build or fetch again the images that need it"
            }
            Self::NotABlob => "put it aside, if no other tool is just writing it",
            Self::Unreadable(_) => "check the disk and the permissions",
            Self::Missing { .. } => "build or fetch the image again, or remove its name",
            Self::Malformed(_) => "restore the file, or remove what refers to it",
            Self::DamagedMemo => "put it aside; it is made again when it is needed",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongDigest { found } => write!(f, "its bytes have the digest `{found}`"),
            Self::NotABlob => write!(f, "its name is no digest"),
            Self::NotAFile => write!(f, "it is not a regular file"),
            Self::Unreadable(error) => write!(f, "it can't be read: {error}"),
            Self::Missing { digest, by } => {
                write!(f, "`{digest}`, which {by} needs, is missing or of another size")
            }
            Self::Malformed(why) => write!(f, "it is malformed: {why}"),
            Self::DamagedMemo => write!(f, "the memo is damaged"),
        }
    }
}

/// Recomputes every digest and follows every reference, on `threads` threads. Takes nothing away.
pub fn check(store: &Store, threads: usize) -> Result<Vec<Problem>, StoreError> {
    let blobs = store.blob_files()?;
    let problems = Mutex::new(Vec::new());
    let Ok(()) = parallel::each(&blobs, threads, |(path, digest)| {
        if let Some(what) = check_blob(path, digest.as_ref()) {
            let problem = Problem { path: path.clone(), what };
            problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
        Ok::<_, Infallible>(())
    });
    let mut problems = problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    check_references(store, &mut problems);
    problems.extend(damaged_memos(store)?.into_iter().map(|path| Problem { path, what: What::DamagedMemo }));
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(problems)
}

/// Moves the blobs that are not what their names say out of the way, to `lith/quarantine`, and damaged memos with
/// them. What refers to the blobs is then missing them, which a build or a copy mends.
pub fn quarantine(store: &Store, problems: &[Problem]) -> Result<usize, StoreError> {
    let folder = store.private("quarantine");
    let bad = |problem: &&Problem| {
        use What::{DamagedMemo, NotABlob, NotAFile, WrongDigest};
        matches!(problem.what, WrongDigest { .. } | NotAFile | NotABlob | DamagedMemo)
            && problem.path.starts_with(store.root())
    };
    let mut moved = 0;
    for problem in problems.iter().filter(bad) {
        make_folder(&folder).map_err(doing("making", &folder))?;
        let name = problem.path.file_name().expect("a file in a folder");
        let aside = folder.join(name);
        // A folder that was put aside before would stay in the way.
        remove(&aside).map_err(doing("removing", &aside))?;
        match fs::rename(&problem.path, aside) {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => {
                result.map_err(doing("moving", &problem.path))?;
                moved += 1;
            }
        }
    }
    Ok(moved)
}

fn check_blob(path: &Path, expected: Option<&Digest>) -> Option<What> {
    let Some(expected) = expected else { return Some(What::NotABlob) };
    if !path.metadata().is_ok_and(|metadata| metadata.is_file()) && path.symlink_metadata().is_ok() {
        return Some(What::NotAFile);
    }
    match hash_file(path, expected.algorithm()) {
        Ok(found) if found == *expected => None,
        Ok(found) => Some(What::WrongDigest { found }),
        Err(error) => Some(What::Unreadable(error.to_string())),
    }
}

fn damaged_memos(store: &Store) -> Result<Vec<PathBuf>, StoreError> {
    let memos = store.memo_entries()?.into_iter().filter(|(_, needs)| needs.is_none());
    let folder = store.private("stat");
    let caches = own_entries(&folder).map_err(doing("reading", &folder))?.into_iter();
    let caches = caches.filter(|path| stat_cache::context_of(path).is_none());
    Ok(memos.map(|(path, _)| path).chain(caches).collect())
}

fn check_references(store: &Store, problems: &mut Vec<Problem>) {
    let roots = match store.roots() {
        Ok(roots) => roots,
        Err(error) => {
            problems.push(Problem { path: store.index_path(), what: What::Malformed(error.to_string()) });
            return;
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut todo: Vec<(Descriptor, PathBuf)> =
        roots.into_iter().map(|descriptor| (descriptor, store.index_path())).collect();
    while let Some((descriptor, by)) = todo.pop() {
        if !seen.insert((descriptor.digest().to_string(), descriptor.size())) {
            continue;
        }
        match references(store, &descriptor) {
            Ok((path, found)) => todo.extend(found.into_iter().map(|descriptor| (descriptor, path.clone()))),
            Err(what) => problems.push(Problem {
                path: by.clone(),
                what: what.unwrap_or_else(|| What::Missing {
                    digest: descriptor.digest().to_string(),
                    by: by.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
                }),
            }),
        }
    }
}

/// What a document refers to; nothing for a blob that is none. `Err(None)` if it isn't there.
fn references(store: &Store, descriptor: &Descriptor) -> Result<(PathBuf, Vec<Descriptor>), Option<What>> {
    let malformed = |why: String| Some(What::Malformed(why));
    let digest = Digest::try_from(descriptor.digest()).map_err(|error| malformed(error.to_string()))?;
    let path = store.blob_path(&digest);
    let Some(size) = store.size_of(&digest) else {
        // A foreign layer is to be had elsewhere, and need not be here.
        let foreign = descriptor.urls().as_ref().is_some_and(|urls| !urls.is_empty());
        return if foreign { Ok((path, Vec::new())) } else { Err(None) };
    };
    if size != descriptor.size() {
        return Err(None);
    }
    let media_type = descriptor.media_type().to_string();
    if size > MAX_DOCUMENT || !(media_type.contains("manifest") || media_type.contains("index")) {
        return Ok((path, Vec::new()));
    }
    // A blob with a wrong digest was told of already.
    let Ok(bytes) = store.read_blob(descriptor, MAX_DOCUMENT) else { return Ok((path, Vec::new())) };
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| malformed(format!("{digest}: {error}")))?;
    let listed = ["manifests", "layers"].iter().filter_map(|key| value.get(key)?.as_array()).flatten();
    let parse = |value: &Value| {
        serde_json::from_value(value.clone()).map_err(|e| malformed(format!("{digest}: {e}")))
    };
    let found = listed.chain(value.get("config")).map(parse).collect::<Result<Vec<_>, _>>()?;
    Ok((path, found))
}
