use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};

use super::*;
use crate::tree::testing::path;

fn node(mode: u16, kind: Kind) -> Node {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let mut node = Node::new(Meta { mode, uid, gid, ..Meta::default() }, kind);
    node.mtime = 1_000_000;
    node
}

fn file(text: &str) -> Node {
    node(0o640, Kind::File { content: Content::from_bytes(text.as_bytes()), inode: None })
}

fn link(target: &str) -> Node {
    node(0o777, Kind::Symlink(target.as_bytes().into()))
}

fn tree(nodes: &[(&str, Node)]) -> Tree {
    nodes.iter().map(|(name, node)| (path(name), node.clone())).collect()
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_tree_is_written_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/root");
    let inode = Some(Inode::fresh());
    let twin = node(0o600, Kind::File { content: Content::from_bytes(*b"twin"), inode });
    let tree = tree(&[
        ("", node(0o700, Kind::Dir)),
        ("bin", node(0o755, Kind::Dir)),
        ("bin/tool", node(0o4755, Kind::File { content: Content::from_bytes(*b"x"), inode: None })),
        ("closed", node(0o555, Kind::Dir)),
        ("closed/file", file("in it")),
        ("closed-by-name", file("beside")),
        ("etc", node(0o755, Kind::Dir)),
        ("etc/a", twin.clone()),
        ("etc/link", link("../../../outside")),
        ("fifo", node(0o620, Kind::Fifo)),
        ("twin", twin),
        ("tmp", node(0o1777, Kind::Dir)),
    ]);
    assert_eq!(write_folder(&tree, &out).unwrap(), []);
    let stat = |name: &str| out.join(name).symlink_metadata().unwrap();
    assert_eq!(read(out.join("closed/file")), "in it");
    assert_eq!(stat("closed/file").mode() & 0o7777, 0o640);
    assert_eq!(stat("closed").mode() & 0o7777, 0o555);
    assert_eq!(stat("bin").mode() & 0o7777, 0o755);
    assert_eq!(stat("bin/tool").mode() & 0o7777, 0o4755);
    assert_eq!(stat("tmp").mode() & 0o7777, 0o1777);
    assert_eq!(stat("etc/a").ino(), stat("twin").ino());
    assert_eq!(out.join("etc/link").read_link().unwrap(), Path::new("../../../outside"));
    assert!(["closed", "closed/file", "etc/link", "fifo"].iter().all(|name| stat(name).mtime() == 1_000_000));
    // Once more, into what is there now.
    assert_eq!(write_folder(&tree, &out).unwrap(), []);
    assert_eq!(read(out.join("closed/file")), "in it");
}

#[test]
fn no_link_is_followed_whether_it_was_there_or_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    std::fs::create_dir_all(outside.join("sub")).unwrap();
    std::fs::create_dir(&out).unwrap();
    std::fs::write(outside.join("kept"), "kept").unwrap();
    std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o750)).unwrap();
    symlink(&outside, out.join("folder")).unwrap();
    symlink(outside.join("kept"), out.join("file")).unwrap();
    symlink(&outside, out.join("deep")).unwrap();
    symlink(outside.join("kept"), out.join("fifo")).unwrap();
    let tree = tree(&[
        ("deep/sub/file", file("new")),
        ("fifo", node(0o777, Kind::Fifo)),
        ("file", file("new")),
        ("folder", node(0o700, Kind::Dir)),
        ("folder/kept", file("new")),
        ("link", link("../outside")),
    ]);
    write_folder(&tree, &out).unwrap();
    assert_eq!(read(out.join("folder/kept")), "new");
    assert_eq!(read(out.join("deep/sub/file")), "new");
    assert_eq!(read(outside.join("kept")), "kept");
    assert_eq!(outside.metadata().unwrap().mode() & 0o7777, 0o750);
    assert_eq!(count(&outside.join("sub")), 0);
    assert!(!out.join("folder").symlink_metadata().unwrap().is_symlink());
}

#[test]
fn a_tree_that_goes_through_its_own_link_stays_inside() {
    let dir = tempfile::tempdir().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    std::fs::create_dir(&outside).unwrap();
    // Trees that are read from layers are never like this; this one lies.
    let tree = tree(&[("a", link("../outside")), ("a/file", file("x"))]);
    write_folder(&tree, &out).unwrap();
    assert_eq!(read(out.join("a/file")), "x");
    assert_eq!(count(&outside), 0);
}

#[test]
fn folders_and_files_replace_each_other_and_the_rest_stays() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    write_folder(&tree(&[("a/b/c", file("1")), ("d", file("2")), ("e", file("3"))]), out).unwrap();
    write_folder(&tree(&[("a", file("now a file")), ("d/e", file("now a folder"))]), out).unwrap();
    assert_eq!(read(out.join("a")), "now a file");
    assert_eq!(read(out.join("d/e")), "now a folder");
    assert_eq!(read(out.join("e")), "3");
}

#[test]
fn a_file_of_many_names_elsewhere_is_not_written_into() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(dir.path().join("other"), "other").unwrap();
    std::fs::hard_link(dir.path().join("other"), out.join("file")).unwrap();
    write_folder(&tree(&[("file", file("new"))]), &out).unwrap();
    assert_eq!(read(dir.path().join("other")), "other");
}

#[test]
fn what_changes_while_it_is_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    std::fs::write(&source, "12345").unwrap();
    let seen = crate::tree::Stat::from(&source.symlink_metadata().unwrap());
    let source_of = crate::tree::Source::File { path: source.clone().into(), seen };
    let node = node(0o644, Kind::File { content: Content::new(5, source_of), inode: None });
    std::fs::write(&source, "1234").unwrap();
    let written = write_folder(&tree(&[("f", node)]), &dir.path().join("out"));
    assert!(matches!(written, Err(TransportError::Content(_))));
}

#[test]
fn thousands_of_nested_folders_take_no_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let mut name = "d/".repeat(2000);
    name.push_str("file");
    let tree = tree(&[(&name, file("deep")), ("d/e", file("shallow"))]);
    write_folder(&tree, &dir.path().join("out")).unwrap();
    // Too deep for one path; taken apart from the top by the system's own means.
    std::fs::remove_dir_all(dir.path().join("out")).unwrap();
}

#[test]
fn losses_are_told() {
    let losses = [
        Warning::Owners { count: 1, first: path("a") },
        Warning::Devices { count: 3, first: path("dev/\x1bnull") },
    ];
    let told = losses.map(|loss| loss.to_string());
    assert_eq!(told, ["owner was not kept: `/a`", "device was left out: `/dev/\\u{1b}null` and 2 more"]);
}

#[test]
fn platforms_have_folders_of_their_own() {
    for (platform, expected) in [("linux/amd64", "linux_amd64"), ("linux/arm/v7", "linux_arm_v7")] {
        assert_eq!(folder_name(&platform.parse().unwrap()), expected);
    }
    assert_eq!(folder_name(&Platform::new("..", "/", None)), "..__");
    let one = tree(&[("etc/a", file("1"))]);
    let arm = "linux/arm64".parse().unwrap();
    let names = |own_folders| -> Vec<String> {
        let all = joined([(&Platform::default(), &one), (&arm, &one)], own_folders);
        all.iter().map(|(path, _)| path.to_string()).collect()
    };
    assert_eq!(names(true), ["linux_amd64", "linux_amd64/etc/a", "linux_arm64", "linux_arm64/etc/a"]);
    assert_eq!(names(false), ["etc/a"]);
}

fn count(folder: &Path) -> usize {
    walkdir::WalkDir::new(folder).min_depth(1).into_iter().count()
}
