//! How lith and its worker talk: frames of a length and a postcard value, over one socket.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Exit, Fault, Step, Stream};

/// What a worker is started for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// Everything that a step needs but the step.
    Probe(Box<Step>),
    Run(Box<Step>),
    /// Followed by the bytes of a layer's tar, in [`Chunk`]s.
    Unpack {
        #[serde(with = "path")]
        folder: std::path::PathBuf,
    },
    /// Answered with the bytes of a tar.
    Collect {
        #[serde(with = "path")]
        upper: std::path::PathBuf,
    },
    Remove {
        #[serde(with = "path")]
        path: std::path::PathBuf,
    },
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// It is in its user namespace and waits for the ids.
    Unmapped,
    Output(Stream, Vec<u8>),
    Bytes(Vec<u8>),
    /// The last one.
    Done(Result<Option<Exit>, Fault>),
}

/// Nobody sends more at once; a length beyond it is nonsense.
const FRAME: usize = 1 << 30;

pub(super) fn send<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let body = postcard::to_stdvec(value).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= FRAME);
    let length = length.ok_or_else(|| io::Error::other("a message is too long"))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend(length.to_le_bytes());
    frame.extend(body);
    to.write_all(&frame)
}

pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME {
        return Err(io::Error::other("a message is too long"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    postcard::from_bytes(&body).map_err(io::Error::other)
}

/// Paths are bytes: serde's own form refuses those that are not UTF-8.
pub(super) mod path {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in crate::sandbox) fn serialize<S: Serializer>(
        path: &Path,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(serializer)
    }

    pub(in crate::sandbox) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from_vec(Vec::deserialize(from)?).into())
    }
}

/// As [`path`], for several.
pub(super) mod paths {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::path::PathBuf;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(in crate::sandbox) fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(paths.iter().map(|path| path.as_os_str().as_bytes()))
    }

    pub(in crate::sandbox) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        let paths: Vec<Vec<u8>> = Vec::deserialize(from)?;
        Ok(paths.into_iter().map(|path| OsString::from_vec(path).into()).collect())
    }
}
