//! From text to a lock. The text may be a stranger's, or what a merge has left.

use std::str::FromStr;

use serde::Deserialize;

use super::{Lock, VERSION};
use crate::text::shown;

/// Why a text is no lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    #[error("line {line}: a merge has left its marks here")]
    Merge { line: usize },
    #[error("it is of version {found}, and this lith knows version {VERSION}")]
    Version { found: u64 },
    /// Not JSON, or not as a lock is; the line is in the text.
    #[error("{0}")]
    Syntax(String),
}

impl FromStr for Lock {
    type Err = LockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(line) = merge_mark(text) {
            return Err(LockError::Merge { line });
        }
        // First of all the version: another one may be another format altogether.
        let Version { version } = serde_json::from_str(text).map_err(|error| syntax(&error))?;
        if version != u64::from(VERSION) {
            return Err(LockError::Version { found: version });
        }
        serde_json::from_str(text).map_err(|error| syntax(&error))
    }
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

fn syntax(error: &serde_json::Error) -> LockError {
    LockError::Syntax(shown(error))
}

/// The first line, from 1, that git's merge has left.
fn merge_mark(text: &str) -> Option<usize> {
    let is_mark =
        |line: &str| ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].iter().any(|m| line.starts_with(m));
    text.lines().position(is_mark).map(|index| index + 1)
}
