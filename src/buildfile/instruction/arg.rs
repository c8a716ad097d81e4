//! `ARG`: build arguments.

use crate::buildfile::syntax::Word;

/// `ARG name[=default]…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// At least one.
    pub definitions: Vec<Definition>,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Never empty.
    pub name: Word,
    /// Expanded when the argument is defined, each seeing those before it; quotes are still in place.
    pub default: Option<Word>,
}
