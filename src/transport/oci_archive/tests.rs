use std::path::PathBuf;

use expect_test::expect;
use tempfile::TempDir;

use super::*;
use crate::image::{Memory, load_all};
use crate::transport::file::pump;
use crate::transport::testing::{artifact, image, index};

fn write(dir: &TempDir, artifact: &Artifact, blobs: &Memory) -> PathBuf {
    let path = dir.path().join("image.tar");
    let names = vec![Name::from(&"app:1".parse().unwrap())];
    let mut sink = OciArchiveSink::new(Destination::File(path.clone()), names);
    assert_eq!(sink.put(artifact, blobs).unwrap(), artifact.digest());
    path
}

#[test]
fn what_is_put_is_found() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    for artifact in [artifact(&mut blobs), index(&mut blobs)] {
        let path = write(&dir, &artifact, &blobs);
        let archive = OciArchive::open(&path, &Choice::Tag("app:1".into())).unwrap();
        let found = load_all(&archive, archive.root()).unwrap();
        assert_eq!(found.digest(), artifact.digest());
        for blob in found.contents() {
            assert_eq!(pump(&mut *archive.open(blob).unwrap(), &mut io::sink()).unwrap(), blob.size());
        }
    }
}

#[test]
fn its_members_are_in_order_and_say_nothing_of_the_machine() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let artifact = artifact(&mut blobs);
    let bytes = std::fs::read(write(&dir, &artifact, &blobs)).unwrap();
    let mut listing = String::new();
    for entry in ::tar::Archive::new(&bytes[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let owner = (header.uid().unwrap(), header.gid().unwrap(), header.username_bytes().unwrap());
        assert_eq!((owner, header.mtime().unwrap()), ((0, 0, &b""[..]), 0));
        let path = String::from_utf8(entry.path_bytes().into()).unwrap();
        listing += &format!("{:o} {:>5} {:.30}\n", header.mode().unwrap(), entry.size(), path);
    }
    expect![[r#"
        755     0 blobs/
        755     0 blobs/sha256/
        644   580 blobs/sha256/551aca52a25dde217
        644  2048 blobs/sha256/79c70f5360f310219
        644   258 blobs/sha256/a5e618e1d2a5b3e6d
        644    99 blobs/sha256/f3cc2267937e4304b
        644   349 index.json
        644    30 oci-layout
    "#]]
    .assert_eq(&listing);
    assert_eq!(std::fs::read(write(&dir, &artifact, &blobs)).unwrap(), bytes);
    let (content, end) = bytes.split_at(bytes.len() - 1024);
    assert!(end == [0; 1024] && !content.ends_with(&[0; 512]), "two blocks of zeros, no more");
}

#[test]
fn an_archive_that_is_not_whole_never_appears() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let artifact = artifact(&mut blobs);
    let path = write(&dir, &artifact, &blobs);
    let before = std::fs::read(&path).unwrap();
    let elsewhere = Artifact::Image(image(&mut Memory::default(), "linux/arm64", &["gzip"]));
    let mut sink = OciArchiveSink::new(Destination::File(path.clone()), Vec::new());
    assert!(sink.put(&elsewhere, &blobs).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(walkdir::WalkDir::new(dir.path()).min_depth(1).into_iter().count(), 1);
}

#[test]
fn what_is_no_archive_of_a_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        OciArchive::open(&path, &Choice::Only).unwrap_err().to_string()
    };
    let mut empty = Vec::new();
    TarWriter::new(&mut empty).finish().unwrap();
    assert!(open(&empty).ends_with("is not an OCI archive: there is no `oci-layout` in it"));
    assert!(open(b"<html>").contains("truncated"));
    let mut huge = Vec::new();
    let mut tar = TarWriter::new(&mut huge);
    tar.file("oci-layout", MAX_MANIFEST + 1, &mut io::Read::take(io::repeat(b' '), MAX_MANIFEST + 1))
        .unwrap();
    tar.finish().unwrap();
    assert!(open(&huge).contains("has more than"));
}

#[test]
fn a_blob_that_lies_is_noticed() {
    let (dir, mut blobs) = (tempfile::tempdir().unwrap(), Memory::default());
    let artifact = artifact(&mut blobs);
    let path = write(&dir, &artifact, &blobs);
    let mut bytes = std::fs::read(&path).unwrap();
    let archive = OciArchive::open(&path, &Choice::Only).unwrap();
    for blob in artifact.contents() {
        let place = archive.tar.find(&blob_path(&digest(blob).unwrap())).unwrap();
        bytes[usize::try_from(place.offset).unwrap()] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let archive = OciArchive::open(&path, &Choice::Only).unwrap();
    for blob in artifact.contents() {
        let read = pump(&mut *archive.open(blob).unwrap(), &mut io::sink());
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
