//! Reading one file of a folder that a stranger may have made: links are resolved inside it, and only a regular
//! file of bounded size is read, without ever waiting for it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::ContextError;

/// The content of the file `path` of `root`; `None` if there is none. A link is resolved as if `root` were `/`.
pub fn read(root: &Path, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ContextError> {
    let shown = root.join(path);
    finish(open(root, path), &shown, limit)
}

/// The content of a file of this machine, links followed anywhere; `None` if there is none.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ContextError> {
    finish(open_unblocked(path), path, limit)
}

fn finish(file: io::Result<File>, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ContextError> {
    let io = |error| ContextError::Io { path: path.into(), error };
    let file = match file {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        file => file.map_err(io)?,
    };
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(ContextError::Folder(path.into()));
    }
    if !metadata.is_file() {
        return Err(ContextError::NotAFile(path.into()));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(ContextError::TooLarge { path: path.into(), limit });
    }
    Ok(Some(bytes))
}

fn open(root: &Path, path: &Path) -> io::Result<File> {
    let folder = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // EAGAIN: something was renamed at the same time, and the kernel could not be sure.
    for _ in 0..16 {
        match rustix::fs::openat2(&folder, path, flags, Mode::empty(), resolve) {
            Ok(file) => return Ok(file.into()),
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS | Errno::PERM) => return open_resolved(root, path),
            Err(error) => return Err(error.into()),
        }
    }
    open_resolved(root, path)
}

/// For kernels and sandboxes without `openat2`: a link out of the folder leads nowhere.
fn open_resolved(root: &Path, path: &Path) -> io::Result<File> {
    let resolved = root.join(path).canonicalize()?;
    if !resolved.starts_with(root.canonicalize()?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    open_unblocked(&resolved)
}

fn open_unblocked(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).expect("open(2) takes an int");
    File::options().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_resolved_inside_either_way() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(dir.path().join("outside"), "no").unwrap();
        std::fs::write(root.join("sub/file"), "yes").unwrap();
        symlink("sub/file", root.join("inner")).unwrap();
        symlink("/sub/file", root.join("absolute")).unwrap();
        symlink("../outside", root.join("outer")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (name, expected) in [
            ("sub/file", Some("yes")),
            ("inner", Some("yes")),
            ("absolute", Some("yes")),
            ("outer", None),
            ("x/y", None),
        ] {
            let found = read(&root, Path::new(name), 9).unwrap();
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{name}");
        }
        assert!(read(&root, Path::new("loop"), 9).is_err());
        assert!(matches!(read(&root, Path::new("sub"), 9), Err(ContextError::Folder(_))));
        assert!(open_resolved(&root, Path::new("inner")).is_ok());
        assert!(open_resolved(&root, Path::new("outer")).is_err());
    }
}
