//! Finding the Buildfile: a file of this machine, standard input, or a file of a context that is no folder.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::outside::{Outside, OutsideError};
use crate::buildfile::Source;
use crate::context::ContextSpec;
use crate::plan::ContextName;
use crate::tree::{ContentError, ImagePath};

/// The names that are looked for in a context, in order.
pub const NAMES: [&str; 3] = ["Buildfile", "Dockerfile", "Containerfile"];

/// Larger than any that somebody wrote.
const LIMIT: u64 = 16 << 20;

/// Which file is the Buildfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildFileChoice {
    /// A path of this machine; of a context that is no folder, a path in it.
    Path(PathBuf),
    Stdin,
    /// The first of [`NAMES`] in the context.
    LookUp,
}

/// Why there is no Buildfile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    #[error("reading the Buildfile `{}`: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("reading the Buildfile: {0}")]
    Content(#[from] ContentError),
    #[error("the Buildfile `{}` has more than {LIMIT} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("there is no folder `{}`", .0.display())]
    NoFolder(PathBuf),
    #[error("{place} has no {}", NAMES.join(", "))]
    NotFound { place: String },
    #[error("the context has no file `{}`", .0.display())]
    NotInContext(PathBuf),
}

impl Outside {
    /// Reads the Buildfile.
    pub fn source(&mut self, choice: &BuildFileChoice) -> Result<Source, OutsideError> {
        match choice {
            BuildFileChoice::Stdin => Ok(Source::new("-", read(io::stdin().lock(), Path::new("-"))?)),
            BuildFileChoice::Path(path) => match &self.contexts.main {
                Some(ContextSpec::Folder(_)) | None => self.file(path),
                Some(_) => self.inside(&[path]),
            },
            BuildFileChoice::LookUp => match &self.contexts.main {
                Some(ContextSpec::Folder(folder)) => {
                    let path = look_up(folder)?;
                    self.file(&path)
                }
                Some(_) => self.inside(&NAMES.map(Path::new)),
                None => Err(OutsideError::NoContext),
            },
        }
    }

    fn file(&mut self, path: &Path) -> Result<Source, OutsideError> {
        let file = File::open(path).map_err(|error| SourceError::Io { path: path.into(), error })?;
        let bytes = read(file, path)?;
        self.build_file = Some(path.to_owned());
        Ok(Source::new(path.to_string_lossy(), bytes))
    }

    /// The first of these files in a context that is no folder.
    fn inside(&self, names: &[&Path]) -> Result<Source, OutsideError> {
        let opened = self.open(&ContextName::Main)?;
        if let Some(lone) = &opened.lone_build_file {
            return Ok(Source::new("-", lone.clone()));
        }
        for name in names {
            let path = ImagePath::clamped(std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str()));
            let content = path.ok().and_then(|path| opened.whole.get(&path)?.content().cloned());
            let Some(content) = content else { continue };
            let bytes = content.read_bounded(LIMIT).map_err(SourceError::from)?;
            let bytes = bytes.ok_or_else(|| SourceError::TooLarge(name.to_path_buf()))?;
            return Ok(Source::new(name.to_string_lossy(), bytes));
        }
        Err(match names {
            [one] => SourceError::NotInContext(one.to_path_buf()),
            _ => SourceError::NotFound { place: "the context".into() },
        }
        .into())
    }
}

fn look_up(folder: &Path) -> Result<PathBuf, SourceError> {
    if !folder.is_dir() {
        return Err(SourceError::NoFolder(folder.into()));
    }
    let found = NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| SourceError::NotFound { place: format!("`{}`", folder.display()) })
}

fn read(reader: impl Read, path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    let read = reader.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error| SourceError::Io { path: path.into(), error })?;
    if bytes.len() as u64 > LIMIT {
        return Err(SourceError::TooLarge(path.into()));
    }
    Ok(bytes)
}
