//! Files as sinks need them: there whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::TransportError;

/// Where an archive goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    File(PathBuf),
}

impl Destination {
    /// Lets `write` write it. A file appears under its name only when that went well; what was there is replaced.
    pub(super) fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), TransportError>,
    ) -> Result<(), TransportError> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                write(&mut stdout)?;
                let failed = |error| TransportError::Io { what: "writing to standard output".into(), error };
                stdout.flush().map_err(failed)
            }
            Self::File(path) if is_special(path) => {
                let file = File::options().write(true).open(path);
                let mut file = file.map_err(TransportError::io("opening", path))?;
                write(&mut file)
            }
            Self::File(path) => {
                let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let mut file = temporary_in(folder).map_err(TransportError::io("writing", path))?;
                write(file.as_file_mut())?;
                file.persist(path).map(drop).map_err(|e| TransportError::io("writing", path)(e.error))
            }
        }
    }
}

/// A pipe or a device, which is written to instead of being replaced.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// A file that is removed again unless it is given its name, with the permissions that the umask allows.
pub(super) fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".lith-").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}

/// Writes a small file in one step.
pub(super) fn write_small(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary_in(path.parent().expect("it is in a folder"))?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Pours all of `reader` into `writer`, in pieces large enough for hashing and system calls to cost little.
pub(super) fn pump(reader: &mut dyn Read, writer: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => {
                writer.write_all(&buffer[..n])?;
                total += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
