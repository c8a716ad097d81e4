//! Finding the Buildfile.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lith::buildfile::Source;

use super::error::Hinted;

/// The names that are looked for in a context, in order.
pub(super) const NAMES: [&str; 3] = ["Buildfile", "Dockerfile", "Containerfile"];

/// Larger than any that somebody wrote.
const LIMIT: u64 = 16 << 20;

/// A Buildfile that was read, with its path if it has one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) source: Source,
    pub(super) path: Option<PathBuf>,
}

/// Reads `-f FILE` (`-` is standard input), or the first of the usual names in the context's folder.
pub(super) fn find(file: Option<&Path>, context: &Path) -> anyhow::Result<Found> {
    match file {
        Some(file) if file == Path::new("-") => {
            let bytes = read(std::io::stdin().lock(), Path::new("-"))?;
            Ok(Found { source: Source::new("-", bytes), path: None })
        }
        Some(file) => open(file).with_context(|| format!("reading the Buildfile `{}`", file.display())),
        None => look_up(context),
    }
}

fn look_up(context: &Path) -> anyhow::Result<Found> {
    for name in NAMES {
        let path = context.join(name);
        if path.is_file() {
            return open(&path);
        }
    }
    if !context.is_dir() {
        return Err(Hinted::new(format!("there is no folder `{}`", context.display())).into());
    }
    let error = Hinted::new(format!("`{}` has no {}", context.display(), NAMES.join(", ")));
    Err(error.hint("name the Buildfile with `-f FILE`").into())
}

fn open(path: &Path) -> anyhow::Result<Found> {
    if path.is_dir() {
        return Err(Hinted::new(format!("`{}` is a folder, not a Buildfile", path.display())).into());
    }
    let file = std::fs::File::open(path)?;
    let bytes = read(file, path)?;
    Ok(Found { source: Source::new(path.to_string_lossy(), bytes), path: Some(path.to_owned()) })
}

fn read(reader: impl std::io::Read, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LIMIT + 1).read_to_end(&mut bytes).with_context(|| format!("reading `{}`", path.display()))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Hinted::new(format!("`{}` has more than {LIMIT} bytes", path.display())).into());
    }
    Ok(bytes)
}
