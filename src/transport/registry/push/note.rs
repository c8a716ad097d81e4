//! Notes of unfinished uploads, so that another process can go on with them.
//!
//! One small file for each blob and repository, which only its owner may read: an upload's URL may be as good as a
//! key. It is locked while it is used, so that no two processes send into one session. It is never needed.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::http::Url;
use crate::oci::Digest;
use crate::store::gc;
use crate::transport::registry::Repository;

/// Longer than any registry's URL.
const LIMIT: u64 = 16 << 10;

/// A note that is ours alone; or none, where notes can't be taken or another process has this one.
pub(super) struct Note(Option<Held>);

struct Held {
    path: PathBuf,
    file: File,
    url: Option<Url>,
}

impl Note {
    pub(super) fn open(folder: Option<&Path>, repository: &Repository, blob: &Digest) -> Self {
        let Some(folder) = folder else { return Self(None) };
        match Held::open(folder, path(folder, repository, blob)) {
            Ok(held) => Self(Some(held)),
            Err(error) => {
                log::debug!("no note of the upload of `{blob}` is taken: {error}");
                Self(None)
            }
        }
    }

    /// What an earlier process noted of a blob that has come all the same.
    pub(super) fn forget(folder: Option<&Path>, repository: &Repository, blob: &Digest) {
        if let Some(folder) = folder {
            drop(fs::remove_file(path(folder, repository, blob)));
        }
    }

    /// Where an earlier process left off.
    pub(super) fn url(&self) -> Option<Url> {
        self.0.as_ref()?.url.clone()
    }

    /// Notes where to go on.
    pub(super) fn write(&mut self, url: &Url) {
        let Some(held) = &mut self.0 else { return };
        if held.url.as_ref() == Some(url) {
            return;
        }
        match held.write(url) {
            Ok(()) => held.url = Some(url.clone()),
            Err(error) => log::debug!("noting an upload in `{}`: {error}", held.path.display()),
        }
    }

    /// The upload is finished, or lost.
    pub(super) fn remove(self) {
        if let Some(held) = self.0 {
            drop(fs::remove_file(&held.path));
        }
    }
}

fn path(folder: &Path, repository: &Repository, blob: &Digest) -> PathBuf {
    folder.join(blake3::hash(format!("{repository}\n{blob}").as_bytes()).to_hex().as_str())
}

impl Held {
    fn open(folder: &Path, path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let old = gc::is_stale(&path);
        let no_wait = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(no_wait.bits()).expect("open(2) takes an int");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        let file = options.open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut text = String::new();
        // What isn't a URL is as good as nothing.
        let read = (&file).take(LIMIT).read_to_string(&mut text);
        let url = read.ok().filter(|_| !old).and_then(|_| Url::parse(text.trim()));
        Ok(Self { path, file, url })
    }

    fn write(&mut self, url: &Url) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(url.text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn open(folder: &Path, blob: &[u8]) -> Note {
        let repository = Repository { registry: "r.test".into(), name: "a".into() };
        Note::open(Some(folder), &repository, &Digest::of(blob))
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_note_is_found_again_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let mut note = open(folder.path(), b"x");
        assert_eq!(note.url(), None);
        note.write(&url("http://r.test/a/long/place?_state=1"));
        note.write(&url("http://r.test/2"));
        drop(note);
        let note = open(folder.path(), b"x");
        assert_eq!(note.url(), Some(url("http://r.test/2")));
        let path = note.0.as_ref().unwrap().path.clone();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open(folder.path(), b"y").url(), None);
        note.remove();
        assert!(!path.exists());
        drop(open(folder.path(), b"x"));
        assert!(path.exists());
        let repository = Repository { registry: "r.test".into(), name: "a".into() };
        Note::forget(Some(folder.path()), &repository, &Digest::of(b"x"));
        assert!(!path.exists());
    }

    #[test]
    fn two_do_not_share_a_session() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = open(folder.path(), b"x");
        first.write(&url("http://r.test/1"));
        let mut second = open(folder.path(), b"x");
        assert_eq!(second.url(), None);
        second.write(&url("http://r.test/2"));
        second.remove();
        drop(first);
        assert_eq!(open(folder.path(), b"x").url(), Some(url("http://r.test/1")));
    }

    #[test]
    fn old_and_damaged_notes_are_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut note = open(folder.path(), b"x");
        note.write(&url("http://r.test/1"));
        let path = note.0.as_ref().unwrap().path.clone();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        drop(note);
        assert_eq!(open(folder.path(), b"x").url(), None);
        for damage in [&b"\xff\xfe"[..], b"not a url", b"file:///etc/passwd"] {
            fs::write(&path, damage).unwrap();
            assert_eq!(open(folder.path(), b"x").url(), None);
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(open(folder.path(), b"x").url(), None);
    }

    #[test]
    fn without_a_folder_nothing_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let mut note = open(&folder.path().join("file"), b"x");
        note.write(&url("http://r.test/1"));
        assert_eq!(note.url(), None);
        note.remove();
    }
}
