//! The paths of an archive as they come: what stands where, and where a path through links leads.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::{Item, ReadError, Slice, What, path, quote};
use crate::tree::{ImagePath, Meta};

/// How many symbolic links one path may lead through, as in Linux.
const MAX_LINKS: usize = 40;

/// How many parts of paths may be looked up on the way through links, for all entries together. Only an
/// archive that is made to be slow needs more.
const MAX_STEPS: usize = 10_000_000;

/// What stands where so far. Nothing stands below anything but a folder.
///
/// The keys have NUL for `/`, so that what is below a path follows it directly, and that the nearest key
/// before a path is the file or link that the path leads through, if there is one.
#[derive(Default)]
pub(super) struct Names {
    items: BTreeMap<Vec<u8>, Item>,
    /// The attributes of each group of names of one file, by its number less one.
    groups: Vec<Meta>,
    steps: usize,
}

fn key(path: &ImagePath) -> Vec<u8> {
    path.as_bytes().iter().map(|&b| if b == b'/' { 0 } else { b }).collect()
}

fn unkey(key: &[u8]) -> ImagePath {
    let bytes: Vec<u8> = key.iter().map(|&b| if b == 0 { b'/' } else { b }).collect();
    ImagePath::new(&bytes).expect("made of a path, which is normal")
}

impl Names {
    /// Where a path leads: through links of the archive, inside the root. Its last part is not followed.
    pub(super) fn resolve(&mut self, path: &ImagePath, entry: &str) -> Result<ImagePath, ReadError> {
        match self.leaf_above(&key(path)) {
            None => Ok(path.clone()),
            Some((_, What::Symlink(_))) => self.follow(path, entry),
            Some((leaf, _)) => Err(below_file(leaf, entry)),
        }
    }

    /// The link or file above `key`, if there is one: as nothing is below it, it comes right before.
    fn leaf_above(&self, key: &[u8]) -> Option<(&[u8], &What)> {
        let (leaf, item) = self.items.range::<[u8], _>((Unbounded, Excluded(key))).next_back()?;
        let rest = key.strip_prefix(&leaf[..])?;
        (item.what != What::Dir && rest.first() == Some(&0)).then_some((leaf, &item.what))
    }

    fn follow(&mut self, from: &ImagePath, entry: &str) -> Result<ImagePath, ReadError> {
        let too_many = || ReadError::TooManyLinks { entry: entry.into() };
        let parts = |bytes: &[u8]| -> Vec<Vec<u8>> {
            bytes.split(|&b| b == b'/').rev().map(<[u8]>::to_vec).collect()
        };
        let mut todo = parts(from.as_bytes());
        let mut links = 0;
        let mut at = Vec::new();
        while let Some(part) = todo.pop() {
            self.steps += 1;
            if self.steps > MAX_STEPS || todo.len() > ImagePath::MAX {
                return Err(too_many());
            }
            let parent = at.len();
            match &part[..] {
                b"" | b"." => {}
                b".." => at.truncate(at.iter().rposition(|&b| b == 0).unwrap_or(0)),
                part => {
                    if !at.is_empty() {
                        at.push(0);
                    }
                    at.extend_from_slice(part);
                }
            }
            if todo.is_empty() {
                break;
            }
            match self.items.get(&at).map(|item| &item.what) {
                None | Some(What::Dir) => {}
                Some(What::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(too_many());
                    }
                    at.truncate(if target.starts_with(b"/") { 0 } else { parent });
                    todo.extend(parts(target));
                }
                Some(_) => return Err(below_file(&at, entry)),
            }
        }
        let bytes: Vec<u8> = at.iter().map(|&b| if b == 0 { b'/' } else { b }).collect();
        path(&bytes, entry)
    }

    /// What a hard link from `from` to `target` is a name of; `None` if the archive doesn't hold it. The link's
    /// attributes become the file's.
    pub(super) fn link(
        &mut self,
        target: &ImagePath,
        meta: &Meta,
        from: &ImagePath,
        entry: &str,
    ) -> Result<Option<What>, ReadError> {
        if target == from {
            return Err(bad_link(entry));
        }
        let Some(item) = self.items.get_mut(&key(target)) else { return Ok(None) };
        match &mut item.what {
            What::Dir => return Err(bad_link(entry)),
            What::File(slice) => {
                let group = *slice.group.get_or_insert_with(|| {
                    self.groups.push(item.meta.clone());
                    u32::try_from(self.groups.len()).expect("memory is bounded")
                });
                set_meta(&mut self.groups[group as usize - 1], meta);
            }
            _ => set_meta(&mut item.meta, meta),
        }
        Ok(Some(item.what.clone()))
    }

    /// Puts an entry at a resolved path. What is no folder can't be the root.
    pub(super) fn put(&mut self, path: &ImagePath, item: Item) {
        if item.what != What::Dir {
            if path.is_root() {
                return;
            }
            self.remove_below(key(path));
        }
        self.items.insert(key(path), item);
    }

    fn remove_below(&mut self, mut key: Vec<u8>) {
        key.push(0);
        while let Some((below, _)) = self.items.range::<[u8], _>((Included(&key[..]), Unbounded)).next()
            && below.starts_with(&key)
        {
            let below = below.clone();
            self.items.remove(&below);
        }
    }

    pub(super) fn finish(self) -> BTreeMap<ImagePath, Item> {
        let groups = self.groups;
        let item = |mut item: Item| {
            if let What::File(Slice { group: Some(group), .. }) = item.what {
                item.meta.clone_from(&groups[group as usize - 1]);
            }
            item
        };
        self.items.into_iter().map(|(key, value)| (unkey(&key), item(value))).collect()
    }
}

/// What a hard link's header does to the file: it is as if it were chowned and chmodded. Extended attributes are
/// added to.
fn set_meta(file: &mut Meta, link: &Meta) {
    let xattrs = std::mem::take(&mut file.xattrs);
    *file = link.clone();
    for (name, value) in xattrs {
        file.xattrs.entry(name).or_insert(value);
    }
}

fn below_file(file: &[u8], entry: &str) -> ReadError {
    let file = unkey(file);
    ReadError::BelowFile { entry: entry.into(), file: quote(file.as_bytes()) }
}

fn bad_link(entry: &str) -> ReadError {
    ReadError::BadLink { entry: entry.into() }
}
