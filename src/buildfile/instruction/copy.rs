//! `COPY`: files from the build context, a stage, an image or the build file itself.

use super::Operands;
use crate::buildfile::syntax::Word;

/// `COPY [flags] source… destination`, or the same as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub operands: Operands,
    /// `--from`: a stage by name or number, an image or a named context; never expanded, and an error where
    /// expansion would change it.
    pub from: Option<Word>,
    /// `--chown`: expanded; `user[:group]`, names or numbers.
    pub chown: Option<Word>,
    /// `--chmod`: expanded; octal or symbolic.
    pub chmod: Option<Word>,
    /// `--exclude`: patterns, not expanded.
    pub exclude: Vec<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
}
