//! Bodies on their way: from the world into the store, from the store to the program. Never more of one in memory than a
//! piece.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::ops::Range;

use crate::context::url::LIMIT;
use crate::oci::Descriptor;
use crate::store::{BlobWriter, Store, StoreError};
use crate::text::shown;

const PIECE: usize = 128 << 10;

/// A body that is whole, but for what the program still has to get.
pub(super) struct Pulled {
    pub(super) writer: BlobWriter,
    /// The last piece: to be given only when all is verified, and noted.
    pub(super) held: Vec<u8>,
}

/// Why a body is not whole.
#[derive(Debug)]
pub(super) enum PullError {
    Source(String),
    Store(StoreError),
}

/// Reads a body of that length into the store. The program gets it piece by piece, if it is to; when it goes away in the
/// middle, the rest is read all the same.
pub(super) fn pull(
    store: &Store,
    body: &mut dyn Read,
    length: Option<u64>,
    mut program: Option<&mut dyn Write>,
) -> Result<Pulled, PullError> {
    let mut writer = store.writer().map_err(PullError::Store)?;
    let (mut size, mut piece, mut held) = (0, vec![0; PIECE], Vec::new());
    loop {
        let read = match body.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(PullError::Source(shown(&error))),
            Ok(read) => read,
        };
        size += read as u64;
        if size > LIMIT {
            return Err(PullError::Source(format!("it has more than {LIMIT} bytes")));
        }
        let io = |error| StoreError::Io { doing: "writing a blob to", path: store.root().to_owned(), error };
        writer.write_all(&piece[..read]).map_err(|error| PullError::Store(io(error)))?;
        if program.as_mut().is_some_and(|program| program.write_all(&held).is_err()) {
            program = None;
        }
        held.clear();
        held.extend_from_slice(&piece[..read]);
    }
    if length.is_some_and(|length| length != size) {
        return Err(PullError::Source("the connection was closed before the end".into()));
    }
    Ok(Pulled { writer, held })
}

/// Why a body was not given to its end.
#[derive(Debug)]
pub(super) enum GiveError {
    /// The program is gone.
    Program,
    /// The bytes can't be read, or are others.
    Store(io::Error),
}

/// Gives a blob that was verified before. One that has become another meanwhile breaks off before its end.
pub(super) fn give(store: &Store, blob: &Descriptor, out: &mut dyn Write) -> Result<(), GiveError> {
    let reader = store.open_blob(blob).map_err(|error| GiveError::Store(io::Error::other(error)))?;
    copy(reader, out).map(drop)
}

/// Gives a part of a blob that was verified before.
pub(super) fn give_part(
    store: &Store,
    blob: &Descriptor,
    range: &Range<u64>,
    out: &mut dyn Write,
) -> Result<(), GiveError> {
    let digest = crate::store::digest_of(blob).map_err(GiveError::Store)?;
    let mut file = File::open(store.blob_path(&digest)).map_err(GiveError::Store)?;
    file.seek(SeekFrom::Start(range.start)).map_err(GiveError::Store)?;
    let length = range.end - range.start;
    match copy(file.take(length), out)? {
        copied if copied == length => Ok(()),
        _ => Err(GiveError::Store(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// The last piece is given when the reader has said that this was all.
fn copy(mut reader: impl Read, out: &mut dyn Write) -> Result<u64, GiveError> {
    let (mut piece, mut held, mut copied) = (vec![0; PIECE], Vec::new(), 0);
    let gone = |_| GiveError::Program;
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(GiveError::Store(error)),
            Ok(read) => read,
        };
        copied += read as u64;
        out.write_all(&held).map_err(gone)?;
        held.clear();
        held.extend_from_slice(&piece[..read]);
    }
    out.write_all(&held).and_then(|()| out.flush()).map_err(gone)?;
    Ok(copied)
}

/// Reads a blob to its end, to know whether it is what it should be.
pub(super) fn verify(store: &Store, blob: &Descriptor) -> io::Result<()> {
    let mut reader = store.open_blob(blob).map_err(io::Error::other)?;
    io::copy(&mut reader, &mut io::sink()).map(drop)
}
