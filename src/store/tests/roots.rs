//! Unpacked layers.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::files::remove;
use super::super::roots::{Key, Mode};
use super::*;
use crate::oci::DiffId;

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
    blob: Digest,
    diff_id: DiffId,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let blob = store.put(b"layer").unwrap();
        let diff_id = DiffId::from_uncompressed(blob.clone());
        Self { _dir: dir, store, blob, diff_id }
    }

    fn key(&self) -> Key<'_> {
        Key { diff_id: &self.diff_id, blob: &self.blob, context: None }
    }
}

fn fill(folder: &Path) -> Result<(), StoreError> {
    fs::write(folder.join("f"), "f").unwrap();
    Ok(())
}

fn unwanted(_: &Path) -> Result<(), StoreError> {
    panic!("made twice")
}

#[test]
fn made_once_even_if_several_want_it() {
    let fixture = Fixture::new();
    let made = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let roots = fixture.store.unpacked(&Mode::real()).unwrap();
                let path = roots.get_or_make(&fixture.key(), |folder| {
                    made.fetch_add(1, Ordering::Relaxed);
                    fill(folder)
                });
                assert!(path.unwrap().join("f").exists());
            });
        }
    });
    assert_eq!(made.into_inner(), 1);
    let other = fixture.store.unpacked(&Mode::single()).unwrap();
    assert!(other.get(&fixture.key()).is_none(), "modes are apart");
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let elsewhere = Key { context: Some("0123"), ..fixture.key() };
    assert!(roots.get(&elsewhere).is_none(), "contexts are apart");
    assert_ne!(Mode::mapped(&[[0, 1000, 1]], &[]), Mode::mapped(&[[0, 1001, 1]], &[]));
}

#[test]
fn what_failed_has_no_name() {
    let fixture = Fixture::new();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let failed = roots.get_or_make(&fixture.key(), |folder| {
        fill(folder)?;
        Err(StoreError::Missing(fixture.blob.clone()))
    });
    assert!(failed.is_err());
    assert!(roots.get(&fixture.key()).is_none());
    let dead = fixture.store.root().join("lith/roots/real/dead");
    assert_eq!(own_entries(&dead).unwrap().len(), 1);
    roots.sweep(&remove).unwrap();
    assert_eq!(own_entries(&dead).unwrap().len(), 0);
    roots.get_or_make(&fixture.key(), fill).unwrap();
}

#[test]
fn a_steps_folder_is_adopted() {
    let fixture = Fixture::new();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let staged = roots.stage().unwrap();
    fill(&staged.fs()).unwrap();
    fs::create_dir_all(staged.work().join("work")).unwrap();
    let path = roots.adopt(staged, &fixture.key(), &remove).unwrap();
    assert!(path.join("f").exists() && !path.with_file_name("work").exists());
    assert_eq!(roots.get_or_make(&fixture.key(), unwanted).unwrap(), path);
    // One that is there already stays.
    let second = roots.stage().unwrap();
    assert_eq!(roots.adopt(second, &fixture.key(), &remove).unwrap(), path);
    assert!(path.join("f").exists());
}

#[test]
fn what_is_not_whole_or_of_another_boot_is_made_again() {
    let fixture = Fixture::new();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let path = roots.get_or_make(&fixture.key(), fill).unwrap();
    for damage in [&b""[..], b"lithmem3 but nothing more"] {
        fs::write(path.with_file_name("record"), damage).unwrap();
        assert!(roots.get(&fixture.key()).is_none());
        roots.get_or_make(&fixture.key(), fill).unwrap();
    }
    #[derive(serde::Serialize)]
    struct Record {
        blobs: Vec<Digest>,
        boot: Vec<u8>,
    }
    let record = Record { blobs: vec![fixture.blob.clone()], boot: b"another".to_vec() };
    let temporaries = fixture.store.temp_folder();
    crate::store::memo::write(&temporaries, &path.with_file_name("record"), &record).unwrap();
    assert!(roots.get(&fixture.key()).is_none());
}

#[test]
fn a_kill_leaves_nothing_that_counts() {
    let fixture = Fixture::new();
    let root = fixture.store.root().to_owned();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let staged = roots.stage().unwrap();
    fill(&staged.fs()).unwrap();
    std::mem::forget(staged);
    let work = root.join("lith/roots/real/work");
    // Somebody else has the store open: it may be theirs.
    drop(Store::open(&root).unwrap());
    assert_eq!(own_entries(&work).unwrap().len(), 1);
    drop(fixture.store);
    drop(Store::open(&root).unwrap());
    assert_eq!(own_entries(&work).unwrap().len(), 0);
    assert_eq!(own_entries(&root.join("lith/roots/real/dead")).unwrap().len(), 0);
}

#[test]
fn collected_with_the_blob() {
    let fixture = Fixture::new();
    let root = fixture.store.root().to_owned();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let path = roots.get_or_make(&fixture.key(), fill).unwrap();
    fixture.store.remember_with("layer", "key", &(), vec![fixture.blob.clone()]).unwrap();
    let key = (fixture.diff_id.clone(), fixture.blob.clone());
    drop(fixture.store);
    let keep = gc::Options { keep_cache: true, ..Default::default() };
    gc::collect(&root, &keep).unwrap();
    assert!(path.join("f").exists());
    let dry = gc::Options { dry_run: true, ..Default::default() };
    assert_eq!(gc::collect(&root, &dry).unwrap().roots, 1);
    assert!(path.join("f").exists());
    let refused = gc::collect_with(&root, &gc::Options { keep_cache: true, ..dry }, &|_| unreachable!());
    assert!(refused.is_ok());
    let denied = |_: &Path| Err(std::io::ErrorKind::PermissionDenied.into());
    assert_eq!(gc::collect_with(&root, &gc::Options::default(), &denied).unwrap().roots_left, 1);
    let store = Store::open(&root).unwrap();
    let left = Key { diff_id: &key.0, blob: &key.1, context: None };
    assert!(store.unpacked(&Mode::real()).unwrap().get(&left).is_none(), "it may be half gone");
    drop(store);
    gc::collect(&root, &gc::Options::default()).unwrap();
    assert!(!path.exists());
}

#[test]
fn long_unused_goes() {
    let fixture = Fixture::new();
    let root = fixture.store.root().to_owned();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let path = roots.get_or_make(&fixture.key(), fill).unwrap();
    fixture.store.remember_with("layer", "key", &(), vec![fixture.blob.clone()]).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let record = fs::File::options().write(true).open(path.with_file_name("record")).unwrap();
    record.set_modified(long_ago).unwrap();
    drop(fixture.store);
    gc::collect(&root, &gc::Options { keep_cache: true, ..Default::default() }).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_layer_in_two_compressions_has_one_folder() {
    let fixture = Fixture::new();
    let root = fixture.store.root().to_owned();
    let roots = fixture.store.unpacked(&Mode::real()).unwrap();
    let path = roots.get_or_make(&fixture.key(), fill).unwrap();
    let smaller = fixture.store.put(b"layer, smaller").unwrap();
    let other = Key { blob: &smaller, ..fixture.key() };
    // A step may have it mounted: it is not to be replaced.
    assert_eq!(roots.get_or_make(&other, unwanted).unwrap(), path);
    assert_eq!(roots.get_or_make(&fixture.key(), unwanted).unwrap(), path);
    // It stays with either.
    fixture.store.remember_with("layer", "key", &(), vec![smaller.clone()]).unwrap();
    drop(fixture.store);
    gc::collect(&root, &gc::Options { keep_cache: true, ..Default::default() }).unwrap();
    assert!(path.join("f").exists());
    gc::collect(&root, &gc::Options::default()).unwrap();
    assert!(!path.exists());
}
