use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;
use crate::context::fingerprints;
use crate::tree::ContentError;
use crate::tree::testing::path;

/// Makes files of the names given; one that ends in a slash is a folder, `a -> b` a link.
fn folder(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let (name, target) = name.split_once(" -> ").unwrap_or((name, ""));
        let on_disk = dir.path().join(name);
        fs::create_dir_all(on_disk.parent().unwrap()).unwrap();
        if !target.is_empty() {
            symlink(target, on_disk).unwrap();
        } else if name.ends_with('/') {
            fs::create_dir_all(on_disk).unwrap();
        } else {
            fs::write(on_disk, name).unwrap();
        }
    }
    dir
}

#[test]
fn the_store_is_left_out_and_told_of() {
    let dir = folder(&["a/.lith/blobs/b", "a/c", ".lith"]);
    let without = dir.path().join("a/.lith").canonicalize().unwrap();
    let read = |ignore: &str| {
        super::read(dir.path(), Options { without: Some(without.clone()), ..ignoring(ignore) })
    };
    let seen = read("").unwrap();
    assert_eq!(seen.tree.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>(), [".lith", "a", "a/c"]);
    assert_eq!(seen.notes.store, Some(path("a/.lith")));
    assert_eq!(seen.notes.warnings().count(), 1);
    let seen = read("**/.lith\n!a/.lith/blobs/b").unwrap();
    assert_eq!((seen.tree.iter().count(), seen.notes.store), (2, None));
}

fn chmod(dir: &TempDir, name: &str, mode: u32) {
    fs::set_permissions(dir.path().join(name), Permissions::from_mode(mode)).unwrap();
}

fn ignoring(patterns: &str) -> Options<'static> {
    Options { ignore: Ignore::parse(patterns.as_bytes()).unwrap(), ..Options::default() }
}

fn needing(paths: &[&str]) -> Options<'static> {
    let needed = Needed::Below(paths.iter().map(path).collect());
    Options { needed, ..Options::default() }
}

fn names(dir: &TempDir, options: Options<'_>) -> String {
    let context = read(dir.path(), options).unwrap();
    context.tree.iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>().join(" ")
}

fn fifo(dir: &TempDir, name: &str) {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, dir.path().join(name), kind, 0o622.into(), 0).unwrap();
}

#[test]
fn everything_is_there_as_it_is() {
    let dir = folder(&["b", "a/x", "a/empty/", "link -> /etc/passwd", "a-b"]);
    chmod(&dir, "b", 0o700);
    fifo(&dir, "fifo");
    let context = read(dir.path(), Options::default()).unwrap();
    let listing: Vec<String> = context
        .tree
        .iter()
        .map(|(path, node)| {
            let kind = match &node.kind {
                Kind::File { content, .. } => {
                    let bytes = content.read_bounded(99).unwrap().unwrap();
                    format!("file {}", String::from_utf8(bytes).unwrap())
                }
                Kind::Dir => "folder".into(),
                Kind::Symlink(target) => format!("link {}", target.escape_ascii()),
                other => format!("{other:?}"),
            };
            format!("{path} {:o} {kind}", node.meta.mode)
        })
        .collect();
    expect_test::expect![[r#"
        a 755 folder
        a-b 644 file a-b
        a/empty 755 folder
        a/x 644 file a/x
        b 755 file b
        fifo 644 Fifo
        link 777 link /etc/passwd"#]]
    .assert_eq(&listing.join("\n"));
    assert!(context.tree.get(&path("b")).unwrap().mtime > 1_600_000_000);
}

#[test]
fn sockets_are_left_out_and_named() {
    let dir = folder(&["a"]);
    let _socket = UnixListener::bind(dir.path().join("s")).unwrap();
    let context = read(dir.path(), Options::default()).unwrap();
    assert_eq!(context.tree.len(), 1);
    assert_eq!(context.notes.sockets, [path("s")]);
}

#[test]
fn keeping_modes_keeps_links_and_attributes() {
    let dir = folder(&["a", "plain", "d/"]);
    fs::hard_link(dir.path().join("a"), dir.path().join("d/b")).unwrap();
    chmod(&dir, "a", 0o4710);
    chmod(&dir, "d", 0o1733);
    let on_disk = dir.path().join("a");
    let has_xattrs =
        rustix::fs::setxattr(&on_disk, "user.key", &[7; 1000], rustix::fs::XattrFlags::empty()).is_ok();
    let read = |modes| read(dir.path(), Options { modes, ..Options::default() }).unwrap();
    let inode = |context: &Context, name: &str| match &context.tree.get(&path(name)).unwrap().kind {
        Kind::File { inode, .. } => *inode,
        _ => None,
    };
    let mode = |context: &Context, name: &str| context.tree.get(&path(name)).unwrap().meta.mode;

    let kept = read(Modes::Keep);
    assert!(inode(&kept, "a").is_some() && inode(&kept, "a") == inode(&kept, "d/b"));
    assert_eq!(inode(&kept, "plain"), None);
    assert_eq!((mode(&kept, "a"), mode(&kept, "d")), (0o4710, 0o1733));
    let xattrs = &kept.tree.get(&path("a")).unwrap().meta.xattrs;
    assert_eq!(xattrs.get(&b"user.key"[..]).is_some_and(|value| value == &[7; 1000]), has_xattrs);
    assert_eq!(kept.notes, Notes::default());

    let git = read(Modes::Git);
    assert_eq!((inode(&git, "a"), mode(&git, "a"), mode(&git, "d")), (None, 0o4755, 0o1755));
    assert!(git.tree.get(&path("a")).unwrap().meta.xattrs.is_empty());
    assert_eq!(git.notes.opened, [path("a"), path("d/b")]);
}

#[test]
fn ignored_folders_stay_for_what_is_re_included() {
    let dir = folder(&["a/b/keep", "a/b/drop", "a/c/drop", "d/x", ".dockerignore"]);
    assert_eq!(names(&dir, ignoring("*\n!a/b/keep")), "a a/b a/b/keep");
    assert_eq!(names(&dir, ignoring("**/drop\nd")), ".dockerignore a a/b a/b/keep a/c");
    assert_eq!(names(&dir, ignoring("*\n!**/x")), "d d/x");
    assert_eq!(names(&dir, ignoring("*")), "");
    assert_eq!(names(&dir, ignoring("*\n!e")), "");
}

#[test]
fn a_filtered_tree_is_what_the_walk_finds() {
    let dir = folder(&["a/b/keep", "a/b/drop", "a/c/drop", "d/x", "e/f/"]);
    let whole = read(dir.path(), Options::default()).unwrap().tree;
    for patterns in ["", "*\n!a/b/keep", "**/drop\nd", "*\n!**/x", "e/*", "*", "a\n!a/c"] {
        let ignore = Ignore::parse(patterns.as_bytes()).unwrap();
        let filtered: Vec<_> = filter(&whole, &ignore).map(|(path, _)| path.to_string()).collect();
        assert_eq!(filtered.join(" "), names(&dir, ignoring(patterns)), "{patterns:?}");
    }
}

#[test]
fn only_what_is_needed_is_looked_at() {
    let all = "a a/x ab b b/c b/c/d b/e";
    let dir = folder(&["a/x", "ab", "b/c/d", "b/e"]);
    assert_eq!(names(&dir, needing(&["a"])), "a a/x");
    assert_eq!(names(&dir, needing(&["b/c"])), "b b/c b/c/d");
    assert_eq!(names(&dir, needing(&["b/e", "ab"])), "ab b b/e");
    assert_eq!(names(&dir, needing(&["nothing"])), "");
    assert_eq!(names(&dir, needing(&[""])), all);
}

#[test]
fn a_link_that_leads_elsewhere_widens_the_need() {
    let narrow = ["x/y", "x/inner -> y", "x/also -> ../x/y", "other"];
    assert_eq!(names(&folder(&narrow), needing(&["x"])), "x x/also x/inner x/y");
    for (link, need) in [
        ("x/l -> ../other", "x"),
        ("x/l -> /other", "x"),
        ("x/l -> y/../../other", "x"),
        ("l -> x", "l/y"),
        ("l -> x", "l"),
    ] {
        let mut files = vec!["x/y", "other"];
        files.push(link);
        assert!(names(&folder(&files), needing(&[need])).contains("other"), "{link}");
    }
}

#[test]
fn git_dirs_can_be_left_out() {
    let dir = folder(&[".git/HEAD", "sub/.git", "sub/x.git", ".gitignore"]);
    let options = Options { without_git_dirs: true, ..Options::default() };
    assert_eq!(names(&dir, options), ".gitignore sub sub/x.git");
}

#[test]
fn known_fingerprints_are_used_and_handed_back() {
    let dir = folder(&["a", "b"]);
    let context = read(dir.path(), Options::default()).unwrap();
    assert_eq!(fingerprints(&context.tree).count(), 0);
    let of_a = context.tree.get(&path("a")).unwrap().content().unwrap().fingerprint().unwrap();
    let found: Vec<_> = fingerprints(&context.tree).map(|(path, seen, f)| (path.clone(), *seen, f)).collect();
    assert_eq!(found.len(), 1);
    let known = |path: &ImagePath, stat: &Stat| {
        found.iter().find(|(p, s, _)| p == path && s == stat).map(|(_, _, fingerprint)| *fingerprint)
    };
    let again = read(dir.path(), Options { known: Some(&known), ..Options::default() }).unwrap();
    assert_eq!(again.tree.get(&path("a")).unwrap().content().unwrap().known_fingerprint(), Some(of_a));
}

#[test]
fn what_changes_between_the_walk_and_the_read_is_an_error() {
    let dir = folder(&["a", "b", "c", "d/x"]);
    let context = read(dir.path(), Options::default()).unwrap();
    let content = |name: &str| context.tree.get(&path(name)).unwrap().content().unwrap().fingerprint();
    fs::write(dir.path().join("a"), "longer than before").unwrap();
    fs::remove_file(dir.path().join("b")).unwrap();
    fifo(&dir, "b");
    fs::remove_file(dir.path().join("c")).unwrap();
    symlink("a", dir.path().join("c")).unwrap();
    fs::rename(dir.path().join("d"), dir.path().join("e")).unwrap();
    fs::create_dir(dir.path().join("f")).unwrap();
    fs::write(dir.path().join("f/x"), "d/x").unwrap();
    symlink("f", dir.path().join("d")).unwrap();
    for name in ["a", "b", "c", "d/x"] {
        assert!(matches!(content(name), Err(ContentError::Changed { .. })), "{name}");
    }
}

#[test]
fn names_need_not_be_utf8() {
    let dir = folder(&[]);
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\n")), "").unwrap();
    let context = read(dir.path(), ignoring("a?")).unwrap();
    assert_eq!(context.tree.iter().next().unwrap().0.as_bytes(), b"\xff\n");
}

#[test]
fn nesting_without_end_is_an_error_not_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let name = "d".repeat(200);
    let mut at = rustix::fs::open(dir.path(), rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    for _ in 0..40 {
        rustix::fs::mkdirat(&at, &*name, 0o755.into()).unwrap();
        at = rustix::fs::openat(&at, &*name, rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    }
    assert!(matches!(read(dir.path(), Options::default()), Err(ContextError::Io { .. })));
}

#[test]
fn a_root_that_is_none_is_an_error() {
    let dir = folder(&["file", "link -> ."]);
    assert!(matches!(read(&dir.path().join("no"), Options::default()), Err(ContextError::Io { .. })));
    assert!(matches!(read(&dir.path().join("file"), Options::default()), Err(ContextError::NotAFolder(_))));
    assert_eq!(read(&dir.path().join("link"), Options::default()).unwrap().tree.len(), 2);
}

/// Root may read everything, so this runs where it can tell something.
#[test]
fn a_folder_that_may_not_be_read_matters_only_if_wanted() {
    let dir = folder(&["a", "shut/x"]);
    chmod(&dir, "shut", 0o000);
    if fs::metadata(dir.path().join("shut/x")).is_err() {
        assert!(matches!(read(dir.path(), Options::default()), Err(ContextError::Io { .. })));
        assert_eq!(names(&dir, ignoring("shut")), "a");
        assert_eq!(names(&dir, ignoring("shut\n!shut/y")), "a");
    }
    chmod(&dir, "shut", 0o755);
}
