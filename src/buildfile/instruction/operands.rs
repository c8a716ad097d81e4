//! What `COPY` and `ADD` have in common: sources, inline files and a destination.

use crate::buildfile::syntax::{Heredoc, Word};

/// Sources and destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operands {
    /// Paths, patterns, and for `ADD` URLs; expanded.
    pub sources: Vec<Word>,
    /// Inline files; they come after the sources, whatever the order on the line.
    pub files: Vec<Heredoc>,
    /// Expanded.
    pub destination: Word,
}
