//! How lith and its worker talk: frames of a length and a postcard value, over one socket.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::rootfs::{Disk, Notes, Settle};
use super::{Exit, Fault, Step, Stream};

/// What a worker is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) user_namespace: bool,
    /// It maps these as its root, and nobody else.
    pub(super) own_map: Option<(u32, u32)>,
    /// overlayfs keeps its marks where users may set them.
    pub(super) user_marks: bool,
}

/// What a worker is started for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    /// Everything that a step needs but the step.
    Probe(Box<Step>),
    /// Followed by standard input, as a descriptor, where the step has the terminal.
    Run(Box<Step>),
    /// Followed by the bytes of a tar, in chunks.
    Unpack {
        #[serde(with = "path")]
        folder: PathBuf,
        disk: Disk,
    },
    /// Answered with the bytes of a tar, in chunks, and [`Event::Done`].
    Collect {
        #[serde(with = "path")]
        upper: PathBuf,
        disk: Disk,
        epoch: u64,
    },
    Settle {
        #[serde(with = "path")]
        upper: PathBuf,
        plan: Settle,
        epoch: u64,
    },
    Flatten {
        #[serde(with = "paths")]
        lowers: Vec<PathBuf>,
        #[serde(with = "path")]
        folder: PathBuf,
        disk: Disk,
    },
    Remove {
        #[serde(with = "path")]
        path: PathBuf,
    },
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// It is in its user namespace and waits for the ids.
    Unmapped,
    Output(Stream, Vec<u8>),
    /// Followed by the socket that listens in the step's network, as a descriptor.
    Listening,
    /// Done, and what could not be kept.
    Noted(Notes),
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

/// Writes a stream in chunks, each with its length before it; [`ChunkWriter::end`] says that it is whole.
pub(super) struct ChunkWriter<W>(pub(super) W);

impl<W: Write> ChunkWriter<W> {
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.0.write_all(&0_u32.to_le_bytes())
    }
}

impl<W: Write> Write for ChunkWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(1 << 20)];
        if let Some(length) = u32::try_from(bytes.len()).ok().filter(|length| *length > 0) {
            self.0.write_all(&length.to_le_bytes())?;
            self.0.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Passes a descriptor on, with one byte.
pub(super) fn send_descriptor(to: &UnixStream, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    buffer.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(to, &[IoSlice::new(&[0])], &mut buffer, SendFlags::NOSIGNAL)?;
    Ok(())
}

pub(super) fn receive_descriptor(from: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut buffer = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut buffer, RecvFlags::CMSG_CLOEXEC)?;
    for message in buffer.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message
            && let Some(descriptor) = descriptors.next()
        {
            return Ok(descriptor);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Reads what a [`ChunkWriter`] wrote, to its end; a stream that breaks off before is an error.
pub(super) struct ChunkReader<R> {
    from: R,
    left: usize,
    ended: bool,
}

impl<R: Read> ChunkReader<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, left: 0, ended: false }
    }
}

impl<R: Read> Read for ChunkReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            let mut length = [0; 4];
            self.from.read_exact(&mut length)?;
            self.left = u32::from_le_bytes(length) as usize;
            self.ended = self.left == 0;
        }
        let wanted = into.len().min(self.left);
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.from.read(&mut into[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(read)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_whole() {
        let mut sent = ChunkWriter(Vec::new());
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        sent.write_all(&bytes).unwrap();
        sent.end().unwrap();
        let mut read = Vec::new();
        ChunkReader::new(&sent.0[..]).read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        for cut in [0, 3, 100, sent.0.len() - 1] {
            let error = ChunkReader::new(&sent.0[..cut]).read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }

    #[test]
    fn frames_are_bounded() {
        let frame = u32::MAX.to_le_bytes();
        assert!(receive::<Job>(&mut &frame[..]).is_err());
    }

    #[test]
    fn paths_are_bytes() {
        use std::os::unix::ffi::OsStrExt as _;
        let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"/a\xff"));
        let mut sent = Vec::new();
        send(&mut sent, &Job::Remove { path: odd.clone() }).unwrap();
        let Job::Remove { path } = receive(&mut &sent[..]).unwrap() else { panic!("another job") };
        assert_eq!(path, odd);
    }
}
