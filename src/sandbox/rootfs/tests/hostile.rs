//! Layers and neighbours that mean harm.

use std::os::unix::fs::symlink as make_symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn what_is_in_the_way_is_never_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, outside) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "theirs").unwrap();
    for (stands, wanted) in [("d", "d/f"), ("d", "d/new"), ("f", "f"), ("d", "d")] {
        fs::create_dir(&folder).unwrap();
        let target = if stands == "d" { outside.clone() } else { outside.join("f") };
        make_symlink(target, folder.join(stands)).unwrap();
        assert!(unpack(&puts([(wanted, file("ours"))]), &folder, Disk::SINGLE).is_err(), "{wanted}");
        remove(&folder).unwrap();
    }
    assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), "theirs");
    assert!(!outside.join("new").exists());
    make_symlink(&outside, &folder).unwrap();
    assert!(unpack(&puts([("new", file(""))]), &folder, Disk::SINGLE).is_err(), "the folder itself a link");
}

#[test]
fn links_out_of_the_root_are_data() {
    let dir = tempfile::tempdir().unwrap();
    let changes = puts([("l", symlink("/etc")), ("m", symlink("../../../etc/passwd"))]);
    unpack(&changes, dir.path(), Disk::SINGLE).unwrap();
    assert_eq!(fs::read_link(dir.path().join("m")).unwrap(), Path::new("../../../etc/passwd"));
    let below = tree(&changes);
    let through = puts([("l/passwd", file("ours"))]);
    let completed = complete(&through, &below, Epoch::ZERO).unwrap();
    assert!(completed.changes.puts[&path("l")].is_dir(), "what stands below it makes a folder of it");
    let hard = puts([("h", node(0o644, Kind::Hardlink(path("etc/passwd"))))]);
    assert!(!complete(&hard, &below, Epoch::ZERO).unwrap().changes.puts.contains_key(&path("h")));
    assert!(
        unpack(&puts([("h2", node(0o644, Kind::Hardlink(path("l/passwd"))))]), dir.path(), Disk::SINGLE)
            .is_err()
    );
}

#[test]
fn overlayfs_is_told_nothing_by_a_layer() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = dir_with("user.overlay.redirect", "/../../etc");
    folder.meta.xattrs.insert(b"trusted.overlay.opaque".to_vec(), b"y".to_vec());
    folder.meta.xattrs.insert(b"user.kept".to_vec(), b"1".to_vec());
    let mut copy = file("x");
    copy.meta.xattrs.insert(b"user.overlay.metacopy".to_vec(), Vec::new());
    let fake = node(0o644, Kind::CharDevice { major: 0, minor: 0 });
    let notes =
        unpack(&puts([("d", folder), ("d/f", copy), ("d/w", fake)]), dir.path(), Disk::SINGLE).unwrap();
    assert_eq!(notes.iter().count(), 1, "the device");
    let raw = look(dir.path(), Disk::SINGLE).unwrap();
    assert!(raw.opaques.is_empty() && raw.whiteouts.is_empty());
    let kept: Vec<_> = raw.puts[&path("d")].meta.xattrs.keys().cloned().collect();
    assert_eq!(kept, [b"user.kept".to_vec()]);
}

fn dir_with(name: &str, value: &str) -> Node {
    let mut node = dir(0o755);
    node.meta.xattrs.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
    node
}

/// A neighbour who swaps a folder for a link, again and again, while `work` is done.
fn while_swapped(folder: &Path, outside: &Path, mut work: impl FnMut()) {
    let (stop, spare) = (AtomicBool::new(false), folder.with_extension("spare"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _lost = fs::rename(folder, &spare);
                let _lost = make_symlink(outside, folder);
                let _lost = fs::remove_file(folder);
                let _lost = fs::rename(&spare, folder);
            }
        });
        for _ in 0..200 {
            work();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_swapped_folder_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "theirs").unwrap();
    let layer = puts((0..20).map(|n| (format!("d/f{n}"), file("ours"))));
    while_swapped(&root.join("d"), &outside, || {
        fs::create_dir_all(&root).unwrap();
        let _may_fail = unpack(&layer, &root, Disk::SINGLE);
        let _may_fail = collect(&root, Disk::SINGLE, Epoch::ZERO);
        let _may_fail = settle(
            &root,
            &Settle { remove: [path("d/precious"), path("d/f1")].into(), whiteouts: [path("d/w")].into() },
            Epoch::ZERO,
        );
        let _may_fail = remove(&root);
    });
    assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "theirs");
    assert_eq!(outside.join("precious").parent().map(names_in), Some(vec!["precious".into()]));
}

#[expect(clippy::disallowed_methods, reason = "sorted here")]
fn names_in(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}
