use proptest::prelude::*;

use super::*;

fn open(bytes: &[u8]) -> io::Result<Tarball> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    std::fs::write(&path, bytes).unwrap();
    Tarball::open(&path)
}

fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    header
}

/// Members one after the other, each body padded, without an end.
fn members(parts: &[(Header, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (header, body) in parts {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

fn content(tar: &Tarball, name: &str) -> Option<Vec<u8>> {
    tar.read(name, 1 << 20).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let mut bytes = Vec::new();
    let mut writer = TarWriter::new(&mut bytes);
    writer.folder("d/").unwrap();
    writer.file("d/one", 3, &mut &b"one"[..]).unwrap();
    writer.file("two", 0, &mut io::empty()).unwrap();
    assert!(writer.file("short", 3, &mut &b"x"[..]).is_err());
    let mut bytes = Vec::new();
    let mut writer = TarWriter::new(&mut bytes);
    writer.folder("d/").unwrap();
    writer.file("d/one", 3, &mut &b"one"[..]).unwrap();
    writer.file("two", 0, &mut io::empty()).unwrap();
    writer.finish().unwrap();
    let tar = open(&bytes).unwrap();
    assert_eq!(content(&tar, "d/one").unwrap(), b"one");
    assert_eq!(content(&tar, "./two").unwrap(), b"");
    assert_eq!(content(&tar, "d"), None);
    assert_eq!(bytes.len(), 512 * (1 + 2 + 1 + 2));
}

#[test]
fn a_size_that_ustar_cannot_say_is_in_a_pax_header() {
    assert_eq!(pax_record("size", "8589934592"), "19 size=8589934592\n");
    for len in 0..2000 {
        let record = pax_record("path", &"x".repeat(len));
        assert!(record.starts_with(&format!("{} path=", record.len())), "{len}");
    }
    struct Sink(Vec<u8>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() >= 1536 {
                return Err(io::Error::other("enough"));
            }
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(Vec::new());
    let written = TarWriter::new(&mut sink).file("big", 1 << 33, &mut io::repeat(0));
    assert!(written.is_err());
    let mut extension = Extension::default();
    extension.read_pax(&sink.0[512..531]).unwrap();
    assert_eq!(extension.size, Some(1 << 33));
    assert_eq!(Header::from_byte_slice(&sink.0[1024..1536]).entry_size().unwrap(), 0);
}

#[test]
fn members_are_found_through_links_within() {
    let link = |name: &str, kind, target: &str| {
        let mut header = header(name, kind, 0);
        header.set_link_name(target).unwrap();
        header.set_cksum();
        (header, &b""[..])
    };
    let tar = open(&members(&[
        link("a/layer.tar", EntryType::Symlink, "../b/layer.tar"),
        (header("./b/layer.tar", EntryType::Regular, 5), b"layer"),
        link("hard", EntryType::Link, "b/layer.tar"),
        link("chain", EntryType::Symlink, "/a/layer.tar"),
        link("self", EntryType::Symlink, "self"),
        link("out", EntryType::Symlink, "../../etc/passwd"),
    ]))
    .unwrap();
    for name in ["a/layer.tar", "b/layer.tar", "hard", "chain"] {
        assert_eq!(content(&tar, name).unwrap(), b"layer", "{name}");
    }
    for name in ["self", "out", "nowhere", "../etc/passwd"] {
        assert_eq!(content(&tar, name), None, "{name}");
    }
}

#[test]
fn compressed_archives_are_unpacked() {
    use crate::compression::Compression;
    let plain = members(&[(header("x", EntryType::Regular, 1), b"1")]);
    for compression in ["gzip", "zstd", "none"] {
        let mut bytes = Vec::new();
        compression.parse::<Compression>().unwrap().compress(&plain, &mut bytes).unwrap();
        assert_eq!(content(&open(&bytes).unwrap(), "x").unwrap(), b"1");
    }
}

#[test]
fn names_and_sizes_of_extensions_count() {
    let long = "d/".repeat(200) + "x";
    let pax = format!("{} path={long}\n", long.len() + 10);
    let pax = format!("{pax}9 size=2\n");
    let gnu = format!("{long}2\0");
    let bytes = members(&[
        (header("p", EntryType::XHeader, pax.len() as u64), pax.as_bytes()),
        (header("short", EntryType::Regular, 0), b"ab"),
        (header("l", EntryType::GNULongName, gnu.len() as u64), gnu.as_bytes()),
        (header("short", EntryType::Regular, 1), b"c"),
        (header("g", EntryType::XGlobalHeader, 9), b"9 path=q\n"),
        (header("last", EntryType::Regular, 1), b"d"),
    ]);
    let tar = open(&bytes).unwrap();
    assert_eq!(content(&tar, &long).unwrap(), b"ab");
    assert_eq!(content(&tar, &format!("{long}2")).unwrap(), b"c");
    assert_eq!(content(&tar, "last").unwrap(), b"d");
    assert_eq!(content(&tar, "short"), None);
}

#[test]
fn hostile_archives_are_refused() {
    let truncated = members(&[(header("x", EntryType::Regular, 4096), b"short")]);
    let mut huge = header("x", EntryType::Regular, 0);
    huge.as_mut_bytes()[124..136]
        .copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    huge.set_cksum();
    let mut wrong = header("x", EntryType::Regular, 0);
    wrong.as_mut_bytes()[0] = b'y';
    let endless = header("l", EntryType::GNULongName, 2 << 20);
    let outside = {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..5].copy_from_slice(b"../x\0");
        header.set_size(0);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        header
    };
    for (what, bytes) in [
        ("truncated", truncated),
        ("huge", members(&[(huge, b"")])),
        ("wrong checksum", members(&[(wrong, b"")])),
        ("endless name", [members(&[(endless, b"")]), vec![b'a'; 2 << 20]].concat()),
        ("outside", members(&[(outside, b"")])),
        ("half a header", vec![b'x'; 100]),
        ("text", b"<html>".repeat(200)),
        ("malformed pax", members(&[(header("p", EntryType::XHeader, 9), b"99 path=q")])),
        ("pax of length 0", members(&[(header("p", EntryType::XHeader, 9), b"0 path=q\n")])),
        (
            "pax of a huge length",
            members(&[(header("p", EntryType::XHeader, 26), b"18446744073709551615 a=bc\n")]),
        ),
    ] {
        assert_eq!(open(&bytes).expect_err(what).kind(), io::ErrorKind::InvalidData, "{what}");
    }
}

#[test]
fn a_small_file_must_be_small() {
    let tar = open(&members(&[(header("x", EntryType::Regular, 5), b"12345")])).unwrap();
    assert!(tar.read("x", 4).is_err());
}

proptest! {
    #[test]
    fn damage_is_an_error_and_no_panic(at in 0usize..4096, byte: u8, cut in 0usize..4096) {
        let pax = b"12 path=xyz\n";
        let mut bytes = members(&[
            (header("p", EntryType::XHeader, pax.len() as u64), pax),
            (header("a", EntryType::Regular, 700), &[7; 700]),
            (header("b", EntryType::Regular, 3), b"abc"),
        ]);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(tar) = open(&bytes) {
            for name in ["a", "b", "xyz"] {
                if let Some(place) = tar.find(name) {
                    assert!(place.offset + place.size <= bytes.len() as u64);
                }
            }
        }
    }
}
