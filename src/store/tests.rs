use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::oci::Reference;
use crate::store::stat_cache::{Moment, StatCache};
use crate::tree::{Fingerprint, Stat};

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, store)
}

fn descriptor(bytes: &[u8]) -> Descriptor {
    let digest = oci_spec::image::Digest::from(&Digest::of(bytes));
    Descriptor::new(MediaType::ImageManifest, bytes.len() as u64, digest)
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

#[test]
fn blobs_come_back() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    assert!(store.has(&digest));
    assert_eq!(store.read_blob(&descriptor(b"hello"), 5).unwrap(), b"hello");
    assert!(matches!(store.read_blob(&descriptor(b"hello"), 4), Err(StoreError::TooLarge { .. })));
    assert!(matches!(store.read_blob(&descriptor(b"other"), 9), Err(StoreError::Missing(_))));
    assert_eq!(store.blob_path(&digest).metadata().unwrap().mode() & 0o777, 0o644);
}

#[test]
fn a_blob_is_written_once() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    let inode = store.blob_path(&digest).metadata().unwrap().ino();
    let mut writer = store.writer().unwrap();
    writer.write_all(b"hello").unwrap();
    assert_eq!(writer.finish().unwrap(), (digest.clone(), 5));
    assert_eq!(store.blob_path(&digest).metadata().unwrap().ino(), inode);
}

#[test]
fn what_was_not_expected_is_not_stored() {
    let (_dir, store) = store();
    for bytes in [&b"hell0"[..], b"hell", b"hello!"] {
        let mut writer = store.writer().unwrap();
        writer.write_all(bytes).unwrap();
        assert!(matches!(writer.finish_expecting(&descriptor(b"hello")), Err(StoreError::Mismatch { .. })));
        assert!(!store.has(&Digest::of(bytes)));
    }
    assert!(sorted_entries(&store.private("tmp")).unwrap().is_empty(), "a dropped writer leaves nothing");
}

#[test]
fn a_changed_blob_is_noticed_when_it_is_read() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    for wrong in [&b"hellO"[..], b"hell", b"hello!"] {
        fs::write(store.blob_path(&digest), wrong).unwrap();
        assert!(store.read_blob(&descriptor(b"hello"), 99).is_err(), "{wrong:?}");
        let problems = fsck::check(&store, 2).unwrap();
        assert!(matches!(problems[..], [fsck::Problem { what: fsck::What::WrongDigest { .. }, .. }]));
    }
    assert_eq!(fsck::quarantine(&store, &fsck::check(&store, 1).unwrap()).unwrap(), 1);
    assert!(fsck::check(&store, 1).unwrap().is_empty());
}

#[test]
fn names_are_set_moved_and_removed() {
    let (_dir, store) = store();
    store.put(b"{}").unwrap();
    store.tag(&name("app"), &descriptor(b"{}")).unwrap();
    store.tag(&name("app:2"), &descriptor(b"{}")).unwrap();
    store.tag(&name("app"), &descriptor(b"{ }")).unwrap();
    assert_eq!(store.tags().unwrap().len(), 2);
    assert_eq!(store.resolve(&name("app:latest")).unwrap(), Some(descriptor(b"{ }")));
    assert!(store.untag(&name("app")).unwrap());
    assert!(!store.untag(&name("app")).unwrap());
    assert_eq!(store.resolve(&name("app")).unwrap(), None);
}

#[test]
fn entries_of_other_tools_stay() {
    let (_dir, store) = store();
    let foreign = r#"{"schemaVersion":2,"x":[1],"manifests":[{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"annotations":{"k":"\u001b[2J"}}]}"#;
    fs::write(store.index_path(), foreign).unwrap();
    store.tag(&name("app"), &descriptor(b"{}")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&fs::read(store.index_path()).unwrap()).unwrap();
    assert_eq!(index["x"][0], 1);
    assert_eq!(index["manifests"][0]["annotations"]["k"], "\u{1b}[2J");
    assert_eq!(store.tags().unwrap().len(), 1);
    assert_eq!(store.roots().unwrap().len(), 2);
}

#[test]
fn a_hostile_index_is_an_error_and_stays_as_it_is() {
    let (_dir, store) = store();
    for index in [
        "",
        "[]",
        r#"{"manifests":{}}"#,
        r#"{"manifests":[{"mediaType":"a/b","digest":"sha256:../../../etc/passwd","size":1,"annotations":{"org.opencontainers.image.ref.name":"docker.io/library/app:latest"}}]}"#,
        r#"{"manifests":[{"mediaType":"a/b","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":-1,"annotations":{"org.opencontainers.image.ref.name":"docker.io/library/app:latest"}}]}"#,
    ] {
        fs::write(store.index_path(), index).unwrap();
        assert!(store.resolve(&name("app")).is_err(), "{index}");
        assert!(store.roots().is_err(), "{index}");
        assert_eq!(fs::read_to_string(store.index_path()).unwrap(), index);
        assert!(gc::collect(store.root(), &gc::Options { dry_run: true, ..Default::default() }).is_err());
    }
}

#[test]
fn a_folder_that_is_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"9.0.0"}"#).unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotAStore { .. })));
}

#[test]
fn the_memo_forgets_what_is_damaged_or_has_lost_its_blobs() {
    let (_dir, store) = store();
    assert_eq!(store.memo::<u32>("kind", "key"), None);
    store.remember("kind", "key", &7u32).unwrap();
    assert_eq!(store.memo::<u32>("kind", "key"), Some(7));
    assert_eq!(store.memo::<u32>("kind", "../key"), None);
    let path = store.memo_path("kind", "key");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(store.memo::<u32>("kind", "key"), None);
    fs::write(&path, b"").unwrap();
    assert_eq!(store.memo::<u32>("kind", "key"), None);

    let blob = store.put(b"blob").unwrap();
    store.remember_with("kind", "key", &8u32, vec![blob.clone()]).unwrap();
    assert_eq!(store.memo::<u32>("kind", "key"), Some(8));
    fs::remove_file(store.blob_path(&blob)).unwrap();
    assert_eq!(store.memo::<u32>("kind", "key"), None);
}

/// A store with a named image (manifest, config, layer, a referrer of it) and a blob that nothing needs.
fn furnished() -> (tempfile::TempDir, Store, Vec<Digest>, Digest) {
    let (dir, store) = store();
    let layer = store.put(b"layer").unwrap();
    let config = store.put(b"{\"os\":\"linux\"}").unwrap();
    let manifest = format!(
        r#"{{"config":{{"mediaType":"a/b","digest":"{config}","size":14}},"layers":[{{"mediaType":"a/b","digest":"{layer}","size":5}}]}}"#
    );
    let digest = store.put(manifest.as_bytes()).unwrap();
    store.tag(&name("app"), &descriptor(manifest.as_bytes())).unwrap();
    let referrer = store.put(format!(r#"{{"subject":{{"digest":"{digest}"}}}}"#).as_bytes()).unwrap();
    let garbage = store.put(b"garbage").unwrap();
    (dir, store, vec![layer, config, digest, referrer], garbage)
}

#[test]
fn garbage_is_what_nothing_needs() {
    let (_dir, store, needed, garbage) = furnished();
    store.remember_with("layer", "gone", &1u32, vec![garbage.clone()]).unwrap();
    store.remember_with("layer", "kept", &2u32, vec![needed[0].clone()]).unwrap();
    let root = store.root().to_owned();
    let dry = gc::Options { dry_run: true, ..Default::default() };
    assert_eq!(gc::collect(&root, &dry).unwrap().blobs, [(garbage.clone(), 7)]);
    assert!(store.has(&garbage));
    drop(store);
    let cache = gc::Options { keep_cache: true, ..Default::default() };
    assert!(gc::collect(&root, &cache).unwrap().blobs.is_empty());
    let taken = gc::collect(&root, &gc::Options::default()).unwrap();
    assert_eq!((taken.blobs, taken.memos), (vec![(garbage.clone(), 7)], 1));
    let store = Store::open(&root).unwrap();
    assert!(needed.iter().all(|digest| store.has(digest)));
    assert_eq!(store.memo::<u32>("layer", "kept"), Some(2));
    assert!(fsck::check(&store, 1).unwrap().is_empty());
    store.untag(&name("app")).unwrap();
    drop(store);
    assert_eq!(gc::collect(&root, &gc::Options::default()).unwrap().blobs.len(), 4);
}

#[test]
fn a_store_in_use_is_waited_for() {
    let (_dir, store, _, garbage) = furnished();
    let root = store.root().to_owned();
    let collector = std::thread::spawn(move || gc::collect(&root, &gc::Options::default()).unwrap());
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(store.has(&garbage) && !collector.is_finished());
    drop(store);
    assert_eq!(collector.join().unwrap().blobs.len(), 1);
}

#[test]
fn a_missing_blob_is_found() {
    let (_dir, store, needed, _) = furnished();
    fs::remove_file(store.blob_path(&needed[0])).unwrap();
    let problems = fsck::check(&store, 2).unwrap();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].what.to_string().contains(needed[0].hex()), "{}", problems[0].what);
}

#[test]
fn many_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let root = &root;
            scope.spawn(move || {
                for n in 0..8 {
                    let store = Store::open(root).unwrap();
                    let bytes = format!("{{\"n\":{}}}", n % 4);
                    store.put(bytes.as_bytes()).unwrap();
                    store.tag(&name(&format!("app:{thread}-{n}")), &descriptor(bytes.as_bytes())).unwrap();
                }
            });
        }
    });
    let store = Store::open(&root).unwrap();
    assert_eq!(store.tags().unwrap().len(), 16 * 8);
    assert!(fsck::check(&store, 2).unwrap().is_empty());
}

#[test]
fn what_a_killed_process_left_is_swept() {
    let (_dir, store) = store();
    let left = store.private("tmp").join("left");
    let root = store.root().to_owned();
    fs::write(&left, b"half a blob").unwrap();
    let other = Store::open(&root).unwrap();
    assert!(left.exists(), "another process may be writing it");
    drop((store, other));
    Store::open(&root).unwrap();
    assert!(!left.exists());
}

fn stat(path: &std::path::Path) -> Stat {
    Stat::from(&path.symlink_metadata().unwrap())
}

#[test]
fn a_settled_file_is_known_and_a_fresh_one_is_not() {
    let (dir, store) = store();
    let path = dir.path().join("f");
    fs::write(&path, b"one").unwrap();
    let fingerprint = Fingerprint([1; 32]);

    let cache = StatCache::open(&store, dir.path());
    cache.put(b"f", stat(&path), fingerprint, Moment::now());
    cache.save().unwrap();
    assert_eq!(
        StatCache::open(&store, dir.path()).get(b"f", &stat(&path)),
        None,
        "hashed in the tick of the write"
    );

    std::thread::sleep(std::time::Duration::from_millis(60));
    let cache = StatCache::open(&store, dir.path());
    cache.put(b"f", stat(&path), fingerprint, Moment::now());
    cache.save().unwrap();
    let cache = StatCache::open(&store, dir.path());
    assert_eq!(cache.get(b"f", &stat(&path)), Some(fingerprint));
    assert_eq!(cache.get(b"g", &stat(&path)), None);

    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"two").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(cache.get(b"f", &stat(&path)), None, "the same size and mtime, another ctime");
}

#[test]
fn what_is_not_seen_again_is_forgotten() {
    let (dir, store) = store();
    let path = dir.path().join("f");
    fs::write(&path, b"one").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let cache = StatCache::open(&store, dir.path());
    cache.put(b"f", stat(&path), Fingerprint([1; 32]), Moment::now());
    cache.save().unwrap();
    StatCache::open(&store, dir.path()).save().unwrap();
    assert_eq!(StatCache::open(&store, dir.path()).get(b"f", &stat(&path)), None);
}
