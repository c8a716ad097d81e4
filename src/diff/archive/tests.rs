use std::fs::File;

use super::*;
use crate::tree::Source;

fn scratch() -> io::Result<File> {
    tempfile::tempfile()
}

pub(in crate::diff) struct Member<'a> {
    pub(in crate::diff) name: &'a str,
    pub(in crate::diff) body: &'a [u8],
    pub(in crate::diff) method: u16,
    pub(in crate::diff) mode: u16,
}

pub(in crate::diff) fn member<'a>(name: &'a str, body: &'a str) -> Member<'a> {
    Member { name, body: body.as_bytes(), method: 8, mode: 0o100_644 }
}

/// A zip as zip programs write it.
pub(in crate::diff) fn zip(members: &[Member<'_>]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let mut body = member.body.to_vec();
        if member.method == 8 {
            let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
            body.resize(compressor.deflate_compress_bound(body.len()), 0);
            let n = compressor.deflate_compress(member.body, &mut body).unwrap();
            body.truncate(n);
        }
        let offset = u32::try_from(zip.len()).unwrap();
        let mut common = Vec::new();
        for field in [20, 0, member.method, 0, 0x21] {
            common.extend(u16::to_le_bytes(field));
        }
        for field in [libdeflater::crc32(member.body), size(&body), size(member.body)] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(member.name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        zip.extend([LOCAL, &common, member.name.as_bytes(), &body].concat());
        let attributes = u32::from(member.mode) << 16;
        let rest = [&[0; 6][..], &attributes.to_le_bytes(), &offset.to_le_bytes()].concat();
        directory.extend([ENTRY, &[20, 3], &common, &rest, member.name.as_bytes()].concat());
    }
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let (length, offset) = (size(&directory).to_le_bytes(), size(&zip).to_le_bytes());
    [&zip[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &length, &offset, b"\0\0"].concat()
}

const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

pub(in crate::diff) fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut ar = ar::MAGIC.to_vec();
    for (name, body) in members {
        ar.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 5, 0, 0, "100644", body.len()).bytes());
        ar.extend(*body);
        if body.len() % 2 == 1 {
            ar.push(b'\n');
        }
    }
    ar
}

/// As it comes out of a layer: not at the beginning of a file.
fn sliced(bytes: &[u8]) -> Content {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"before").unwrap();
    file.write_all(bytes).unwrap();
    file.write_all(b"after").unwrap();
    Content::new(bytes.len() as u64, Source::Slice { file: Arc::new(Arc::new(file)), offset: 6 })
}

fn read(bytes: &[u8]) -> Result<Opened, OpenError> {
    read_within(bytes, u64::MAX)
}

fn read_within(bytes: &[u8], mut left: u64) -> Result<Opened, OpenError> {
    let opened = |content: &Content, left: &mut u64| {
        let kind = kind(content).unwrap().expect("an archive");
        open(content, kind, &ImagePath::new(b"d/archive.gz").unwrap(), &scratch, left)
    };
    let first = opened(&Content::from_bytes(bytes), &mut left);
    let second = opened(&sliced(bytes), &mut left);
    if let (Ok(first), Ok(second)) = (&first, &second) {
        assert_eq!((first.order, first.unpacked), (second.order, second.unpacked));
    }
    second
}

fn text(opened: &Opened) -> Vec<String> {
    let node = |(path, node): (&ImagePath, &Node)| match (&node.kind, node.content()) {
        (NodeKind::Symlink(target), _) => format!("{path} -> {}", target.escape_ascii()),
        (_, Some(content)) => {
            let bytes = content.read_bounded(1000).unwrap().unwrap();
            format!("{path} {:o} {} {}", node.meta.mode, node.mtime, bytes.escape_ascii())
        }
        _ => format!("{path}/"),
    };
    opened.tree.iter().map(node).collect()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::compression::Compression::default().compress(bytes, &mut out).unwrap();
    out
}

#[test]
fn zips() {
    let stored = Member { method: 0, ..member("d/stored", "as it is") };
    let link = Member { mode: 0o120_777, ..member("d/link", "../x") };
    let whole = zip(&[member("d/", ""), member("x", "hello"), stored, link, member("empty", "")]);
    let opened = read(&whole).unwrap();
    assert_eq!(
        text(&opened),
        [
            "d/",
            "d/link -> ../x",
            "d/stored 644 315532800 as it is",
            "empty 644 315532800 ",
            "x 644 315532800 hello"
        ]
    );
    let swapped = read(&zip(&[member("b", "1"), member("a", "2")])).unwrap();
    let sorted = read(&zip(&[member("a", "2"), member("b", "1")])).unwrap();
    assert_ne!(swapped.order, sorted.order);
    assert!(read(&zip(&[])).unwrap().tree.is_empty());
}

#[test]
fn hostile_zips_are_refused() {
    let bomb = vec![0; 5 << 20];
    let bomb = zip(&[Member { body: &bomb, ..member("bomb", "") }]);
    assert!(matches!(read_within(&bomb, 1 << 20), Err(OpenError::Limit { what: "content", .. })));
    let whole = zip(&[member("name", "some text")]);
    let directory = whole.windows(4).rposition(|four| four == ENTRY).unwrap();
    let broken = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[directory + at] = value;
        read(&bytes).unwrap_err().to_string()
    };
    assert!(broken(8, 1).contains("encrypted"));
    assert!(broken(10, 99).contains("method 99"));
    assert!(broken(20, 200).contains("longer than the archive"));
    assert!(broken(24, 3).contains("another size"));
    assert!(broken(24, 200).contains("another size"));
    assert!(broken(28, 200).contains("cut"));
    assert!(broken(42, 200).contains("beyond its end"));
    assert!(broken(42, 4).contains("no header"));
    assert!(read(&whole[..whole.len() - 1]).unwrap_err().to_string().contains("no end record"));
    assert!(read(&zip(&[member("../../etc/passwd", "x")])).is_err());
    let many: Vec<String> = (0..140_000).map(|number| number.to_string()).collect();
    let many: Vec<Member<'_>> = many.iter().map(|name| Member { method: 0, ..member(name, "") }).collect();
    let many = many_zip(&many);
    assert!(matches!(read(&many), Err(OpenError::Limit { what: "names", .. })));
}

/// Whose count does not fit: it is not gone by.
fn many_zip(members: &[Member<'_>]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let one = self::zip(std::slice::from_ref(member));
        let at = one.windows(4).position(|four| four == ENTRY).unwrap();
        let end = one.windows(4).rposition(|four| four == b"PK\x05\x06").unwrap();
        let offset = size(&zip);
        zip.extend(&one[..at]);
        let mut entry = one[at..end].to_vec();
        entry[42..46].copy_from_slice(&offset.to_le_bytes());
        directory.extend(entry);
    }
    let (length, offset) = (size(&directory).to_le_bytes(), size(&zip).to_le_bytes());
    [&zip[..], &directory, b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length, &offset, b"\0\0"].concat()
}

#[test]
fn ars() {
    let table: &[u8] = b"a-name-that-is-long.o/\nanother-long-name.o/\n";
    let whole = ar(&[
        ("//", table),
        ("/0", b"one"),
        ("/23", b"two!"),
        ("short.o/", b""),
        ("debian-binary", b"2.0\n"),
        ("#1/4", b"bsd\0body"),
        ("short.o/", b"again"),
    ]);
    assert_eq!(
        text(&read(&whole).unwrap()),
        [
            "a-name-that-is-long.o 644 5 one",
            "another-long-name.o 644 5 two!",
            "bsd 644 5 body",
            "debian-binary 644 5 2.0\\n",
            "short.o 644 5 ",
            "short.o#2 644 5 again",
        ]
    );
    for (broken, why) in [
        (ar(&[("/9", b"x")]), "table"),
        (ar(&[("#1/9", b"x")]), "longer than its member"),
        (ar(&[("a", b"x")])[..68].to_vec(), "longer than the archive"),
        ([ar::MAGIC, &[b'x'; 60]].concat(), "no header"),
    ] {
        assert!(read(&broken).unwrap_err().to_string().contains(why), "{why}");
    }
    let dots = ar(&[("../../etc", b"x")]);
    assert_eq!(text(&read(&dots).unwrap()), ["..\\x2f..\\x2fetc 644 5 x"]);
}

#[test]
fn compressed_files_and_tars() {
    let opened = read(&gz(b"plain text")).unwrap();
    assert_eq!((opened.format.as_str(), text(&opened)), ("gz", vec!["archive 644 0 plain text".into()]));
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o600);
    header.set_mtime(7);
    tar.append_data(&mut header, "f", &b"hi"[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let opened = read(&gz(&tar)).unwrap();
    assert_eq!((opened.format.as_str(), text(&opened)), ("tar.gz", vec!["f 600 7 hi".into()]));
    assert_eq!(read(&tar).unwrap().unpacked, opened.unpacked);
    let bomb = gz(&vec![0; 8 << 20]);
    assert!(matches!(read_within(&bomb, 1 << 20), Err(OpenError::Limit { .. })));
    assert!(read(&gz(b"cut")[..15]).is_err());
}

#[test]
fn what_is_no_archive() {
    for bytes in [&b""[..], b"PK", b"text", b"\x7fELF", &[0; 512]] {
        assert_eq!(kind(&Content::from_bytes(bytes)).unwrap(), None);
    }
}
