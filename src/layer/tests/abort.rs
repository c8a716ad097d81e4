//! A layer that can't be finished leaves nothing behind.

use std::os::unix::fs::FileExt as _;

use super::*;
use crate::tree::{Source, Stat};

fn on_disk(path: &std::path::Path) -> Node {
    let seen = Stat::from(&path.symlink_metadata().unwrap());
    let source = Source::File { path: Arc::new(path.into()), seen };
    node(0o644, Kind::File { content: Content::new(seen.size, source), inode: None })
}

fn nothing_is_left(root: &std::path::Path) {
    let files: Vec<_> = walkdir::WalkDir::new(root)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_type().is_dir() && entry.path().metadata().unwrap().len() > 100)
        .collect();
    assert!(files.is_empty(), "{files:?}");
}

#[test]
fn a_file_that_changes_ends_it() {
    for threads in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let changed = dir.path().join("changed");
        std::fs::write(&changed, vec![1; 3 << 20]).unwrap();
        let large = (0..6).map(|i| (format!("{i}"), file(vec![i; 2 << 20])));
        let changes = changes(large.chain([("x".to_string(), on_disk(&changed))]));
        let file = std::fs::File::options().write(true).open(&changed).unwrap();
        file.write_at(b"different", 2 << 20).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        let (root, store) = store();
        let error = create(&store, &changes, &options("gzip:1", threads)).unwrap_err();
        assert!(matches!(error, LayerError::Content(ContentError::Changed { .. })), "{error}");
        drop(store);
        nothing_is_left(root.path());
    }
}

#[test]
fn a_file_that_is_gone_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    std::fs::write(&gone, b"x").unwrap();
    let changes = changes([("x", on_disk(&gone))]);
    std::fs::remove_file(&gone).unwrap();
    let (root, store) = store();
    assert!(create(&store, &changes, &options("gzip", 2)).is_err());
    drop(store);
    nothing_is_left(root.path());
}

struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(1) {
            None => Err(io::ErrorKind::StorageFull.into()),
            Some(left) => {
                self.0 = left;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_it() {
    let changes = changes((0..40_u8).map(|i| (format!("{i}"), file(vec![i; 1 << 20]))));
    let entries = entries::entries(&changes).unwrap();
    for writes in [0, 1, 5, 39] {
        for threads in [1, 2, 7] {
            let result = pipeline::write(&entries, &options("gzip:1", threads), &mut Full(writes));
            let error = result.unwrap_err();
            assert!(
                matches!(&error, LayerError::Write(error) if error.kind() == io::ErrorKind::StorageFull),
                "{error:?}"
            );
        }
    }
}
