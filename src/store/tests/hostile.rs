//! A store that somebody else has written.

use super::*;

const REF: &str = "org.opencontainers.image.ref.name";

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    assert!(matches!(Store::open(dir.path()), Err(StoreError::NotAStore { .. })));
    assert_eq!(sorted_entries(dir.path()).unwrap().len(), 1);
    assert!(Store::open(&dir.path().join("letter.txt")).is_err());
}

#[test]
fn a_half_made_store_is_finished() {
    for there in [&["lith"][..], &["lith", "blobs"], &["blobs"]] {
        let dir = tempfile::tempdir().unwrap();
        for folder in there {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let store = Store::open(dir.path()).unwrap();
        assert!(store.tags().unwrap().is_empty());
        assert!(fsck::check(&store, 1).unwrap().is_empty());
    }
}

#[test]
fn a_huge_index_is_not_read() {
    let (_dir, store) = store();
    fs::File::options().write(true).open(store.index_path()).unwrap().set_len(1 << 40).unwrap();
    assert!(store.tags().is_err());
    assert!(!fsck::check(&store, 1).unwrap().is_empty());
}

#[test]
fn a_deeply_nested_index_is_an_error() {
    let (_dir, store) = store();
    let deep = format!(r#"{{"manifests":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    fs::write(store.index_path(), deep).unwrap();
    assert!(store.tags().is_err());
}

#[test]
fn descriptors_that_no_file_can_have_are_refused() {
    let (_dir, store) = store();
    for (digest, size) in [
        ("sha256:../../../../etc/passwd", "1"),
        ("sha256:..", "1"),
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "0"),
        ("", "0"),
        ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "-1"),
        ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "1e99"),
        ("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "18446744073709551616"),
    ] {
        let index = format!(
            r#"{{"manifests":[{{"mediaType":"a/b","digest":"{digest}","size":{size},"annotations":{{"{REF}":"app"}}}}]}}"#
        );
        fs::write(store.index_path(), &index).unwrap();
        assert!(store.resolve(&name("app")).is_err(), "{index}");
        assert!(store.tags().is_err(), "{index}");
        assert!(!fsck::check(&store, 1).unwrap().is_empty(), "{index}");
        assert!(store.resolve(&name("other")).unwrap().is_none(), "one bad entry doesn't hide the others");
        assert!(store.untag(&name("app")).unwrap(), "the way out");
        assert!(fsck::check(&store, 1).unwrap().is_empty());
    }
}

#[test]
fn a_descriptor_can_not_ask_for_memory() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    let huge = Descriptor::new(MediaType::ImageConfig, u64::MAX, oci_spec::image::Digest::from(&digest));
    assert!(matches!(store.read_blob(&huge, 1 << 20), Err(StoreError::TooLarge { .. })));
    assert!(store.read_blob(&huge, u64::MAX).is_err());
}

#[test]
fn names_with_control_characters_are_none() {
    let (_dir, store) = store();
    let digest = store.put(b"{}").unwrap();
    let index = format!(
        r#"{{"manifests":[{{"mediaType":"a/b","digest":"{digest}","size":2,"annotations":{{"{REF}":"app\u001b[2J","x\u0000":"\u0007"}}}}]}}"#
    );
    fs::write(store.index_path(), index).unwrap();
    assert!(store.tags().unwrap().is_empty());
    store.tag(&name("app"), &descriptor(b"{}")).unwrap();
    assert_eq!(store.roots().unwrap().len(), 2);
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let (_dir, store) = store();
    let path = store.blob_path(&Digest::of(b"hello"));
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    assert!(!store.has(&Digest::of(b"hello")));
    assert!(store.open_blob(&descriptor(b"hello")).is_err());
    let problems = fsck::check(&store, 1).unwrap();
    assert!(problems.iter().all(|problem| problem.what == fsck::What::NotAFile), "{problems:?}");
    let root = store.root().to_owned();
    drop(store);
    gc::collect(&root, &gc::Options::default()).unwrap();
    let store = Store::open(&root).unwrap();
    store.put(b"hello").unwrap();
    assert_eq!(store.read_blob(&descriptor(b"hello"), 5).unwrap(), b"hello", "it was replaced");
}

#[test]
fn stray_files_among_the_blobs_are_told_of() {
    let (_dir, store) = store();
    fs::write(store.root().join("blobs/sha256/.tmp"), b"").unwrap();
    fs::write(store.root().join("blobs/README"), b"").unwrap();
    let problems = fsck::check(&store, 2).unwrap();
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|problem| problem.what == fsck::What::NotABlob), "{problems:?}");
    assert_eq!(fsck::quarantine(&store, &problems).unwrap(), 2);
    assert!(fsck::check(&store, 1).unwrap().is_empty());
}

#[test]
fn what_is_no_file_is_put_aside() {
    let (_dir, store) = store();
    let path = store.blob_path(&Digest::of(b"hello"));
    let aside = store.private("quarantine").join(path.file_name().unwrap());
    // Twice, as the first one put aside must not be in the way of the second.
    for _ in 0..2 {
        fs::create_dir(&path).unwrap();
        fs::write(path.join("f"), b"").unwrap();
        assert!(store.put(b"hello").is_err());
        let problems = fsck::check(&store, 1).unwrap();
        assert!(matches!(&problems[..], [fsck::Problem { what: fsck::What::NotAFile, .. }]), "{problems:?}");
        assert_eq!(fsck::quarantine(&store, &problems).unwrap(), 1);
        assert!(fsck::check(&store, 1).unwrap().is_empty() && aside.join("f").exists());
    }
    std::os::unix::fs::symlink("/nowhere", &path).unwrap();
    let problems = fsck::check(&store, 1).unwrap();
    assert_eq!((problems.len(), fsck::quarantine(&store, &problems).unwrap()), (1, 1));
    store.put(b"hello").unwrap();
    assert!(fsck::check(&store, 1).unwrap().is_empty());
}

#[test]
fn nothing_is_removed_through_a_link() {
    let (dir, store) = store();
    let outside = dir.path().join("outside");
    fs::create_dir_all(outside.join("a/b")).unwrap();
    fs::write(outside.join("a/b/precious"), b"x").unwrap();
    let root = store.root().to_owned();
    drop(store);
    for name in ["memo/layer/00", "memo/layer", "memo", "stat", "quarantine", "tmp"] {
        let link = root.join("lith").join(name);
        drop(fs::remove_dir_all(&link));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        gc::collect(&root, &gc::Options::default()).unwrap();
        assert!(outside.join("a/b/precious").exists(), "{name}");
    }
}
