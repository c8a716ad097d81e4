//! What a root file system holds, as a value: paths, nodes, and the changes that a layer makes.
//!
//! No I/O happens here, but for [`Content`]'s readers. A [`Tree`] is whole (a merged root file system or a
//! build context); [`Changes`] are what one layer adds, replaces and takes away.

mod changes;
mod content;
mod diff;
mod node;
mod path;
pub mod pattern;
#[cfg(test)]
pub(crate) mod testing;

pub use changes::{Changes, Tree};
pub use content::{Backing, Content, ContentError, Fingerprint, Reading, Source, Stat};
pub use node::{Inode, Kind, Meta, Node};
pub use path::{ImagePath, PathError};
