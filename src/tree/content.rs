//! Where the bytes of a file come from.
//!
//! A tree holds no bytes, only the promise to produce them: always the same ones, or an error.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

/// A file's content. Clones share it, with its fingerprint once that is known.
#[derive(Debug, Clone)]
pub struct Content(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    size: u64,
    source: Source,
    fingerprint: OnceLock<Fingerprint>,
}

/// The BLAKE3 hash of a file's content: for cache keys and for noticing a change, never part of an output.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

/// The places that bytes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file of the build context, and what `lstat` said of it during the walk.
    File { path: Arc<PathBuf>, seen: Stat },
    /// A part of an uncompressed archive.
    Slice { file: Arc<dyn Backing>, offset: u64 },
    /// A heredoc, or something else made in memory.
    Bytes(Arc<[u8]>),
}

/// A file that many contents are slices of, made (unpacked, say) when the first of them is read.
pub trait Backing: fmt::Debug + Send + Sync {
    /// The file; repeated calls give the same one.
    fn file(&self) -> io::Result<Arc<File>>;

    /// The content with that fingerprint, if it can be had at less cost than the file.
    fn at_hand(&self, _fingerprint: &Fingerprint) -> Option<Arc<[u8]>> {
        None
    }
}

impl Backing for Arc<File> {
    fn file(&self) -> io::Result<Arc<File>> {
        Ok(Self::clone(self))
    }
}

/// What identifies the state of a file on disk. `ctime` can't be set by a user, so that equal stats mean equal
/// content, but for writes within one tick of the file system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    pub dev: u64,
    pub ino: u64,
    pub size: u64,
    /// Seconds and nanoseconds.
    pub mtime: (i64, i64),
    pub ctime: (i64, i64),
}

impl From<&std::fs::Metadata> for Stat {
    fn from(m: &std::fs::Metadata) -> Self {
        Self {
            dev: m.dev(),
            ino: m.ino(),
            size: m.size(),
            mtime: (m.mtime(), m.mtime_nsec()),
            ctime: (m.ctime(), m.ctime_nsec()),
        }
    }
}

/// Why content can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    #[error("reading `{what}`: {error}")]
    Io { what: String, error: io::Error },
    #[error("`{what}` changed while it was being read")]
    Changed { what: String },
    #[error("`{what}` gives more than the {size} bytes that its file system says it has")]
    Unbounded { what: String, size: u64 },
}

impl Content {
    pub fn new(size: u64, source: Source) -> Self {
        Self(Arc::new(Inner { size, source, fingerprint: OnceLock::new() }))
    }

    pub fn with_fingerprint(size: u64, source: Source, fingerprint: Fingerprint) -> Self {
        let content = Self::new(size, source);
        content.0.fingerprint.get_or_init(|| fingerprint);
        content
    }

    /// Content made in memory.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::new(bytes.len() as u64, Source::Bytes(bytes))
    }

    pub fn size(&self) -> u64 {
        self.0.size
    }

    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// The fingerprint, if it is known without reading.
    pub fn known_fingerprint(&self) -> Option<Fingerprint> {
        self.0.fingerprint.get().copied()
    }

    /// Whether both are the same bytes, if that is known without reading.
    pub fn known_same(&self, other: &Self) -> Option<bool> {
        if Arc::ptr_eq(&self.0, &other.0) || (self.0.size == 0 && other.0.size == 0) {
            return Some(true);
        }
        if self.0.size != other.0.size {
            return Some(false);
        }
        Some(self.known_fingerprint()? == other.known_fingerprint()?)
    }

    /// The fingerprint, by reading the content if need be.
    pub fn fingerprint(&self) -> Result<Fingerprint, ContentError> {
        match self.known_fingerprint() {
            Some(fingerprint) => Ok(fingerprint),
            None => {
                self.read_with(|_| Ok(()))?;
                Ok(self.known_fingerprint().expect("reading to the end sets it"))
            }
        }
    }

    /// Hands the whole content to `sink`, piece by piece, and makes sure that it is what it was: of the size
    /// that was seen, of the stat that was seen, of the fingerprint if one is known. Sets the fingerprint.
    ///
    /// An error of the sink is returned as it is.
    pub fn read_with<E: From<ContentError>>(
        &self,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut open = self.open()?;
        let mut buffer = vec![0; usize::try_from(self.0.size.min(64 << 10)).expect("small")];
        while open.left() > 0 {
            let n = usize::try_from(open.left().min(buffer.len() as u64)).expect("not more than the buffer");
            open.read_exact(&mut buffer[..n])?;
            sink(&buffer[..n])?;
        }
        Ok(open.finish()?)
    }

    /// Begins to read. For those who have a buffer of their own; others find [`Content::read_with`] easier.
    pub fn open(&self) -> Result<Reading<'_>, ContentError> {
        Ok(Reading { reader: self.reader()?, content: self, hash: blake3::Hasher::new(), left: self.0.size })
    }

    /// The whole content, if it is not larger than `limit` bytes.
    pub fn read_bounded(&self, limit: u64) -> Result<Option<Vec<u8>>, ContentError> {
        if self.0.size > limit {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.read_with(|piece| {
            bytes.extend_from_slice(piece);
            Ok::<_, ContentError>(())
        })?;
        Ok(Some(bytes))
    }

    fn reader(&self) -> Result<Reader, ContentError> {
        Ok(match &self.0.source {
            Source::Bytes(bytes) => Reader::Bytes(Cursor::new(Arc::clone(bytes))),
            Source::Slice { file, offset } => match self.at_hand(&**file) {
                Some(bytes) => Reader::Bytes(Cursor::new(bytes)),
                None => Reader::Slice { file: file.file().map_err(|e| self.io(e))?, offset: *offset },
            },
            Source::File { path, seen } => {
                // What was a file during the walk may be a link or a FIFO by now: neither is followed nor waited for.
                let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
                let flags = i32::try_from(flags.bits()).expect("open(2) takes an int");
                let file =
                    File::options().read(true).custom_flags(flags).open(&**path).map_err(
                        |error| match error.kind() {
                            // The last is where a folder on the way to it is something else by now.
                            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => self.changed(),
                            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                                self.changed()
                            }
                            _ => self.io(error),
                        },
                    )?;
                let reader = Reader::File { file, seen: *seen };
                reader.check_unchanged(self)?;
                reader
            }
        })
    }

    fn at_hand(&self, file: &dyn Backing) -> Option<Arc<[u8]>> {
        let bytes = file.at_hand(&self.known_fingerprint()?)?;
        (bytes.len() as u64 == self.0.size).then_some(bytes)
    }

    fn what(&self) -> String {
        match &self.0.source {
            Source::File { path, .. } => path.display().to_string(),
            Source::Slice { .. } => "a file of an archive".into(),
            Source::Bytes(_) => "a heredoc".into(),
        }
    }

    fn io(&self, error: io::Error) -> ContentError {
        ContentError::Io { what: self.what(), error }
    }

    fn changed(&self) -> ContentError {
        ContentError::Changed { what: self.what() }
    }
}

/// A content being read. What came out of it counts only once [`Reading::finish`] has said so.
pub struct Reading<'a> {
    content: &'a Content,
    reader: Reader,
    hash: blake3::Hasher,
    left: u64,
}

impl Reading<'_> {
    /// The bytes not yet read.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Fills the buffer, which must not be longer than what is left.
    pub fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), ContentError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => return Err(self.content.changed()),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.content.io(error)),
            }
        }
        self.hash.update(buffer);
        self.left = self.left.saturating_sub(buffer.len() as u64);
        Ok(())
    }

    /// Makes sure that the whole content was read and is what it was when it was first seen: of that size,
    /// stat and, where one is known, fingerprint. Sets the fingerprint.
    pub fn finish(mut self) -> Result<(), ContentError> {
        self.reader.check_unchanged(self.content)?;
        if self.left == 0 {
            self.reader.check_end(self.content)?;
        }
        let found = Fingerprint(*self.hash.finalize().as_bytes());
        if self.left > 0 || *self.content.0.fingerprint.get_or_init(|| found) != found {
            return Err(self.content.changed());
        }
        Ok(())
    }
}

/// For decoders, which take any reader. What they were given is sure only after [`Reading::finish`], too.
impl Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len()).min(1 << 20);
        self.read_exact(&mut buffer[..n]).map_err(io::Error::other)?;
        Ok(n)
    }
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("content", self.content)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

enum Reader {
    Bytes(Cursor<Arc<[u8]>>),
    Slice { file: Arc<File>, offset: u64 },
    File { file: File, seen: Stat },
}

impl Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => bytes.read(buffer),
            Self::File { file, .. } => file.read(buffer),
            Self::Slice { file, offset } => {
                let n = file.read_at(buffer, *offset)?;
                *offset += n as u64;
                Ok(n)
            }
        }
    }

    fn check_unchanged(&self, content: &Content) -> Result<(), ContentError> {
        let Self::File { file, seen } = self else { return Ok(()) };
        let now = Stat::from(&file.metadata().map_err(|error| content.io(error))?);
        if now == *seen { Ok(()) } else { Err(content.changed()) }
    }

    /// File systems like `/proc` have files of no size that hold something: taking them for empty would be wrong.
    fn check_end(&mut self, content: &Content) -> Result<(), ContentError> {
        let Self::File { file, .. } = self else { return Ok(()) };
        match rustix::io::retry_on_intr(|| rustix::io::read(&*file, &mut [0; 1])) {
            Ok(0) => Ok(()),
            Ok(_) => Err(ContentError::Unbounded { what: content.what(), size: content.size() }),
            Err(error) => Err(content.io(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(path: &std::path::Path) -> Content {
        let seen = Stat::from(&path.symlink_metadata().unwrap());
        Content::new(seen.size, Source::File { path: Arc::new(path.into()), seen })
    }

    #[test]
    fn bytes_and_slices_and_files_read_alike() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"hello").unwrap();
        let slice = Source::Slice { file: Arc::new(Arc::new(File::open(&path).unwrap())), offset: 1 };
        assert_eq!(on_disk(&path).read_bounded(5).unwrap().unwrap(), b"hello");
        assert_eq!(on_disk(&path).read_bounded(4).unwrap(), None);
        assert_eq!(Content::new(3, slice).read_bounded(9).unwrap().unwrap(), b"ell");
        assert_eq!(
            Content::from_bytes(*b"hello").fingerprint().unwrap(),
            on_disk(&path).fingerprint().unwrap()
        );
    }

    #[test]
    fn a_change_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"hello").unwrap();
        let shrunk = on_disk(&path);
        std::fs::write(&path, b"hell").unwrap();
        assert!(matches!(shrunk.fingerprint(), Err(ContentError::Changed { .. })));

        let replaced = on_disk(&path);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(replaced.fingerprint(), Err(ContentError::Changed { .. })));
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(matches!(replaced.fingerprint(), Err(ContentError::Changed { .. })));

        let below = dir.path().join("d/f");
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::fs::write(&below, b"hello").unwrap();
        let below = on_disk(&below);
        std::fs::remove_dir_all(dir.path().join("d")).unwrap();
        std::fs::write(dir.path().join("d"), b"").unwrap();
        assert!(matches!(below.fingerprint(), Err(ContentError::Changed { .. })));
    }

    #[test]
    fn a_file_that_holds_more_than_its_size_is_an_error() {
        let status = on_disk(std::path::Path::new("/proc/self/status"));
        assert_eq!(status.size(), 0);
        assert!(matches!(status.fingerprint(), Err(ContentError::Unbounded { size: 0, .. })));
    }

    #[test]
    fn a_slice_past_the_end_is_an_error() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let content = Content::new(10, Source::Slice { file: Arc::new(file), offset: 0 });
        assert!(content.fingerprint().is_err());
    }
}
