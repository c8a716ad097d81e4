//! `FROM`: begins a stage.

use crate::buildfile::syntax::Word;

/// `FROM [--platform=…] base [AS name]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image, an earlier stage, a named context or `scratch`; expanded with the global arguments only.
    pub base: Word,
    /// `--platform`: expanded with the global arguments.
    pub platform: Option<Word>,
    pub name: Option<StageName>,
}

/// The name that a stage gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageName {
    /// In lower case, as it is looked up; matches `[a-z][a-z0-9-_.]*`.
    pub name: String,
    /// As typed.
    pub word: Word,
    /// The word `AS`, as typed.
    pub keyword: Word,
}
