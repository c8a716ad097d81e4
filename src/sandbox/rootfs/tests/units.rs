//! Without mounting, and mostly by anybody.

use super::*;

#[test]
fn changes_go_through_a_pipe_as_they_are() {
    let mut changes = puts([
        ("", dir(0o700)),
        ("d", dir(0o1777)),
        ("d/f", file("text")),
        ("l", symlink("/anywhere")),
        ("p", node(0o600, Kind::Fifo)),
    ]);
    changes.puts.get_mut(&path("d/f")).unwrap().mtime = 1_700_000_000;
    changes.puts.get_mut(&path("d")).unwrap().mtime = -5;
    changes.whiteouts.insert(path("gone"));
    changes.opaques.insert(path("d"));
    let mut pipe = Vec::new();
    stream::write(&changes, &mut pipe).unwrap();
    let (_dir, store) = store();
    let read = stream::read(&pipe[..], &store).unwrap();
    assert_eq!(words(&tree(&read), true), words(&tree(&changes), true));
    assert_eq!((&read.whiteouts, &read.opaques), (&changes.whiteouts, &changes.opaques));
    let times = |changes: &Changes| changes.puts.values().map(|node| node.mtime).collect::<Vec<_>>();
    assert_eq!(times(&read), times(&changes));
}

#[test]
fn a_stream_unpacks_as_its_changes_do() {
    if !as_root() {
        return;
    }
    let mut changes = puts([("d", dir(0o711)), ("d/f", file("text")), ("d/l", symlink("f"))]);
    changes.whiteouts.insert(path("gone"));
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    unpack(&changes, &one, Disk::USER).unwrap();
    let mut pipe = Vec::new();
    stream::write(&changes, &mut pipe).unwrap();
    stream::unpack_stream(&pipe[..], tempfile::tempfile().unwrap(), &two, Disk::USER).unwrap();
    assert_eq!(all(&one, Disk::USER), all(&two, Disk::USER));
    assert!(stream::unpack_stream(&pipe[..700], tempfile::tempfile().unwrap(), &two, Disk::USER).is_err());
}

#[test]
fn one_id_for_all() {
    let mut owned = file("theirs");
    (owned.meta.uid, owned.meta.gid) = (1234, 5678);
    let mut moved = owned.clone();
    moved.meta.mode = 0o600;
    let below = tree(&puts([("a", owned.clone()), ("b", owned)]));
    let dir = tempfile::tempdir().unwrap();
    unpack(&complete(&puts([("a", moved)]), &below, Epoch::ZERO).unwrap().changes, dir.path(), Disk::SINGLE)
        .unwrap();
    fs::write(dir.path().join("new"), "").unwrap();
    let raw = collect(dir.path(), Disk::SINGLE, Epoch::ZERO).unwrap();
    let changes = reduce(raw, &below, Ids::Single, &[].into()).unwrap().changes;
    let owner = |name| (changes.puts[&path(name)].meta.uid, changes.puts[&path(name)].meta.gid);
    assert_eq!((owner("a"), owner("new")), ((1234, 5678), (0, 0)));
    assert_eq!(changes.puts.len(), 2);
}

#[test]
fn an_owner_that_cant_be_set_is_named() {
    if is_root() {
        return;
    }
    let mut owned = file("theirs");
    owned.meta.uid = 1234;
    let dir = tempfile::tempdir().unwrap();
    let error = unpack(&puts([("a", owned)]), dir.path(), Disk::ROOT).unwrap_err();
    assert!(matches!(error, RootfsError::Owner { uid: 1234, .. }), "{error}");
}

#[test]
fn contents_stay_when_the_folder_is_renamed_and_not_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::create_dir(&old).unwrap();
    fs::write(old.join("a"), "text").unwrap();
    fs::write(old.join("b"), "text").unwrap();
    let raw = collect(&old, Disk::SINGLE, Epoch::ZERO).unwrap();
    fs::rename(&old, &new).unwrap();
    let read = |name| raw.puts[&path(name)].content().unwrap().read_bounded(9);
    assert_eq!(read("a").unwrap().unwrap(), b"text");
    fs::remove_file(new.join("b")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", new.join("b")).unwrap();
    assert!(read("b").is_err());
}

#[test]
fn deep_and_long() {
    let deep = "d/".repeat(4000) + "f";
    let dir = tempfile::tempdir().unwrap();
    let changes = puts([(deep.as_str(), file("deep"))]);
    unpack(&changes, dir.path(), Disk::SINGLE).unwrap();
    let raw = collect(dir.path(), Disk::SINGLE, Epoch::ZERO).unwrap();
    assert_eq!(raw.puts.len(), 4002);
    assert_eq!(raw.puts[&path(&deep)].content().unwrap().read_bounded(9).unwrap().unwrap(), b"deep");
    remove(&dir.path().join("d")).unwrap();
    assert!(!dir.path().join("d").exists());
}

#[test]
fn a_plain_copy_gives_the_same_layer() {
    if !as_root() {
        return;
    }
    let world = World::new(&[
        puts([("d/a", file("a")), ("d/b", file("b")), ("e", dir(0o700)), ("e/f", file("f"))]),
        Changes { whiteouts: [path("d/a")].into(), ..puts([("e/g", file("g"))]) },
    ]);
    let step = |at: &Path| {
        fs::remove_dir_all(at.join("e")).unwrap();
        fs::create_dir(at.join("e")).unwrap();
        fs::write(at.join("e/f"), "f").unwrap();
        fs::write(at.join("d/b"), "B").unwrap();
    };
    let (expected, _) = world.step(step);
    let flat = world.path("flat");
    fs::create_dir(&flat).unwrap();
    let lowers: Vec<&Path> = world.lowers.iter().map(PathBuf::as_path).collect();
    flatten(&lowers, &flat, Disk::ROOT).unwrap();
    assert_eq!(words(&walk(&flat), true), words(&world.below, true));
    step(&flat);
    let raw = as_upper(look(&flat, Disk::ROOT).unwrap(), &world.below, true);
    let found = reduce(raw, &world.below, Ids::Real, &[].into()).unwrap().changes;
    let tar = |changes: &Changes| {
        let mut bytes = Vec::new();
        layer::tar::write(changes, Epoch::ZERO, &mut bytes).unwrap();
        bytes
    };
    assert!(tar(&found) == tar(&expected), "{found:?}\n{expected:?}");
    assert!(!found.is_empty());
}

/// As where the store is in a container's own file system: an overlayfs takes no device 0:0.
#[test]
fn marks_in_files_say_the_same() {
    if !as_root() {
        return;
    }
    let layers = [
        puts([
            ("d/a", file("a")),
            ("d/b", file("b")),
            ("e", dir(0o700)),
            ("e/f", file("f")),
            ("gone/g", file("g")),
            ("h", file("h")),
        ]),
        Changes {
            whiteouts: [path("d/a"), path("gone"), path("h")].into(),
            opaques: [path("e")].into(),
            ..puts([("e/g", file("g")), ("h/i", file("i"))])
        },
        Changes { whiteouts: [path("e/g")].into(), ..puts([("gone/again", file("x"))]) },
    ];
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::ROOT.flat();
    let (mut below, mut lowers) = (Tree::default(), Vec::new());
    for (number, layer) in layers.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        let completed = complete(layer, &below, Epoch::ZERO).unwrap();
        assert!(unpack(&completed.changes, &folder, disk).unwrap().is_empty());
        below.apply(layer);
        lowers.push(folder);
    }
    assert!(dir.path().join("1/e/.wh..wh..opq").is_file() && dir.path().join("1/d/.wh.a").is_file());
    let flat = dir.path().join("flat");
    fs::create_dir(&flat).unwrap();
    flatten(&lowers.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &flat, disk).unwrap();
    assert_eq!(words(&walk(&flat), true), words(&below, true));
    // A step's own file of such a name is not taken for a mark.
    fs::write(flat.join(".wh.mine"), "").unwrap();
    let raw = as_upper(look(&flat, Disk::ROOT).unwrap(), &below, true);
    assert!(raw.puts.contains_key(&path(".wh.mine")));
}

#[test]
fn devices_that_could_not_be_made_are_still_there() {
    let mut layer = puts([("dev/null", node(0o666, Kind::CharDevice { major: 1, minor: 3 }))]);
    layer.puts.insert(path("f"), file("f"));
    let below = tree(&layer);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("dev")).unwrap();
    fs::write(dir.path().join("f"), "f").unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let whiteouts = |devices| {
        let raw = as_upper(look(dir.path(), Disk::SINGLE).unwrap(), &below, devices);
        reduce(raw, &below, Ids::Single, &[].into()).unwrap().changes.whiteouts.len()
    };
    assert_eq!((whiteouts(false), whiteouts(true)), (0, 1));
    // Who takes the folder away takes the device, too.
    fs::remove_dir(dir.path().join("dev")).unwrap();
    assert_eq!((whiteouts(false), whiteouts(true)), (1, 1));
}

#[test]
fn a_link_to_nothing_hides_nothing_and_shows_nothing() {
    let to = |target: &str| node(0o644, Kind::Hardlink(path(target)));
    let over = |layer: &Changes, below: &Changes| complete(layer, &tree(below), Epoch::ZERO).unwrap();
    // What is below its name is hidden by the whiteout alone.
    let layer = Changes { whiteouts: [path("d/e/y")].into(), ..puts([("d/e", to("nowhere"))]) };
    let done = over(&layer, &puts([("d/e/y", file("0"))]));
    assert!(done.changes.whiteouts.contains(&path("d/e/y")), "{done:?}");
    assert!(done.changes.puts[&path("d/e")].is_dir(), "{done:?}");
    // What stands at its name is no part of the layer, so that the folder serves wherever it is the same.
    let layer = puts([("a", to("nowhere")), ("b", file("b"))]);
    let done = over(&layer, &puts([("a", file("below"))]));
    assert!(!done.changes.puts.contains_key(&path("a")), "{done:?}");
    assert_eq!(done.context, over(&layer, &puts([("a", symlink("x"))])).context);
}

#[test]
fn a_link_to_what_differs_below_is_another_folder() {
    let layer = puts([("l", node(0o644, Kind::Hardlink(path("a"))))]);
    let context = |below: Node| complete(&layer, &tree(&puts([("a", below)])), Epoch::ZERO).unwrap().context;
    let device = |minor| node(0o644, Kind::CharDevice { major: 1, minor });
    let all =
        [file("x"), file("y"), symlink("x"), symlink("y"), device(3), device(5), node(0o644, Kind::Fifo)];
    let all: std::collections::BTreeSet<_> = all.into_iter().map(context).collect();
    assert_eq!((all.len(), all.contains(&None)), (7, false));
}
