mod garbage;
mod hostile;
mod outside;
mod roots;
mod stat_cache;

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::oci::Reference;

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
fn a_name_that_stands_for_the_image_already_is_not_written_again() {
    let (_dir, store) = store();
    store.put(b"a").unwrap();
    store.put(b"b").unwrap();
    let index = || store.index_path().metadata().unwrap().ino();
    store.tag(&name("app"), &descriptor(b"a")).unwrap();
    let before = index();
    store.tag(&name("app:latest"), &descriptor(b"a")).unwrap();
    assert_eq!(index(), before);
    store.tag(&name("app"), &descriptor(b"b")).unwrap();
    assert_ne!(index(), before);
    assert_eq!(store.resolve(&name("app")).unwrap().unwrap().digest(), descriptor(b"b").digest());
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
    assert!(matches!(store.tag(&name("app"), &descriptor(b"{ }")), Err(StoreError::Missing(_))));
    store.put(b"{ }").unwrap();
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
    store.put(b"{}").unwrap();
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

#[test]
fn blobs_by_sha512_are_kept_and_checked() {
    let (_dir, store) = store();
    let mut digester = crate::oci::Digester::new(crate::oci::Algorithm::Sha512);
    digester.update(b"hello");
    let digest = digester.finish();
    let expected = Descriptor::new(MediaType::ImageLayer, 5, oci_spec::image::Digest::from(&digest));
    for (bytes, fits) in [(&b"hallo"[..], false), (b"hello", true)] {
        let mut writer = store.writer().unwrap();
        writer.write_all(bytes).unwrap();
        assert_eq!(writer.finish_expecting(&expected).is_ok(), fits);
        assert_eq!(store.has(&digest), fits);
    }
    assert_eq!(store.read_blob(&expected, 5).unwrap(), b"hello");
    assert!(fsck::check(&store, 1).unwrap().is_empty());
    fs::write(store.blob_path(&digest), b"hallo").unwrap();
    assert!(store.read_blob(&expected, 5).is_err());
    assert_eq!(fsck::check(&store, 1).unwrap().len(), 1);
}

#[test]
fn a_reader_that_stops_at_the_size_has_verified() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    fs::write(store.blob_path(&digest), b"hellO").unwrap();
    let mut reader = store.open_blob(&descriptor(b"hello")).unwrap();
    let mut whole = [0; 5];
    let error = reader.read_exact(&mut whole).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn short_names_of_other_tools_are_understood() {
    let (_dir, store) = store();
    let digest = store.put(b"{}").unwrap();
    let entry = |name: &str| {
        format!(
            r#"{{"mediaType":"a/b","digest":"{digest}","size":2,"annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}"#
        )
    };
    let index = format!(r#"{{"manifests":[{},{},{}]}}"#, entry("app"), entry("No Name"), entry("app:latest"));
    fs::write(store.index_path(), index).unwrap();
    assert!(store.resolve(&name("docker.io/library/app")).unwrap().is_some());
    store.tag(&name("app"), &descriptor(b"{}")).unwrap();
    assert_eq!(store.tags().unwrap().len(), 1, "one name, however it is written");
    assert_eq!(store.roots().unwrap().len(), 2, "what is no name of ours stays");
    assert!(store.untag(&name("app")).unwrap());
    assert!(store.tags().unwrap().is_empty());
}

#[test]
fn a_name_with_a_digest_is_that_blobs_only() {
    let (_dir, store) = store();
    let (one, two) = (store.put(b"{}").unwrap(), store.put(b"{ }").unwrap());
    let pinned = name(&format!("app@{one}"));
    assert!(matches!(store.tag(&pinned, &descriptor(b"{ }")), Err(StoreError::OtherDigest { .. })));
    store.tag(&pinned, &descriptor(b"{}")).unwrap();
    assert_eq!(store.resolve(&pinned).unwrap(), Some(descriptor(b"{}")));
    let index = fs::read_to_string(store.index_path()).unwrap();
    let digest = format!(r#""digest":"{one}""#);
    fs::write(store.index_path(), index.replace(&digest, &format!(r#""digest":"{two}""#))).unwrap();
    assert!(matches!(store.resolve(&pinned), Err(StoreError::Damaged { .. })));
}
