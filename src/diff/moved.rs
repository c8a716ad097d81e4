//! What stands elsewhere than before: files of the same content, and names that differ in one word.

use std::collections::{BTreeMap, BTreeSet};

use super::cause::{self, Cause};
use super::files::View;
use super::node::Entry;
use crate::tree::{ContentError, Fingerprint, ImagePath};

/// A file's old path and its new one, with what stands there.
pub(super) type Move<'a> = (&'a ImagePath, Entry<'a>, &'a ImagePath, Entry<'a>);

/// Takes out of both lists the files that are in the other as well. Empty files are all the same, and so are none.
pub(super) fn find<'a>(removed: &mut View<'a>, added: &mut View<'a>) -> Result<Vec<Move<'a>>, ContentError> {
    let mut gone: BTreeMap<Fingerprint, Vec<usize>> = BTreeMap::new();
    if removed.is_empty() || added.is_empty() {
        return Ok(Vec::new());
    }
    for (index, (_, entry)) in removed.iter().enumerate() {
        if let Some(fingerprint) = fingerprint(*entry)? {
            gone.entry(fingerprint).or_default().push(index);
        }
    }
    let (mut moves, mut came, mut went) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for (index, (path, entry)) in added.iter().enumerate() {
        let Some(fingerprint) = fingerprint(*entry)? else { continue };
        let Some(from) = gone.get_mut(&fingerprint) else { continue };
        // One of the same name, else the first.
        let same_name = from.iter().position(|&index| removed[index].0.name() == path.name());
        if from.is_empty() {
            continue;
        }
        let from = from.remove(same_name.unwrap_or(0));
        moves.push((removed[from].0, removed[from].1, *path, *entry));
        came.insert(index);
        went.insert(from);
    }
    drop_indexes(removed, &went);
    drop_indexes(added, &came);
    Ok(moves)
}

fn drop_indexes(view: &mut View<'_>, indexes: &BTreeSet<usize>) {
    let mut index = 0;
    view.retain(|_| {
        index += 1;
        !indexes.contains(&(index - 1))
    });
}

fn fingerprint(entry: Entry<'_>) -> Result<Option<Fingerprint>, ContentError> {
    let content = entry.node().and_then(|node| node.content()).filter(|content| content.size() > 0);
    content.map(crate::tree::Content::fingerprint).transpose()
}

/// Names that came in the place of others of the same folder which differ from them in what changes by itself.
pub(super) fn renamed<'a>(removed: &View<'a>, added: &View<'a>) -> BTreeMap<&'a ImagePath, BTreeSet<Cause>> {
    type Gone<'a> = BTreeMap<(ImagePath, Vec<u8>), Vec<&'a ImagePath>>;
    let key = |path: &ImagePath| Some((path.parent()?, shape(path.name())));
    let mut gone: Gone<'a> = BTreeMap::new();
    for (path, _) in removed {
        if let Some(key) = key(path) {
            gone.entry(key).or_default().push(path);
        }
    }
    let mut found = BTreeMap::new();
    for (path, _) in added {
        let Some(from) = key(path).and_then(|key| gone.get_mut(&key)?.pop()) else { continue };
        let causes = cause::of_words(from.name(), path.name());
        if !causes.is_empty() {
            found.insert(from, causes.clone());
            found.insert(*path, causes);
        }
    }
    found
}

/// A name without what may differ from run to run: of numbers and ids only that they are there.
fn shape(name: &[u8]) -> Vec<u8> {
    let mut shape = Vec::new();
    for word in name.split_inclusive(|byte| !byte.is_ascii_alphanumeric()) {
        if word.iter().any(u8::is_ascii_digit) || word.len() >= 6 {
            shape.push(b'#');
            shape.extend(word.last().filter(|byte| !byte.is_ascii_alphanumeric()));
        } else {
            shape.extend(word);
        }
    }
    shape
}
