//! `ADD`: like `COPY`, and it fetches URLs and git repositories and unpacks local archives.

use super::Operands;
use crate::buildfile::syntax::Word;

/// `ADD [flags] source… destination`, or the same as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    pub operands: Operands,
    /// `--chown`: expanded; `user[:group]`, names or numbers.
    pub chown: Option<Word>,
    /// `--chmod`: expanded; octal or symbolic.
    pub chmod: Option<Word>,
    /// `--checksum`: expanded; a digest, for git a commit.
    pub checksum: Option<Word>,
    /// `--exclude`: patterns, not expanded.
    pub exclude: Vec<Word>,
    /// `--link`.
    pub link: bool,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`; if absent, local archives are unpacked and remote ones are not.
    pub unpack: Option<bool>,
}
