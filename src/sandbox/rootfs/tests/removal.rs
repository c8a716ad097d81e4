//! Removing.

use std::os::unix::fs::{PermissionsExt as _, symlink as make_symlink};

use super::*;

#[test]
fn links_are_removed_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "").unwrap();
    make_symlink(&outside, root.join("a/b/l")).unwrap();
    make_symlink(&outside, dir.path().join("top")).unwrap();
    remove(&root).unwrap();
    remove(&dir.path().join("top")).unwrap();
    remove(&dir.path().join("never")).unwrap();
    assert!(outside.join("f").exists() && !root.exists() && !dir.path().join("top").is_symlink());
}

#[test]
fn ten_thousand_deep() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut at = beneath::open_root(&root).unwrap();
    for _ in 0..10_000 {
        rustix::fs::mkdirat(&at, "d", rustix::fs::Mode::RWXU).unwrap();
        rustix::fs::mkdirat(&at, ".lifted-1", rustix::fs::Mode::RWXU).unwrap();
        at = beneath::open(&at, &path("d"), beneath::FOLDER).unwrap();
    }
    drop(at);
    remove(&root).unwrap();
    assert!(!root.exists());
}

#[test]
fn folders_that_forbid_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("closed/in")).unwrap();
    fs::create_dir_all(root.join("still/in")).unwrap();
    for (name, mode) in [("closed", 0o000), ("still", 0o555)] {
        fs::write(root.join(name).join("in/f"), "").unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    if is_root() {
        // By somebody whom modes stop.
        let exe = std::env::current_exe().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        run(command("chown").arg("-R").arg("65534").arg(&root));
        let test = "sandbox::rootfs::tests::removal::removes_what_it_is_told";
        let shell = r#"cp "$1" "$2/exe" && exec setpriv --reuid 65534 --clear-groups "$2/exe" --exact "$3" --ignored"#;
        let mut child = command("sh");
        child.args(["-c", shell, "sh"]).arg(&exe).arg(dir.path()).arg(test);
        run(child.env("LITH_TEST_REMOVE", &root));
    } else {
        remove(&root).unwrap();
    }
    assert!(!root.exists());
}

#[test]
#[ignore = "a helper of the one above"]
#[expect(clippy::disallowed_methods, reason = "told by the test that starts it")]
fn removes_what_it_is_told() {
    remove(Path::new(&std::env::var_os("LITH_TEST_REMOVE").unwrap())).unwrap();
}
