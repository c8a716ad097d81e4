//! Where overlayfs is refused: layers copied into one folder, and what a step did to it.
//!
//! A plain folder can't tell a file that was copied from one that was changed, so every file of the same size as
//! below is read. (Times prove nothing: a step may set them, and a clock has ticks.)

use std::path::Path;

use super::collect::look;
use super::{Disk, Notes, RootfsError, unpack};
use crate::tree::{Changes, ImagePath, Kind, Node, Tree};

/// Copies unpacked layers, the lowest first, into a folder that is new and empty. Where the file system can share
/// blocks, it does.
pub fn flatten(lowers: &[&Path], folder: &Path, disk: Disk) -> Result<Notes, RootfsError> {
    let mut merged = Tree::default();
    for lower in lowers {
        merged.apply(&look(lower, disk)?);
    }
    unpack(&Changes::from(&merged), folder, disk)
}

/// All that was [collected](super::collect) of such a folder after a step, said as an upper folder would say it: to be
/// [reduced](super::reduce). `devices` tells whether devices could be made in it; if not, they are taken to be where
/// they were.
pub fn as_upper(mut all: Changes, below: &Tree, devices: bool) -> Changes {
    all.whiteouts.clear();
    all.opaques = [ImagePath::root()].into();
    if !devices {
        let is_device = |kind: &Kind| matches!(kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. });
        for (path, node) in below.iter().filter(|(_, node)| is_device(&node.kind)) {
            let parent = path.parent().unwrap_or_default();
            if parent.is_root() || all.puts.get(&parent).is_some_and(Node::is_dir) {
                all.puts.entry(path.clone()).or_insert_with(|| node.clone());
            }
        }
    }
    all
}
