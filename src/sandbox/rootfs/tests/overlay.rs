//! Steps under overlayfs.

use std::os::unix::fs::{PermissionsExt as _, symlink as make_symlink};

use super::*;

fn base() -> Changes {
    let inode = Inode::fresh();
    let mut owned = file("theirs");
    (owned.meta.uid, owned.meta.gid, owned.meta.mode) = (7, 8, 0o4750);
    owned.meta.xattrs.insert(b"user.note".to_vec(), b"n".to_vec());
    let mut folder = dir(0o750);
    (folder.meta.uid, folder.meta.gid) = (5, 6);
    puts([
        ("", dir(0o751)),
        ("d", folder),
        ("d/keep", file("keep")),
        ("d/lose", file("lose")),
        ("d/sub", dir(0o700)),
        ("d/sub/x", file("x")),
        ("implied/deep/f", file("f")),
        ("l1", linked("one", inode)),
        ("l2", linked("one", inode)),
        ("link", symlink("d/keep")),
        ("owned", owned),
        ("tmp", dir(0o1777)),
        ("fifo", node(0o600, Kind::Fifo)),
        ("dev", node(0o666, Kind::CharDevice { major: 1, minor: 3 })),
    ])
}

fn said(changes: &Changes) -> Vec<String> {
    let mut said: Vec<String> = changes.puts.keys().map(|path| format!("+{path}")).collect();
    said.extend(changes.whiteouts.iter().map(|path| format!("-{path}")));
    said.extend(changes.opaques.iter().map(|path| format!("o{path}")));
    said
}

#[track_caller]
fn expect(step: impl FnOnce(&Path), expected: &[&str]) {
    if !as_root() {
        return;
    }
    let world = World::new(&[base()]);
    let (changes, upper) = world.step(step);
    assert_eq!(said(&changes), expected);
    check_settled(&world, &changes, &upper);
}

/// The settled folder is what unpacking the layer gives, and shows what the tree says.
#[track_caller]
pub(super) fn check_settled(world: &World, changes: &Changes, upper: &Path) {
    let (_dir, store) = store();
    let layer = layer::create(&store, changes, &options()).unwrap();
    let read = layer::open(&store, &layer).unwrap();
    let completed = complete(&read, &world.below, Epoch::ZERO).unwrap();
    let same_context = complete(changes, &world.below, Epoch::ZERO).unwrap().context;
    assert_eq!(completed.context, same_context);
    let unpacked = world.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    unpack(&completed.changes, &unpacked, Disk::ROOT).unwrap();
    assert_eq!(all(upper, Disk::ROOT), all(&unpacked, Disk::ROOT), "settled, and unpacked from the layer");
    let mut after = world.below.clone();
    after.apply(changes);
    assert_eq!(words(&world.seen_with(upper), false), words(&after, false), "mounted, and by the tree");
    remove(&unpacked).unwrap();
}

#[test]
fn nothing_done_is_no_change() {
    expect(|_| (), &[]);
}

#[test]
fn what_is_as_before_is_no_change() {
    expect(
        |at| {
            let mode = |mode| fs::Permissions::from_mode(mode);
            fs::set_permissions(at.join("d/keep"), mode(0o600)).unwrap();
            fs::set_permissions(at.join("d/keep"), mode(0o644)).unwrap();
            fs::set_permissions(at.join("d"), mode(0o750)).unwrap();
            fs::write(at.join("d/sub/x"), "x").unwrap();
            fs::write(at.join("l1"), "one").unwrap();
            fs::write(at.join("new"), "").unwrap();
            fs::remove_file(at.join("new")).unwrap();
            fs::remove_file(at.join("link")).unwrap();
            make_symlink("d/keep", at.join("link")).unwrap();
            run(command("touch").arg("-d@5").arg(at.join("owned")).arg(at.join("tmp")));
        },
        &[],
    );
}

#[test]
fn a_folder_made_anew_is_what_differs_in_it() {
    expect(
        |at| {
            fs::remove_dir_all(at.join("d")).unwrap();
            fs::create_dir(at.join("d")).unwrap();
            std::os::unix::fs::chown(at.join("d"), Some(5), Some(6)).unwrap();
            fs::set_permissions(at.join("d"), fs::Permissions::from_mode(0o750)).unwrap();
            fs::write(at.join("d/keep"), "keep").unwrap();
            fs::write(at.join("d/new"), "new").unwrap();
        },
        &["+d/new", "-d/lose", "-d/sub"],
    );
}

#[test]
fn kinds_replace_each_other() {
    expect(
        |at| {
            fs::remove_dir_all(at.join("d/sub")).unwrap();
            fs::write(at.join("d/sub"), "a file").unwrap();
            fs::remove_file(at.join("owned")).unwrap();
            fs::create_dir(at.join("owned")).unwrap();
            fs::write(at.join("owned/in"), "it").unwrap();
            fs::remove_dir_all(at.join("implied")).unwrap();
            make_symlink("d", at.join("implied")).unwrap();
            fs::remove_file(at.join("fifo")).unwrap();
        },
        &["+d/sub", "+implied", "+owned", "+owned/in", "-fifo"],
    );
}

#[test]
fn the_last_file_of_an_implied_folder() {
    expect(|at| fs::remove_file(at.join("implied/deep/f")).unwrap(), &["+implied/deep", "-implied/deep/f"]);
}

#[test]
fn attributes_alone_are_changes_of_what_has_them() {
    expect(
        |at| {
            std::os::unix::fs::chown(at.join("d/keep"), Some(9), None).unwrap();
            fs::set_permissions(at, fs::Permissions::from_mode(0o700)).unwrap();
            rustix::fs::setxattr(at.join("tmp"), "user.a", b"1", rustix::fs::XattrFlags::empty()).unwrap();
            rustix::fs::removexattr(at.join("owned"), "user.note").unwrap();
            // v2, as the kernel and `setcap` write it.
            let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let none = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(at.join("d/lose"), "security.capability", &capability, none).unwrap();
        },
        &["+", "+d/keep", "+d/lose", "+owned", "+tmp"],
    );
}

#[test]
fn hard_links_old_and_new() {
    // A new name of an old file puts both; a changed name leaves the others.
    expect(
        |at| {
            fs::hard_link(at.join("d/keep"), at.join("d/again")).unwrap();
            fs::write(at.join("l1"), "two").unwrap();
            fs::write(at.join("n1"), "new").unwrap();
            fs::hard_link(at.join("n1"), at.join("n2")).unwrap();
        },
        &["+d/again", "+d/keep", "+l1", "+n1", "+n2"],
    );
}

#[test]
fn odd_names_and_kinds() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    expect(
        |at| {
            fs::write(at.join(OsStr::from_bytes(b"\xff\n")), "odd").unwrap();
            drop(std::os::unix::net::UnixListener::bind(at.join("d/socket")).unwrap());
            run(command("mknod").arg(at.join("b")).args(["b", "7", "1"]));
            run(command("mkfifo").arg(at.join("p")));
        },
        &["+b", "+p", "+\\xff\\n"],
    );
}

#[test]
fn what_the_sandbox_made_is_left_out() {
    if !as_root() {
        return;
    }
    let world = World::new(&[base()]);
    let upper = world.path("upper");
    let raw = world.raw(&upper, |at| {
        for stub in ["proc", "mnt/cache", "mnt/used", "etc"] {
            fs::create_dir_all(at.join(stub)).unwrap();
        }
        fs::write(at.join("etc/hosts"), "").unwrap();
        fs::write(at.join("etc/filled"), "by the step").unwrap();
        fs::write(at.join("mnt/used/f"), "f").unwrap();
        // It stood there before: no stub, and no change.
        fs::set_permissions(at.join("d/keep"), fs::Permissions::from_mode(0o644)).unwrap();
    });
    let ours = ["proc", "mnt", "mnt/cache", "mnt/used", "etc", "etc/hosts", "etc/filled", "d/keep"];
    let ours = ours.iter().map(path).collect();
    let reduced = reduce(raw, &world.below, Ids::Real, &ours).unwrap();
    assert_eq!(said(&reduced.changes), ["+etc/filled", "+mnt/used/f"]);
    settle(&upper, &reduced.settle, Epoch::ZERO).unwrap();
    check_settled(&world, &reduced.changes, &upper);
}

#[test]
fn steps_on_steps() {
    if !as_root() {
        return;
    }
    let mut world = World::new(&[base()]);
    let steps: [fn(&Path); 4] = [
        |at| fs::remove_dir_all(at.join("d")).unwrap(),
        |at| fs::create_dir(at.join("d")).unwrap(),
        |at| fs::write(at.join("d/keep"), "again").unwrap(),
        |at| fs::rename(at.join("d/keep"), at.join("tmp/moved")).unwrap(),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        let (changes, upper) = world.step(step);
        check_settled(&world, &changes, &upper);
        let kept = world.path(&format!("u{number}"));
        fs::rename(&upper, &kept).unwrap();
        remove(&world.path("work")).unwrap();
        world.lowers.push(kept);
        world.below.apply(&changes);
    }
    let found = words(&world.below, false);
    assert!(found.iter().any(|word| word.starts_with("tmp/moved file")), "{found:?}");
    assert!(!found.iter().any(|word| word.starts_with("d/")), "{found:?}");
}

#[test]
fn implied_folders_keep_the_attributes_of_those_below() {
    if !as_root() {
        return;
    }
    let mut world = World::new(&[base(), puts([("d/sub/y", file("y")), ("tmp/z", file("z"))])]);
    let mut hides = Changes::default();
    hides.opaques.extend([path("d/sub"), path("nowhere")]);
    hides.whiteouts.extend([path("d/lose"), path("not/there"), path("tmp")]);
    hides.puts.insert(path("tmp/only"), file("only"));
    hides.puts.insert(path("l3"), node(0o600, Kind::Hardlink(path("l1"))));
    world.push(&hides);
    let (changes, upper) = world.step(|_| ());
    assert!(changes.is_empty(), "{changes:?}");
    check_settled(&world, &changes, &upper);
    let seen = world.seen_with(&upper);
    assert_eq!(words(&seen, true), words(&world.below, true), "with which names are of one file");
    assert_eq!(seen.get(&path("d")).unwrap().meta.mode, 0o750);
    assert_eq!(seen.get(&path("tmp")).unwrap().meta.mode, 0o755, "it was deleted and made anew");
}

#[test]
fn a_folder_that_is_hidden_twice_is_gone() {
    let both = Changes { whiteouts: [path("d")].into(), opaques: [path("d")].into(), ..Changes::default() };
    let completed = complete(&both, &tree(&base()), Epoch::ZERO).unwrap().changes;
    assert_eq!((completed.whiteouts, completed.opaques), ([path("d")].into(), [].into()));
    assert_eq!(completed.puts.into_keys().collect::<Vec<_>>(), [path("")]);
}

#[test]
fn the_same_layer_over_other_trees_is_another_folder() {
    let layer = puts([("d/new", file("new"))]);
    let on = |base: &Changes| complete(&layer, &tree(base), Epoch::ZERO).unwrap().context;
    assert_eq!(on(&Changes::default()), None);
    assert_eq!(on(&puts([("d", dir(0o755)), ("other", file(""))])), None);
    assert!(on(&base()).is_some());
    assert_ne!(on(&base()), on(&puts([("d", dir(0o700))])));
    // What all is said of needs no context.
    let whole = puts([("", dir(0o700)), ("d", dir(0o711)), ("d/new", file("new"))]);
    assert_eq!(complete(&whole, &tree(&base()), Epoch::ZERO).unwrap().context, None);
}

#[test]
fn redirects_and_metacopies_are_told() {
    if !as_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for mark in ["redirect", "metacopy"] {
        let upper = dir.path().join(mark);
        fs::create_dir(&upper).unwrap();
        fs::write(upper.join("f"), "f").unwrap();
        let none = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(upper.join("f"), format!("trusted.overlay.{mark}"), b"/x", none).unwrap();
        let error = collect(&upper, Disk::ROOT, Epoch::ZERO).unwrap_err();
        assert!(matches!(error, RootfsError::Elsewhere { attribute, .. } if attribute == mark), "{error}");
    }
}

#[test]
fn whiteouts_said_by_attributes() {
    if !as_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("gone"), "").unwrap();
    let none = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(dir.path().join("gone"), "trusted.overlay.whiteout", b"y", none).unwrap();
    let raw = collect(dir.path(), Disk::ROOT, Epoch::ZERO).unwrap();
    assert!(raw.whiteouts.contains(&path("gone")) && !raw.puts.contains_key(&path("gone")));
    assert_eq!(look(dir.path(), Disk::ROOT).unwrap().whiteouts, raw.whiteouts, "a device by now");
}
