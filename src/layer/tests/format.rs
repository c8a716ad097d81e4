//! The image contract, held by goldens: whatever moves a byte fails here.

use expect_test::expect;

use super::super::entries::entries;
use super::super::tar::head;
use super::*;

/// A line for each entry, as another reader sees it.
fn dump(tar: &[u8]) -> String {
    let mut archive = ::tar::Archive::new(tar);
    let mut lines = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let records: Vec<String> = entry.pax_extensions().unwrap().map_or(Vec::new(), |records| {
            records
                .map(|r| r.unwrap())
                .map(|r| format!("{}={}", r.key().unwrap(), cut(r.value_bytes())))
                .collect()
        });
        let header = entry.header().clone();
        let link = entry.link_name_bytes().map_or(String::new(), |link| format!(" -> {}", cut(&link)));
        lines.push(format!(
            "{} {:04o} {}:{} {} {} {}{link} {records:?}",
            char::from(header.entry_type().as_byte()),
            header.mode().unwrap(),
            header.uid().unwrap(),
            header.gid().unwrap(),
            header.size().unwrap(),
            header.mtime().unwrap(),
            cut(&entry.path_bytes()),
        ));
    }
    lines.join("\n")
}

fn cut(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    if text.len() > 24 { format!("{}…({})", &text[..20], bytes.len()) } else { text }
}

/// Something of everything.
fn everything() -> Changes {
    let inode = Inode::fresh();
    let owned = |uid, gid, mode| Meta { uid, gid, ..Meta::root_owned(mode) };
    let with = |meta, kind| Node::new(meta, kind);
    let bytes = |text: &str| Kind::File { content: Content::from_bytes(text.as_bytes()), inode: None };
    let mut tagged = Meta::root_owned(0o644);
    for name in ["security.capability", "user.b", "user.a", "security.selinux", "system.posix_acl_access"] {
        tagged.xattrs.insert(name.into(), b"value\0".to_vec());
    }
    let mut changes = changes([
        ("".into(), node(0o755, Kind::Dir)),
        ("bin".into(), dir()),
        ("bin/su".into(), node(0o4755, bytes("#!/bin/sh\n").clone())),
        ("a-b".into(), file("sorts between a and a/…")),
        ("a".into(), dir()),
        ("a/z".into(), linked("shared", inode)),
        ("a/link".into(), linked("shared", inode)),
        ("a/.hidden".into(), with(owned(1000, 100, 0o600), bytes(""))),
        ("big".into(), with(owned(u32::MAX, 0o777_7777, 0o644), bytes("x"))),
        ("dev/console".into(), node(0o600, Kind::CharDevice { major: 5, minor: 1 })),
        ("dev/sda".into(), node(0o660, Kind::BlockDevice { major: 8, minor: 0 })),
        ("dev/pipe".into(), node(0o644, Kind::Fifo)),
        ("sym".into(), symlink("../../anywhere")),
        ("sym-long".into(), symlink(&"t".repeat(101))),
        ("tagged".into(), with(tagged, bytes("t"))),
        (format!("{}/{}", "p".repeat(155), "n".repeat(100)), file("prefix and name, full")),
        (format!("{}/{}", "p".repeat(155), "n".repeat(101)), file("a byte too long")),
        ("x".repeat(100), file("a name, full")),
        ("y".repeat(100), dir()),
        (format!("{}/{}", "q".repeat(60), "r".repeat(60)), dir()),
    ]);
    changes.whiteouts.extend([path("etc/gone"), path("top")]);
    changes.opaques.insert(path("a"));
    changes
}

#[test]
fn golden_tar() {
    let tar = tar_of(&everything());
    expect![[r#"
        5 0755 0:0 0 0 ./ []
        0 0644 0:0 0 0 .wh.top []
        5 0755 0:0 0 0 a/ []
        0 0644 0:0 25 0 a-b []
        0 0644 0:0 0 0 a/.wh..wh..opq []
        0 0600 1000:100 0 0 a/.hidden []
        0 0644 0:0 6 0 a/link []
        1 0644 0:0 0 0 a/z -> a/link []
        0 0644 4294967295:2097151 1 0 big ["uid=4294967295"]
        5 0755 0:0 0 0 bin/ []
        0 4755 0:0 10 0 bin/su []
        3 0600 0:0 0 0 dev/console []
        6 0644 0:0 0 0 dev/pipe []
        4 0660 0:0 0 0 dev/sda []
        0 0644 0:0 0 0 etc/.wh.gone []
        0 0644 0:0 21 0 pppppppppppppppppppp…(256) []
        0 0644 0:0 15 0 pppppppppppppppppppp…(257) ["path=pppppppppppppppppppp…(257)"]
        5 0755 0:0 0 0 qqqqqqqqqqqqqqqqqqqq…(122) []
        2 0777 0:0 0 0 sym -> ../../anywhere []
        2 0777 0:0 0 0 sym-long -> tttttttttttttttttttt…(101) ["linkpath=tttttttttttttttttttt…(101)"]
        0 0644 0:0 1 0 tagged ["SCHILY.xattr.security.capability=value\\x00", "SCHILY.xattr.user.a=value\\x00", "SCHILY.xattr.user.b=value\\x00"]
        0 0644 0:0 12 0 xxxxxxxxxxxxxxxxxxxx…(100) []
        5 0755 0:0 0 0 yyyyyyyyyyyyyyyyyyyy…(101) ["path=yyyyyyyyyyyyyyyyyyyy…(101)"]"#]].assert_eq(&dump(&tar));
    expect!["sha256:cc0c7de01a15661f7151f19ad5a4bf155ea3a8e991cb7aff8329e5d404695a2c"]
        .assert_eq(&Digest::of(&tar).to_string());
}

#[test]
fn golden_layers() {
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| ((i >> 5) ^ (i >> 13)).to_le_bytes()[0]).collect();
    let mut changes = everything();
    changes.puts.insert(path("large"), file(large));
    changes.puts.extend((0..300).map(|i| (path(format!("many/{i}")), file(i.to_string().repeat(4000)))));
    let (_dir, store) = store();
    let digests: Vec<String> = ["none", "gzip", "gzip:9", "zstd"]
        .iter()
        .map(|compression| {
            let layer = create(&store, &changes, &options(compression, 2)).unwrap();
            format!("{compression} {} {}", layer.descriptor.size(), layer.descriptor.digest())
        })
        .collect();
    expect![[r#"
        none 6412288 sha256:bfe7799044b6c08dfeda2cea7852434b879a1dd4c0904fbdac1cf95ce24fcad3
        gzip 242506 sha256:08044a047da5fb44a94e880a6a5024693d4063821c492e61e97d5c0e37413956
        gzip:9 96671 sha256:3fe4b7af19695d55720738ab446446899322a8d2aea6b4d85a9882a100adcbfd
        zstd 101181 sha256:3ef7175b390a9ad0b1b1475f42c371a26a0226a51e7934dbcb34851196e604e2"#]]
    .assert_eq(&digests.join("\n"));
}

#[test]
fn an_empty_layer_is_two_blocks_of_zeros() {
    assert_eq!(tar_of(&Changes::default()), [0; 1024]);
    let tar = tar_of(&changes([("a", file("x"))]));
    assert_eq!(tar.len(), 512 + 512 + 1024);
    assert!(tar[1024..].iter().all(|&b| b == 0));
}

#[test]
fn headers_say_nothing_of_the_machine() {
    let tar = tar_of(&changes([("a", file("x"))]));
    let field = |from: usize, to: usize| tar[from..to].escape_ascii().to_string();
    assert_eq!(field(100, 136), r"0000644\x000000000\x000000000\x0000000000001\x00");
    assert_eq!(field(136, 148), r"00000000000\x00");
    assert_eq!(field(156, 157), "0");
    assert_eq!(field(257, 265), r"ustar\x0000");
    assert!(tar[265..329].iter().all(|&b| b == 0), "names of owners");
    assert_eq!(field(329, 345), r"0000000\x000000000\x00");
    assert!(tar[345..512].iter().all(|&b| b == 0), "prefix and the rest");
}

#[test]
fn the_epoch_is_every_time() {
    let changes = changes([("a", file("")), ("b", dir())]);
    let at = |seconds| {
        let mut tar = Vec::new();
        tar::write(&changes, Epoch::from_seconds(seconds).unwrap(), &mut tar).unwrap();
        dump(&tar)
    };
    expect![[r#"
        0 0644 0:0 0 1700000000 a []
        5 0755 0:0 0 1700000000 b/ []"#]]
    .assert_eq(&at(1_700_000_000));
    expect![[r#"
        0 0644 0:0 0 0 a ["mtime=8589934592"]
        5 0755 0:0 0 0 b/ ["mtime=8589934592"]"#]]
    .assert_eq(&at(8_589_934_592));
}

#[test]
fn sizes_that_ustar_cannot_say() {
    let heads = |size| {
        let huge = node(
            0o644,
            Kind::File { content: Content::new(size, crate::tree::Source::Bytes([].into())), inode: None },
        );
        let changes = changes([("f", huge)]);
        let entry = &entries(&changes).unwrap()[0];
        let mut out = Vec::new();
        head(entry, &entry.name(), tar::Times::All(Epoch::ZERO), &mut out).unwrap();
        out
    };
    assert_eq!(&heads(0o777_7777_7777)[124..136], b"77777777777\0");
    let larger = heads(0o1000_0000_0000);
    assert_eq!(&larger[512..531], b"19 size=8589934592\n");
    assert_eq!(&larger[1024 + 124..1024 + 136], b"00000000000\0");
}

fn names(changes: &Changes) -> Vec<String> {
    entries(changes).unwrap().iter().map(|e| e.name().escape_ascii().to_string()).collect()
}

#[test]
fn markers_come_first_in_their_folder() {
    let mut changes =
        changes([("d", dir()), ("d/-x", file("")), ("d/a", file("")), ("d-", file("")), ("!", file(""))]);
    changes.whiteouts.extend([path("d/b"), path("d/+"), path("e")]);
    assert_eq!(names(&changes), [".wh.e", "!", "d/", "d-", "d/.wh.+", "d/.wh.b", "d/-x", "d/a"]);
}

#[test]
fn markers_that_say_nothing_new_are_left_out() {
    let mut changes =
        changes([("file", file("")), ("folder", dir()), ("folder/x", file("")), ("implied/x", file(""))]);
    changes
        .whiteouts
        .extend(["file", "folder", "folder/y", "implied", "gone", "gone/too", "file/y"].map(path));
    changes.opaques.extend(["gone", "gone/deep", "file", "kept"].map(path));
    assert_eq!(
        names(&changes),
        [
            ".wh.gone",
            "file",
            "folder/",
            "folder/.wh..wh..opq",
            "folder/x",
            "implied/",
            "implied/.wh..wh..opq",
            "implied/x",
            "kept/.wh..wh..opq"
        ]
    );
    let mut all = Changes::default();
    all.opaques.insert(ImagePath::root());
    all.whiteouts.insert(path("a"));
    assert_eq!(names(&all), [".wh..wh..opq"]);
}

#[test]
fn hard_links_lead_to_the_first_name() {
    let inode = Inode::fresh();
    let to = |target: &str| node(0o644, Kind::Hardlink(path(target)));
    let changes = changes([
        ("b", linked("one", inode)),
        ("a", to("b")),
        ("c", linked("one", inode)),
        ("d", to("a")),
        ("l", to("lower")),
        ("m", to("l")),
        ("plain", file("two")),
        ("q", to("plain")),
        ("r", to("s")),
        ("s", symlink("x")),
    ]);
    expect![[r#"
        0 0644 0:0 3 0 a []
        1 0644 0:0 0 0 b -> a []
        1 0644 0:0 0 0 c -> a []
        1 0644 0:0 0 0 d -> a []
        1 0644 0:0 0 0 l -> lower []
        1 0644 0:0 0 0 m -> lower []
        0 0644 0:0 3 0 plain []
        1 0644 0:0 0 0 q -> plain []
        2 0777 0:0 0 0 r -> x []
        2 0777 0:0 0 0 s -> x []"#]]
    .assert_eq(&dump(&tar_of(&changes)));
}

#[test]
fn what_has_no_tar_is_refused() {
    let error = |puts: Vec<(&str, Node)>| entries_error(&changes(puts));
    assert_eq!(
        error(vec![("d/.wh.x", file(""))]),
        "`d/.wh.x` can't be in a layer, as names beginning with `.wh.` mark what is deleted"
    );
    assert!(error(vec![(".wh..wh..opq/x", file(""))]).contains("`.wh.`"));
    assert_eq!(
        error(vec![("a", file("")), ("a/b/c", file(""))]),
        "`a/b/c` stands below `a`, which is no folder"
    );
    let to = |target: &str| node(0o644, Kind::Hardlink(path(target)));
    assert!(error(vec![("a", to("b")), ("b", to("a"))]).contains("leads to a folder or to itself"));
    assert!(error(vec![("a", to("a"))]).contains("leads to a folder or to itself"));
    assert!(error(vec![("a", to("b")), ("b", dir())]).contains("leads to a folder or to itself"));
    let mut whiteout = Changes::default();
    whiteout.whiteouts.insert(path(".wh.a"));
    assert!(entries_error(&whiteout).contains("`.wh.`"));
    whiteout.whiteouts = [ImagePath::root()].into();
    assert!(entries_error(&whiteout).contains("root"));

    let write = |node: Node| {
        tar::write(&changes([("a", node)]), Epoch::ZERO, &mut io::sink()).unwrap_err().to_string()
    };
    assert!(write(symlink("a\0b")).contains("NUL"));
    assert!(write(node(0o644, Kind::CharDevice { major: 1 << 21, minor: 0 })).contains("2097152:0"));
    let mut tagged = file("");
    tagged.meta.xattrs.insert(b"user.a=b".to_vec(), vec![]);
    assert!(write(tagged).contains("`user.a=b`"));
    let mut tagged = file("");
    tagged.meta.xattrs.insert(b"user.a".to_vec(), vec![0; 1 << 20]);
    assert!(write(tagged).contains("1048576 bytes"));
}

fn entries_error(changes: &Changes) -> String {
    entries(changes).unwrap_err().to_string()
}
