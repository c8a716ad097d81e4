//! Archives made block by block, most of them hostile.

mod links;

use std::fmt::Write as _;
use std::sync::Arc;

use tar::{EntryType, Header};

use super::*;
use crate::tree::{Backing, Changes, Kind};

fn header(name: &str, kind: u8, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkflag = [kind];
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_cksum();
    header
}

/// An archive under construction.
#[derive(Default, Clone)]
struct Tar(Vec<u8>);

impl Tar {
    fn raw(mut self, header: &Header, body: &[u8]) -> Self {
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn edit(self, name: &str, kind: u8, body: &[u8], edit: impl FnOnce(&mut Header)) -> Self {
        let mut header = header(name, kind, body.len() as u64);
        edit(&mut header);
        header.set_cksum();
        self.raw(&header, body)
    }

    fn file(self, name: &str, body: &str) -> Self {
        self.edit(name, b'0', body.as_bytes(), |_| ())
    }

    fn dir(self, name: &str) -> Self {
        self.edit(name, b'5', b"", |_| ())
    }

    fn link(self, kind: u8, name: &str, target: &str) -> Self {
        self.edit(name, kind, b"", |header| {
            header.as_ustar_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.link(b'2', name, target)
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.link(b'1', name, target)
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        self.records(b'x', records)
    }

    fn records(self, kind: u8, records: &[(&str, &str)]) -> Self {
        let mut body = String::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let len = (1..5).map(|digits| rest + digits).find(|len| rest + len.to_string().len() == *len);
            writeln!(body, "{} {key}={value}", len.unwrap()).unwrap();
        }
        self.edit("pax", kind, body.as_bytes(), |_| ())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    fn read(&self) -> Result<Changes, ReadError> {
        read(&self.clone().end())
    }

    /// What is where: the path, then the content of a file, `/` of a folder, or what else it is.
    fn names(&self) -> Vec<String> {
        let changes = self.read().unwrap();
        let describe = |kind: &Kind| match kind {
            Kind::File { content, .. } => {
                String::from_utf8_lossy(&content.read_bounded(1 << 20).unwrap().unwrap()).into_owned()
            }
            Kind::Dir => "/".into(),
            Kind::Symlink(target) => format!("-> {}", target.escape_ascii()),
            kind => format!("{kind:?}"),
        };
        changes.puts.iter().map(|(path, node)| format!("{path}: {}", describe(&node.kind))).collect()
    }

    #[track_caller]
    fn error(&self) -> String {
        self.read().unwrap_err().to_string()
    }
}

fn read(tar: &[u8]) -> Result<Changes, ReadError> {
    let mut file = tempfile::tempfile().unwrap();
    let listing = list(tar, Some(&mut file))?;
    assert_eq!(list(tar, None)?, listing, "the spool made a difference");
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(file));
    Ok(listing.changes(&backing).unwrap())
}

#[test]
fn names_that_lead_out_are_errors_that_say_which() {
    for name in ["../x", "a/../../x", "..", "/../x"] {
        assert_eq!(
            Tar::default().file(name, "").error(),
            format!("the archive's entry `{name}`: `{name}` leads out of the root")
        );
        assert!(Tar::default().hardlink("l", name).error().contains("leads out of the root"));
    }
    assert!(Tar::default().pax(&[("path", "../x")]).file("x", "").error().contains("leads out"));
    assert!(Tar::default().pax(&[("linkpath", "/../x")]).hardlink("x", "y").error().contains("leads out"));
    assert_eq!(Tar::default().file("/a//./b/../c", "x").names(), ["a/c: x"]);
}

#[test]
fn nul_and_length_of_names() {
    assert!(Tar::default().pax(&[("path", "a\0b")]).file("x", "").error().contains("NUL"));
    assert!(Tar::default().pax(&[("linkpath", "a\0b")]).symlink("x", "y").error().contains("malformed"));
    let long = "n".repeat(65536);
    let error = Tar::default().edit("l", b'L', long.as_bytes(), |_| ()).file("x", "").error();
    assert!(error.contains("65536") && error.len() < 400, "{error}");
    let deep = vec!["d"; 4000].join("/");
    assert_eq!(Tar::default().edit("l", b'L', deep.as_bytes(), |_| ()).file("x", "").names().len(), 1);
    let name = Tar::default()
        .edit("x", b'0', b"", |h| h.as_ustar_mut().unwrap().name[..2].copy_from_slice(b"\xff\x1b"));
    assert_eq!(name.names(), ["\\xff\\u{1b}: "]);
}

#[test]
fn ten_thousand_folders_deep_is_an_error_and_four_thousand_is_fast() {
    let parts = |n| vec!["d"; n].join("/");
    let mut tar = Tar::default();
    for n in (1..4096).step_by(5) {
        tar = tar.edit("l", b'L', parts(n).as_bytes(), |_| ()).dir("x");
    }
    assert_eq!(tar.read().unwrap().puts.len(), 819);
    assert!(tar.edit("l", b'L', parts(10_000).as_bytes(), |_| ()).dir("x").read().is_err());
}

#[test]
fn a_path_through_a_link_stands_where_that_leads_inside_the_root() {
    let through = |target: &str| {
        let tar = Tar::default().dir("d/").file("d/old", "").symlink("d/l", target);
        tar.file("d/l/x", "new").names().into_iter().find(|name| name.ends_with("new")).unwrap()
    };
    for (target, place) in [
        ("/etc", "etc/x"),
        ("../../../etc", "etc/x"),
        ("..", "x"),
        ("/", "x"),
        (".", "d/x"),
        ("a/./b//", "d/a/b/x"),
    ] {
        assert_eq!(through(target), format!("{place}: new"), "link to `{target}`");
    }
    let chain =
        Tar::default().symlink("a", "b/c").symlink("b", "/r").symlink("r/c", "../up").file("a/x", "new");
    assert_eq!(chain.names(), ["a: -> b/c", "b: -> /r", "r/c: -> ../up", "up/x: new"]);
    let last = Tar::default().symlink("a", "b").file("a", "file");
    assert_eq!(last.names(), ["a: file"], "the last part isn't followed");
}

#[test]
fn links_in_circles_are_errors() {
    let tar = Tar::default().symlink("a", "b").symlink("b", "a");
    assert!(tar.clone().file("a/x", "").error().contains("too many symbolic links"));
    assert_eq!(tar.names(), ["a: -> b", "b: -> a"]);
    assert!(Tar::default().symlink("a", "a/a/a").file("a/x", "").error().contains("too many"));
}

#[test]
fn links_that_double_are_bounded() {
    // Each link goes twice through the one before it: 2^40 steps, if they weren't counted.
    let mut tar = Tar::default().symlink("l0", ".");
    for i in 1..40 {
        tar = tar.symlink(&format!("l{i}"), &format!("l{0}/l{0}", i - 1));
    }
    assert!(tar.file("l39/x", "").error().contains("too many symbolic links"));
}

#[test]
fn a_path_through_a_file_is_an_error() {
    let tar = Tar::default().file("a", "");
    assert_eq!(
        tar.clone().file("a/b", "").error(),
        "the archive's entry `a/b` stands below `a`, which is no folder"
    );
    assert!(tar.symlink("l", "a").file("l/b", "").error().contains("below `a`"));
}

#[test]
fn the_last_of_a_path_counts() {
    let tar = Tar::default().file("a", "1").file("a", "2");
    assert_eq!(tar.clone().names(), ["a: 2"]);
    assert_eq!(tar.clone().symlink("a", "x").names(), ["a: -> x"]);
    assert_eq!(tar.clone().symlink("a", "x").file("a", "3").names(), ["a: 3"]);
    let folder = Tar::default().dir("d").file("d/a", "").file("d-", "").file("d/b/c", "");
    assert_eq!(folder.clone().dir("d/").names(), ["d: /", "d-: ", "d/a: ", "d/b/c: "]);
    assert_eq!(folder.clone().symlink("d", "/etc").names(), ["d: -> /etc", "d-: "]);
    // The mode of the folder that was doesn't reach what the link leads to.
    let moved = folder.symlink("d", "/etc").file("d/passwd", "x");
    assert_eq!(moved.names(), ["d: -> /etc", "d-: ", "etc/passwd: x"]);
    assert_eq!(Tar::default().symlink("d", "e").dir("d").file("d/x", "").names(), ["d: /", "d/x: "]);
}

#[test]
fn the_root_can_only_be_a_folder() {
    let root = Tar::default().edit("./", b'5', b"", |h| h.set_mode(0o700));
    let changes = root.file("x", "").read().unwrap();
    assert_eq!(changes.puts[&ImagePath::root()].meta.mode, 0o700);
    for name in [".", "/", "a/.."] {
        assert_eq!(
            Tar::default().file("x", "1").symlink(name, "/etc").file("y", "2").names(),
            ["x: 1", "y: 2"]
        );
    }
}

#[test]
fn a_size_in_pax_counts_for_the_next_entry_alone() {
    // Whoever reads the header's size finds an entry in the body of the first file.
    let hidden = Tar::default().file("hidden", "").0;
    let body = String::from_utf8(hidden).unwrap();
    let smuggled =
        Tar::default()
            .pax(&[("size", &body.len().to_string())])
            .edit("a", b'0', body.as_bytes(), |h| h.set_size(0));
    assert_eq!(smuggled.clone().file("b", "").read().unwrap().puts.len(), 2);
    // The long name's own size is its header's, the PAX record is the file's.
    let tar = Tar::default().pax(&[("size", "3")]).edit("l", b'L', b"long-name", |_| ());
    let tar = tar.edit("short", b'0', b"abc", |h| h.set_size(0)).file("b", "y");
    assert_eq!(tar.names(), ["b: y", "long-name: abc"]);
    // A record that came before another PAX header is forgotten with it.
    let tar = Tar::default().pax(&[("path", "first"), ("size", "512")]).pax(&[("uid", "7")]).file("a", "x");
    assert_eq!(tar.file("b", "y").names(), ["a: x", "b: y"]);
}

#[test]
fn folders_and_links_have_no_body() {
    let tar = Tar::default().edit("d", b'5', b"", |h| h.set_size(512)).edit("l", b'2', b"", |h| {
        h.as_ustar_mut().unwrap().linkname[0] = b'a';
        h.set_size(99);
    });
    assert_eq!(tar.file("a", "x").names(), ["a: x", "d: /", "l: -> a"]);
    let nowhere = Tar::default().symlink("l", "").error();
    assert_eq!(nowhere, "the archive's entry `l` is a symbolic link without a target");
    let v7 = |kind| Tar::default().edit("d/", kind, b"body", |_| ()).file("a", "x");
    assert_eq!(v7(0).names(), ["a: x", "d: /"], "a v7 folder");
    assert_eq!(v7(b'0').names(), ["a: x", "d: body"]);
    assert_eq!(v7(b'D').names(), ["a: x", "d: /"], "a GNU dump folder");
}

#[test]
fn global_records_say_nothing_of_entries() {
    let tar = Tar::default().records(b'g', &[("uid", "7"), ("mtime", "5.9"), ("path", "x")]).file("a", "");
    let tar = tar.pax(&[("uid", "8"), ("gid", "")]).records(b'g', &[("uid", "9")]).file("b", "");
    let changes = tar.read().unwrap();
    let found: Vec<_> = changes.puts.iter().map(|(p, n)| (p.to_string(), n.meta.uid, n.mtime)).collect();
    assert_eq!(found, [("a".into(), 0, 0), ("b".into(), 8, 0)]);
}

#[test]
fn attributes_in_pax() {
    let tar = Tar::default().pax(&[
        ("SCHILY.xattr.user.a", "x\n9 path=b\n"),
        ("LIBARCHIVE.xattr.user.b", "eA=="),
        ("uid", "4294967295"),
        ("mtime", "-1.5"),
    ]);
    let changes = tar.file("a", "").read().unwrap();
    let node = changes.puts.values().next().unwrap();
    assert_eq!((node.meta.uid, node.mtime), (u32::MAX, -2));
    assert_eq!(
        node.meta.xattrs.iter().collect::<Vec<_>>(),
        [(&b"user.a".to_vec(), &b"x\n9 path=b\n".to_vec())]
    );
}

#[test]
fn numbers_out_of_range_are_errors() {
    let number = |field: &str, value: &str| Tar::default().pax(&[(field, value)]).file("a", "").error();
    assert_eq!(
        number("uid", "4294967296"),
        "the archive's entry `a` has a user id that is no number, or out of range"
    );
    for (field, value) in [
        ("uid", "-1"),
        ("gid", "x"),
        ("size", "-1"),
        ("size", "18446744073709551615"),
        ("size", "99999999999999999999999"),
        ("mtime", "99999999999999999999"),
        ("mtime", "soon"),
    ] {
        assert!(number(field, value).contains("no number"), "{field}={value}");
    }
    let negative = Tar::default().edit("a", b'0', b"", |h| h.as_old_mut().size = [0xff; 12]);
    assert!(negative.error().contains("a size that is no number"));
    let huge = Tar::default()
        .edit("a", b'0', b"", |h| h.as_old_mut().size = *b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert!(huge.error().contains("ends in the middle"), "{}", huge.error());
    let uid = Tar::default().edit("a", b'0', b"", |h| h.as_old_mut().uid = *b"\x80\0\0\0\xff\xff\xff\xff");
    assert_eq!(uid.read().unwrap().puts.values().next().unwrap().meta.uid, u32::MAX);
    let device = Tar::default().edit("a", b'3', b"", |h| h.as_ustar_mut().unwrap().dev_minor = *b"minus 1\0");
    assert!(device.error().contains("device number"));
}

#[test]
fn malformed_and_endless_headers_are_errors() {
    let pax = |body: &[u8]| Tar::default().edit("pax", b'x', body, |_| ()).file("a", "");
    assert!(pax(b"99 path=a\n").error().contains("malformed record"));
    assert!(pax(b"9 path=a\n junk").error().contains("malformed record"));
    for kind in [b'L', b'K', b'x', b'g'] {
        let endless = Tar::default().edit("h", kind, b"", |h| h.set_size(2 << 20));
        assert!(endless.error().contains("limit of 1048576"), "{}", endless.error());
    }
    assert!(Tar::default().edit("a", b'M', b"", |_| ()).error().contains("another volume"));
}

#[test]
fn checksums_and_ends() {
    let whole = Tar::default().file("a", "x").file("b", "y").end();
    for at in [0, 100, 257, 1024 + 5] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        let error = read(&damaged).unwrap_err().to_string();
        assert!(error.contains(&format!("byte {} of", at / 1024 * 1024)), "{error}");
    }
    let n = |tar: &[u8]| read(tar).map(|changes| changes.puts.len());
    for len in [1, 511, 513, 1000, 1023, 1025] {
        assert!(matches!(n(&whole[..len]), Err(ReadError::Truncated(_))), "{len} bytes");
    }
    assert_eq!(n(&whole[..1024]).unwrap(), 1, "no end at all");
    assert_eq!(n(&whole[..2048 + 512]).unwrap(), 2, "half an end");
    assert_eq!(n(&[&whole[..], b"trailing data"].concat()).unwrap(), 2);
    assert_eq!(n(&[&whole[..], &whole[..]].concat()).unwrap(), 2, "an archive after the end");
    assert_eq!(n(b"").unwrap(), 0);
    assert!(n(&[&[0; 512][..], &whole[..]].concat()).is_err(), "one block of zeros is no end");
    let mut signed = header("\u{e4}", b'0', 0);
    let sum: i32 = signed
        .as_bytes()
        .iter()
        .enumerate()
        .map(|(i, &b)| if (148..156).contains(&i) { 32 } else { i32::from(b.cast_signed()) })
        .sum();
    signed.as_old_mut().cksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(n(&Tar::default().raw(&signed, b"").end()).unwrap(), 1, "a sum of signed bytes");
}

#[test]
fn what_is_a_tar() {
    assert!(is_header(&Tar::default().file("a", "").end()));
    assert!(!is_header(&[0; 512]));
    assert!(!is_header(b"short"));
    assert!(!is_header(&[b' '; 512]));
}

#[test]
fn empty_entries_without_end_meet_a_limit() {
    struct Endless(Vec<u8>, u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                let name = format!("{:0>99}", self.1);
                let mut header = header("", b'0', 0);
                header.as_ustar_mut().unwrap().name[..99].copy_from_slice(name.as_bytes());
                header.set_cksum();
                self.0 = header.as_bytes().to_vec();
                self.1 += 1;
            }
            let n = self.0.len().min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }
    let mut endless = Endless(Vec::new(), 0);
    let limit = 4 << 20;
    let error =
        list_within(&mut endless, None, Limits { metadata: limit, ..Limits::default() }, |_| ()).unwrap_err();
    assert!(matches!(error, ReadError::Limit { limit: found, .. } if found == limit), "{error}");
    // So that a million of them fit, and ten million don't.
    let all = endless.1 * (MAX_METADATA / limit);
    assert!((1_000_000..10_000_000).contains(&all), "{all}");
}

#[test]
fn whiteouts() {
    let tar = Tar::default()
        .file("d/.wh.gone", "")
        .file("e/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .file(".wh.x", "");
    let changes = tar.read().unwrap();
    let names =
        |set: &std::collections::BTreeSet<ImagePath>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (names(&changes.whiteouts), names(&changes.opaques)),
        (vec!["d/gone".into(), "x".into()], vec!["e".to_string()])
    );
    assert!(changes.puts.is_empty());
    for name in [".wh.", ".wh..", "d/.wh..."] {
        let listing = list(&Tar::default().file(name, "").end()[..], None).unwrap();
        let backing: Arc<dyn Backing> = Arc::new(Arc::new(tempfile::tempfile().unwrap()));
        assert_eq!(listing.tree(&backing).unwrap().len(), 1);
        assert!(listing.changes(&backing).is_err(), "`{name}` was taken");
    }
}

#[test]
fn devices_and_unknown_types() {
    let device = |kind| {
        Tar::default().edit("d", kind, b"", |h| {
            h.set_device_major(8).unwrap();
            h.set_device_minor(1).unwrap();
        })
    };
    assert_eq!(device(b'3').names(), ["d: CharDevice { major: 8, minor: 1 }"]);
    assert_eq!(device(b'4').names(), ["d: BlockDevice { major: 8, minor: 1 }"]);
    assert_eq!(device(b'6').names(), ["d: Fifo"]);
    assert_eq!(
        Tar::default().edit("a", b'7', b"x", |_| ()).edit("b", 0, b"y", |_| ()).names(),
        ["a: x", "b: y"]
    );
    assert_eq!(
        Tar::default().edit("b", b'Z', b"y", |_| ()).error(),
        "the archive's entry `b` is of the unknown type `Z`"
    );
    assert_eq!(Tar::default().edit("label", b'V', b"", |_| ()).file("a", "x").names(), ["a: x"]);
}

#[test]
fn sparse_files_that_lie() {
    let sparse = |records: &[(&str, &str)], body: &str| Tar::default().pax(records).file("s", body).read();
    let fine = [("GNU.sparse.size", "10"), ("GNU.sparse.map", "2,3,10,0"), ("GNU.sparse.name", "real")];
    let mut changes = sparse(&fine, "abc").unwrap();
    let (path, node) = changes.puts.pop_first().unwrap();
    assert_eq!(path.as_bytes(), b"real");
    assert_eq!(node.content().unwrap().read_bounded(10).unwrap().unwrap(), b"\0\0abc\0\0\0\0\0");
    for (size, map) in [
        ("10", "2,3,1,0"),
        ("4", "2,3"),
        ("10", "2,4"),
        ("10", "2"),
        ("10", "2,"),
        ("10", "-1,3"),
        ("10", "18446744073709551615,3"),
        ("x", "2,3"),
    ] {
        let error = sparse(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)], "abc").unwrap_err();
        assert!(matches!(error, ReadError::Sparse { .. }), "{size} {map}: {error}");
    }
    let bomb = sparse(&[("GNU.sparse.size", "9223372036854775807"), ("GNU.sparse.map", "0,3")], "abc");
    assert!(matches!(bomb, Err(ReadError::Limit { limit: MAX_UNPACKED, .. })));
    let one = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")];
    for body in [
        "",
        "1\n0\n",
        &"9".repeat(512),
        &format!("{:\0<512}", "99999999\n"),
        &format!("{:\0<512}", "1\n0\n5\n"),
    ] {
        assert!(matches!(sparse(&one, body), Err(ReadError::Sparse { .. })), "{body:?}");
    }
    let unknown = [("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")];
    assert!(matches!(sparse(&unknown, ""), Err(ReadError::Sparse { .. })));
}

#[test]
fn old_sparse_maps_may_be_long_but_not_endless() {
    let old = |more: u8| {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[0] = b's';
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        header.set_entry_type(EntryType::GNUSparse);
        header.as_gnu_mut().unwrap().isextended = [more];
        header.set_cksum();
        header
    };
    assert_eq!(Tar::default().raw(&old(0), b"").names(), ["s: "]);
    assert!(matches!(Tar::default().raw(&old(1), b"").0, ref tar if list(&tar[..], None).is_err()));
    struct Endless(Vec<u8>, usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let block = |at: usize| self.0.get(at).copied().unwrap_or(b'0');
            for (i, byte) in buffer.iter_mut().enumerate() {
                *byte = block(self.1 + i);
            }
            self.1 += buffer.len();
            Ok(buffer.len())
        }
    }
    let mut endless = Endless(old(1).as_bytes().to_vec(), 0);
    assert!(matches!(list(&mut endless, None), Err(ReadError::Sparse { .. })));
    assert!(endless.1 < 32 << 20, "{} bytes of a map were read", endless.1);
}

#[test]
fn bombs_meet_the_limit() {
    /// Zeros without end, after the end of an archive.
    struct Zeros(u64);
    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += buffer.len() as u64;
            // Pretending to be larger than what a test can wait for.
            Ok(if self.0 > 1 << 30 { 0 } else { buffer.len() })
        }
    }
    assert_eq!(list(Zeros(0), None).unwrap().len(), 0);
    let mut spool = spool::Spool::new(None, MAX_UNPACKED);
    spool.hole(MAX_UNPACKED).unwrap();
    assert!(matches!(spool.write(b"x"), Err(ReadError::Limit { .. })));
}

proptest::proptest! {
    /// Whatever it is given, the reader ends without a panic, and says the same with and without a spool.
    #[test]
    fn damaged_archives_never_panic(flips in proptest::collection::vec((0..6000_usize, proptest::prelude::any::<u8>()), 1..8), cut in 0..6000_usize) {
        let tar = Tar::default()
            .pax(&[("path", "p/q"), ("SCHILY.xattr.user.a", "b")]).file("x", "body")
            .edit("l", b'L', b"a-long-name", |_| ()).file("y", "more")
            .pax(&[("GNU.sparse.size", "10"), ("GNU.sparse.map", "2,3")]).file("s", "abc")
            .symlink("l", "p").hardlink("h", "p/q").file("l/z", "");
        let mut bytes = tar.end();
        for (at, byte) in flips {
            let at = at % bytes.len();
            bytes[at] = byte;
            // A checksum that is right again, so that what is behind it is reached.
            let block = at / 512 * 512;
            let mut header = Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        bytes.truncate(cut.max(512));
        let mut file = tempfile::tempfile().unwrap();
        let spooled = list(&bytes[..], Some(&mut file)).map_err(|e| e.to_string());
        proptest::prop_assert_eq!(spooled, list(&bytes[..], None).map_err(|e| e.to_string()));
    }
}
