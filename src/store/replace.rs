//! A file of the user's, replaced: whoever reads it sees the old bytes or the new ones, whole.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The new bytes on the disk, beside what they replace and with its mode. Where that is a link, it stays one.
#[derive(Debug)]
pub struct Replacement {
    file: NamedTempFile,
    path: PathBuf,
}

impl Replacement {
    /// Does all that is likely to fail.
    pub fn prepare(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mode = path.metadata().map_or(0o644, |old| old.permissions().mode() & 0o777);
        let mut file = tempfile::Builder::new().prefix(".lith-").tempfile_in(folder(&path))?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(Self { file, path })
    }

    pub fn put(self) -> io::Result<()> {
        self.file.persist(&self.path)?;
        File::open(folder(&self.path))?.sync_all()
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
