//! By an ordinary user, in a user namespace of one id.

use super::*;

const LITH_TEST: &str = "sandbox::rootfs::tests::user::a_step_in_a_user_namespace";

#[test]
fn a_user_gets_the_same_layer() {
    let exe = std::env::current_exe().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let as_user = if is_root() { "setpriv --reuid 65534 --regid 65534 --clear-groups" } else { "" };
    let possible = command("sh").args(["-c", &format!("{as_user} unshare -Urm true")]).output().unwrap();
    if !possible.status.success() {
        let why = String::from_utf8_lossy(&possible.stderr).into_owned();
        say(&format!("user namespaces are refused here: rootless steps were NOT tested: {why}"));
        return;
    }
    let shell = format!(
        r#"cp "$1" "$2/exe" && export TMPDIR="$2" && exec {as_user} unshare -Urm "$2/exe" --exact {LITH_TEST} --ignored"#
    );
    run(command("sh").args(["-c", &shell, "sh"]).arg(&exe).arg(dir.path()));
}

#[test]
#[ignore = "a helper of the one above, in its user namespace"]
fn a_step_in_a_user_namespace() {
    let mut owned = file("theirs");
    (owned.meta.uid, owned.meta.gid, owned.meta.mode) = (7, 8, 0o750);
    let base = puts([
        ("", dir(0o751)),
        ("d", dir(0o711)),
        ("d/a", owned.clone()),
        ("d/b", owned),
        ("e", dir(0o755)),
        ("e/f", file("f")),
        ("null", node(0o666, Kind::CharDevice { major: 1, minor: 3 })),
    ]);
    let below = tree(&base);
    let dir = tempfile::tempdir().unwrap();
    let [lower, empty, upper, work, merged] =
        ["lower", "empty", "upper", "work", "merged"].map(|name| dir.path().join(name));
    for folder in [&lower, &empty, &upper, &work, &merged] {
        fs::create_dir(folder).unwrap();
    }
    let completed = complete(&base, &Tree::default(), Epoch::ZERO).unwrap();
    let notes = unpack(&completed.changes, &lower, Disk::SINGLE).unwrap();
    assert_eq!(
        notes.iter().map(|note| note.to_string()).collect::<Vec<_>>(),
        ["this user may make no device: `/null`"]
    );
    prepare(&upper, &below, Disk::SINGLE, Epoch::ZERO).unwrap();
    let options = format!(
        "userxattr,lowerdir={}:{},upperdir={},workdir={}",
        empty.display(),
        lower.display(),
        upper.display(),
        work.display()
    );
    run(command("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&merged));
    let mount = Mount(merged);
    fs::set_permissions(mount.0.join("d/a"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    fs::set_permissions(mount.0.join("d/a"), std::os::unix::fs::PermissionsExt::from_mode(0o750)).unwrap();
    fs::write(mount.0.join("d/b"), "changed").unwrap();
    fs::remove_dir_all(mount.0.join("e")).unwrap();
    fs::create_dir(mount.0.join("e")).unwrap();
    fs::write(mount.0.join("e/new"), "new").unwrap();
    drop(mount);
    let (_dir, store) = store();
    // As the worker and its parent do it.
    let raw = collect(&upper, Disk::SINGLE, Epoch::ZERO).unwrap();
    let mut pipe = Vec::new();
    stream::write(&raw, &mut pipe).unwrap();
    let reduced = reduce(stream::read(&pipe[..], &store).unwrap(), &below, Ids::Single, &[].into()).unwrap();
    let changes = &reduced.changes;
    assert_eq!(changes.puts.keys().cloned().collect::<Vec<_>>(), [path("d/b"), path("e/new")]);
    assert_eq!(changes.whiteouts, [path("e/f")].into());
    let Meta { mode, uid, gid, .. } = &changes.puts[&path("d/b")].meta;
    assert_eq!((*mode, *uid, *gid), (0o750, 7, 8));
    settle(&upper, &reduced.settle, Epoch::ZERO).unwrap();
    let unpacked = dir.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let completed = complete(changes, &below, Epoch::ZERO).unwrap();
    unpack(&completed.changes, &unpacked, Disk::SINGLE).unwrap();
    assert_eq!(all(&upper, Disk::SINGLE), all(&unpacked, Disk::SINGLE));
    remove(&work).unwrap();
}
