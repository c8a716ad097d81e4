//! How a root file system stands on a disk, which depends on who wrote it.

use rustix::fs::{Gid, Uid};
use serde::{Deserialize, Serialize};

use crate::layer::tar::keeps_xattr;
use crate::tree::Kind;

/// Whose ids the files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ids {
    /// Those of the image, as they are seen where the files are written: by root, or in a user namespace that has
    /// them all.
    Real,
    /// One for all, in a user namespace of one id. Who owns what is known by the tree alone.
    Single,
}

/// How it is marked that something hides what is below: by which attributes overlayfs is told to keep its marks in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Marks {
    /// `trusted.overlay.`, which root may set.
    Trusted,
    /// `user.overlay.`, for mounts with `userxattr`.
    User,
    /// For [`flatten`](super::flatten) alone: in empty files named as in a layer's archive. A folder that is itself in
    /// an overlayfs, as a container's are, can hold no device 0:0.
    Files,
}

/// The name of the file that marks an opaque folder, and what begins those of whiteouts (image-spec, layer.md).
pub(super) const OPAQUE: &str = ".wh..wh..opq";
pub(super) const WHITEOUT: &str = ".wh.";

/// How a root file system stands on a disk. What was written in one way is of no use in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub ids: Ids,
    pub marks: Marks,
}

impl Disk {
    /// Written by root.
    pub const ROOT: Self = Self { ids: Ids::Real, marks: Marks::Trusted };
    /// Written in a user namespace.
    pub const USER: Self = Self { ids: Ids::Real, marks: Marks::User };
    /// Written in a user namespace that has one id.
    pub const SINGLE: Self = Self { ids: Ids::Single, marks: Marks::User };

    /// The same for folders that are not laid over each other.
    pub fn flat(self) -> Self {
        Self { marks: Marks::Files, ..self }
    }

    pub(super) fn owner(self, uid: u32, gid: u32) -> Option<(Uid, Gid)> {
        // The id that says "leave it" is none that a file can have.
        let nobody = uid == u32::MAX || gid == u32::MAX;
        (self.ids == Ids::Real && !nobody).then(|| (Uid::from_raw(uid), Gid::from_raw(gid)))
    }

    /// The name of one of overlayfs's attributes.
    pub(super) fn mark(self, name: &str) -> String {
        format!("{}{name}", self.marks.prefix())
    }
}

impl Marks {
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.",
            Self::User | Self::Files => "user.overlay.",
        }
    }
}

/// Whether an attribute of an image stands on the disk. What overlayfs would take for its own must not: a layer
/// could lead it anywhere.
pub(super) fn keeps(name: &[u8]) -> bool {
    keeps_xattr(name) && !name.starts_with(b"user.overlay.")
}

/// Whether such a node can have the attribute on every file system that has any.
pub(super) fn can_have(kind: &Kind, name: &[u8]) -> bool {
    keeps(name) && matches!(kind, Kind::File { .. } | Kind::Dir)
}
