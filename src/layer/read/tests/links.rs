//! Hard links: what they are names of, and whose attributes count.

use super::*;

#[test]
fn hard_links_are_names_of_what_was_there() {
    let tar = Tar::default().file("d/a", "1").hardlink("b", "./d/a").hardlink("c", "b").file("d/a", "2");
    assert_eq!(tar.names(), ["b: 1", "c: 1", "d/a: 2"]);
    let changes = tar.read().unwrap();
    let inode = |p: &[u8]| match changes.puts[&ImagePath::new(p).unwrap()].kind {
        Kind::File { inode, .. } => inode,
        _ => None,
    };
    assert!(inode(b"b").is_some() && inode(b"b") == inode(b"c"));
    // A relative target is one from the root, whatever folder the link is in.
    assert_eq!(Tar::default().file("a", "1").file("d/a", "2").hardlink("d/l", "a").names()[2], "d/l: 1");
    assert_eq!(Tar::default().symlink("s", "x").hardlink("l", "s").names(), ["l: -> x", "s: -> x"]);
    let through = Tar::default().file("d/a", "1").symlink("s", "d").hardlink("l", "s/a");
    assert_eq!(through.names()[1], "l: 1");
}

#[test]
fn hard_links_to_lower_layers_stay_links_and_bad_ones_are_errors() {
    let changes = Tar::default().hardlink("l", "below").read().unwrap();
    let kind = &changes.puts.values().next().unwrap().kind;
    assert!(matches!(kind, Kind::Hardlink(target) if target.as_bytes() == b"below"), "{kind:?}");
    let tree = list(&Tar::default().hardlink("l", "below").end()[..], None).unwrap();
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(tempfile::tempfile().unwrap()));
    assert_eq!(
        tree.tree(&backing).unwrap_err().to_string(),
        "`l` is a hard link to `below`, which is not in the archive"
    );
    assert!(Tar::default().dir("d").hardlink("l", "d").error().contains("hard link to a folder"));
    assert!(Tar::default().hardlink("l", "l").error().contains("or to itself"));
    assert!(Tar::default().file("l", "1").hardlink("l", "l").error().contains("or to itself"));
}

#[test]
fn a_hard_links_attributes_become_those_of_the_file() {
    let link = |tar: Tar, name: &str, to: &str, mode| {
        tar.edit(name, b'1', b"", |h| {
            h.as_ustar_mut().unwrap().linkname[..to.len()].copy_from_slice(to.as_bytes());
            h.set_mode(mode);
            h.set_uid(u64::from(mode));
        })
    };
    let tar =
        Tar::default().pax(&[("SCHILY.xattr.user.a", "x")]).file("a", "1").edit("fifo", b'6', b"", |_| ());
    let tar = link(link(tar, "b", "a", 0o600), "l", "fifo", 0o620);
    let tar = link(tar, "c", "b", 0o640).edit("b", b'0', b"2", |h| h.set_mode(0o755));
    let changes = tar.read().unwrap();
    let found: Vec<_> = changes
        .puts
        .iter()
        .map(|(path, n)| format!("{path} {:o} {:o} {}", n.meta.mode, n.meta.uid, n.meta.xattrs.len()))
        .collect();
    assert_eq!(found, ["a 640 640 1", "b 755 0 0", "c 640 640 1", "fifo 620 620 0", "l 620 620 0"]);
}
