//! Root file systems on a disk: layers unpacked into folders that overlayfs can lay over each other, and what a step
//! left in its upper folder as [`Changes`](crate::tree::Changes).
//!
//! [`complete`] makes of a layer's changes what has to stand in its folder, given the tree below; [`unpack`] writes
//! that. [`collect`] reads an upper folder, [`reduce`] finds what of it is a change, and [`settle`] makes of the
//! folder what [`unpack`] would have made of that change. Where contents can be read in another process alone, both
//! ways lead through a pipe: [`stream`]. [`flatten`] is for where overlayfs is refused.
//!
//! Invariant: every path is reached from the descriptor of its folder's root, and no link is followed.

mod beneath;
mod collect;
mod complete;
mod disk;
mod flatten;
mod notes;
mod reduce;
mod remove;
mod settle;
pub mod stream;
mod unpack;

#[cfg(test)]
mod tests;

use std::io;

pub use collect::collect;
pub use complete::{Completed, complete};
pub use disk::{Disk, Ids, Marks};
pub use flatten::{as_upper, flatten};
pub use notes::{Note, Notes};
pub use reduce::{Reduced, Settle, reduce};
pub use remove::remove;
pub use settle::{prepare, settle};
pub use unpack::unpack;

use crate::layer::{LayerError, ListingError, ReadError};
use crate::store::StoreError;
use crate::tree::{ContentError, ImagePath, PathError};

/// Why a root file system can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsError {
    #[error("{doing} `{}` in a root file system: {error}", .path.display())]
    Io { doing: &'static str, path: ImagePath, error: io::Error },
    #[error("`{}` belongs to {uid}:{gid}, which this user may not give to files", .path.display())]
    Owner { path: ImagePath, uid: u32, gid: u32 },
    #[error("`{}` stands where overlayfs's `{attribute}` says, which lith mounts without", .path.display())]
    Elsewhere { path: ImagePath, attribute: &'static str },
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RootfsError {
    fn io<E: Into<io::Error>>(doing: &'static str, path: &ImagePath) -> impl FnOnce(E) -> Self {
        move |error| Self::Io { doing, path: path.clone(), error: error.into() }
    }
}
