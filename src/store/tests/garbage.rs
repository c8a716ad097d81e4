//! What garbage collection takes and leaves, and what a check finds.

use super::stat_cache::stat;
use super::*;
use crate::store::stat_cache::{Moment, StatCache};
use crate::tree::Fingerprint;

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
fn nothing_goes_when_a_manifest_can_not_be_read() {
    for damage in [&b"{}"[..], b"", b"not JSON"] {
        let (_dir, store, needed, _) = furnished();
        let manifest = store.blob_path(&needed[2]);
        fs::write(&manifest, damage).unwrap();
        let root = store.root().to_owned();
        drop(store);
        let error = gc::collect(&root, &gc::Options::default()).unwrap_err();
        assert!(error.to_string().contains(needed[2].hex()), "{error}");
        let store = Store::open(&root).unwrap();
        assert!(needed.iter().all(|digest| store.has(digest)));
    }
}

#[test]
fn a_lost_index_makes_no_garbage() {
    let (_dir, store, needed, _) = furnished();
    let root = store.root().to_owned();
    fs::remove_file(store.index_path()).unwrap();
    drop(store);
    assert!(gc::collect(&root, &gc::Options::default()).is_err());
    let store = Store::open(&root).unwrap();
    assert!(needed.iter().all(|digest| store.has(digest)));
    assert!(!fsck::check(&store, 1).unwrap().is_empty());
}

#[test]
fn an_index_is_followed_and_need_not_be_whole() {
    let (_dir, store, needed, _) = furnished();
    let absent = Digest::of(b"never fetched");
    let entry = |digest: &Digest, size: u64| {
        format!(r#"{{"mediaType":"{}","digest":"{digest}","size":{size}}}"#, MediaType::ImageManifest)
    };
    let size = store.size_of(&needed[2]).unwrap();
    let mut inner = format!(r#"{{"manifests":[{},{}]}}"#, entry(&needed[2], size), entry(&absent, 9));
    for _ in 0..200 {
        let digest = store.put(inner.as_bytes()).unwrap();
        let index = MediaType::ImageIndex;
        inner = format!(
            r#"{{"manifests":[{{"mediaType":"{index}","digest":"{digest}","size":{}}}]}}"#,
            inner.len()
        );
    }
    store.put(inner.as_bytes()).unwrap();
    let mut top = descriptor(inner.as_bytes());
    top.set_media_type(MediaType::ImageIndex);
    store.tag(&name("many"), &top).unwrap();
    store.untag(&name("app")).unwrap();
    let root = store.root().to_owned();
    drop(store);
    assert_eq!(gc::collect(&root, &gc::Options::default()).unwrap().blobs.len(), 1);
    let store = Store::open(&root).unwrap();
    assert!(needed.iter().all(|digest| store.has(digest)));
    let problems = fsck::check(&store, 2).unwrap();
    assert!(
        matches!(&problems[..], [fsck::Problem { what: fsck::What::Missing { .. }, .. }]),
        "{problems:?}"
    );
}

#[test]
fn damaged_memos_and_caches_of_lost_contexts_go() {
    let (dir, store, ..) = furnished();
    let context = dir.path().join("context");
    fs::create_dir(&context).unwrap();
    let cache = StatCache::open(&store, &context);
    let file = context.join("f");
    fs::write(&file, b"x").unwrap();
    cache.put(b"f", stat(&file), Fingerprint([1; 32]), Moment::now());
    cache.save().unwrap();
    store.remember("kind", "key", &1u32).unwrap();
    assert!(fsck::check(&store, 1).unwrap().is_empty());
    fs::write(store.memo_path("kind", "key"), b"lithmem3 but no more").unwrap();
    let problems = fsck::check(&store, 1).unwrap();
    assert!(matches!(&problems[..], [fsck::Problem { what: fsck::What::DamagedMemo, .. }]), "{problems:?}");
    assert_eq!(fsck::quarantine(&store, &problems).unwrap(), 1);
    assert!(fsck::check(&store, 1).unwrap().is_empty());
    store.remember("kind", "key", &1u32).unwrap();
    fs::write(store.memo_path("kind", "key"), b"").unwrap();
    let root = store.root().to_owned();
    drop(store);
    let taken = gc::collect(&root, &gc::Options { keep_cache: true, ..Default::default() }).unwrap();
    assert_eq!((taken.memos, taken.leftovers), (1, 1), "the context is there; what was in quarantine goes");
    fs::remove_dir_all(&context).unwrap();
    assert_eq!(gc::collect(&root, &gc::Options::default()).unwrap().leftovers, 1);
}

#[test]
fn notes_of_uploads_go_when_no_registry_remembers_them() {
    let (_dir, store, ..) = furnished();
    let (root, uploads) = (store.root().to_owned(), store.uploads_folder());
    fs::create_dir(&uploads).unwrap();
    let (new, old) = (uploads.join("new"), uploads.join("old"));
    fs::write(&new, "http://r.test/1").unwrap();
    fs::write(&old, "http://r.test/2").unwrap();
    let file = File::options().write(true).open(&old).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    drop(store);
    assert_eq!(gc::collect(&root, &gc::Options::default()).unwrap().leftovers, 1);
    assert!(new.exists() && !old.exists());
}

#[test]
fn recorded_bytes_stay_until_somebody_says_so() {
    let (_dir, store, _, garbage) = furnished();
    let recorded = store.put(b"recorded").unwrap();
    store.remember_with(RECORDED, "key", &(), vec![recorded.clone()]).unwrap();
    let root = store.root().to_owned();
    drop(store);
    assert_eq!(gc::collect(&root, &gc::Options::default()).unwrap().blobs, [(garbage, 7)]);
    let options = gc::Options { recorded: true, ..Default::default() };
    let taken = gc::collect(&root, &options).unwrap();
    assert_eq!((taken.blobs, taken.memos), (vec![(recorded, 8)], 1));
}
