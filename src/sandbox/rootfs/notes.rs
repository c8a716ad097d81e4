//! What could not be kept on the disk.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tree::ImagePath;

/// What could not be kept, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Notes(BTreeMap<Lost, (u64, ImagePath)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Lost {
    Xattr,
    Device,
    WhiteoutDevice,
}

/// One kind, of how many paths, and the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note<'a> {
    lost: Lost,
    pub count: u64,
    pub first: &'a ImagePath,
}

impl Notes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Note<'_>> {
        self.0.iter().map(|(&lost, (count, first))| Note { lost, count: *count, first })
    }

    pub fn merge(&mut self, other: Self) {
        for (lost, (count, first)) in other.0 {
            self.0.entry(lost).or_insert((0, first)).0 += count;
        }
    }

    pub(super) fn add(&mut self, lost: Lost, path: &ImagePath) {
        self.0.entry(lost).or_insert_with(|| (0, path.clone())).0 += 1;
    }
}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.lost {
            Lost::Xattr => "extended attributes can't be set here",
            Lost::Device => "this user may make no device",
            Lost::WhiteoutDevice => "overlayfs takes the device 0:0 for a mark of its own",
        };
        write!(f, "{what}: `{}`", self.first.display())?;
        if self.count > 1 { write!(f, " and {} more", self.count - 1) } else { Ok(()) }
    }
}
