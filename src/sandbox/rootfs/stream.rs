//! Changes through a pipe, for where one process alone can read or write the files: a canonical tar, not compressed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::unpack::unpack;
use super::{Disk, Notes, RootfsError};
use crate::layer::{read as archive, tar};
use crate::store::Store;
use crate::tree::{Backing, Changes};

/// Writes changes, with the times that their nodes have.
pub fn write(changes: &Changes, out: &mut dyn Write) -> Result<(), RootfsError> {
    Ok(tar::write_as_dated(changes, out)?)
}

/// Reads what [`write()`] wrote; nothing in it is believed. Contents go to a temporary file of the store.
pub fn read(input: impl Read, store: &Store) -> Result<Changes, RootfsError> {
    from_tar(input, store.temp_file()?)
}

/// Unpacks what [`write()`] wrote into a folder that is new and empty. `spool` is an empty file for the contents.
pub fn unpack_stream(input: impl Read, spool: File, folder: &Path, disk: Disk) -> Result<Notes, RootfsError> {
    unpack(&from_tar(input, spool)?, folder, disk)
}

fn from_tar(input: impl Read, mut spool: File) -> Result<Changes, RootfsError> {
    let listing = archive::list(input, Some(&mut spool))?;
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(spool));
    Ok(listing.changes(&backing)?)
}
