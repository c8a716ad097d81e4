//! What is written and read back, byte for byte and value for value.

mod abort;
mod format;
mod interop;
mod locality;
mod roundtrip;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use super::*;
use crate::compression::decode;
use crate::oci::Digest;
use crate::store::Store;
use crate::tree::testing::{file, linked, node, path, symlink};
use crate::tree::{Changes, Content, Inode, Kind, Meta, Node};

fn dir() -> Node {
    Node::implicit_dir()
}

fn changes<P: AsRef<[u8]>>(puts: impl IntoIterator<Item = (P, Node)>) -> Changes {
    Changes { puts: puts.into_iter().map(|(p, node)| (path(p), node)).collect(), ..Changes::default() }
}

fn options(compression: &str, threads: usize) -> Options {
    Options { compression: compression.parse().unwrap(), epoch: Epoch::ZERO, threads }
}

fn store() -> (tempfile::TempDir, Arc<Store>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    (dir, Arc::new(store))
}

fn tar_of(changes: &Changes) -> Vec<u8> {
    let mut bytes = Vec::new();
    tar::write(changes, Epoch::ZERO, &mut bytes).unwrap();
    bytes
}

fn blob(store: &Store, layer: &Layer) -> Vec<u8> {
    store.read_blob(&layer.descriptor, u64::MAX).unwrap()
}

fn uncompressed(blob: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    decode(blob).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Everything of changes that can be compared: with numbers for inodes in order of their first path, and bytes
/// for contents. Without times.
fn facts(changes: &Changes) -> Vec<String> {
    let mut inodes = BTreeMap::new();
    let mut facts = Vec::new();
    for (path, node) in &changes.puts {
        let what = match &node.kind {
            Kind::File { content, inode } => {
                let known = inodes.len();
                let group = inode.map(|inode| *inodes.entry(inode).or_insert(known));
                let bytes = content.read_bounded(u64::MAX).unwrap().unwrap();
                format!("file {group:?} {} {:?}", bytes.len(), Digest::of(&bytes))
            }
            kind => format!("{kind:?}"),
        };
        facts.push(format!("{path:?} {:?} {what}", node.meta));
    }
    facts.extend(changes.whiteouts.iter().map(|path| format!("whiteout {path:?}")));
    facts.extend(changes.opaques.iter().map(|path| format!("opaque {path:?}")));
    facts
}
