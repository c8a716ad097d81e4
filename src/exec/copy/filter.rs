//! Which of the paths below a source are wanted: `--exclude`, and the pattern of `--parents`.

use crate::tree::ImagePath;
use crate::tree::pattern::{Cursor, Ignore, IgnoreError};

/// Patterns over paths relative to their source.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Without it, all that is not left out is wanted.
    wanted: Option<Ignore>,
    left_out: Ignore,
}

impl Filter {
    pub(super) fn new(wanted: Option<&str>, left_out: &[String]) -> Result<Self, IgnoreError> {
        let wanted = wanted.map(|pattern| Ignore::from_patterns([pattern])).transpose()?;
        Ok(Self { wanted, left_out: Ignore::from_patterns(left_out)? })
    }

    pub(super) fn leaves_out(&self, path: &ImagePath) -> bool {
        self.left_out.excludes(path.as_bytes())
    }

    /// Asks about the paths of one walk.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { wanted: self.wanted.as_ref().map(Ignore::cursor), left_out: self.left_out.cursor() }
    }
}

/// A [`Filter`] in use, which remembers the verdicts on folders.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    wanted: Option<Cursor<'a>>,
    left_out: Cursor<'a>,
}

impl Walk<'_> {
    /// Whether the path itself is wanted. A folder that isn't may have something in it that is.
    pub(super) fn wants(&mut self, path: &ImagePath) -> bool {
        let path = path.as_bytes();
        self.wanted.as_mut().is_none_or(|wanted| wanted.excludes(path)) && !self.left_out.excludes(path)
    }
}
