//! `SHELL`: what runs the shell form of other instructions.

use crate::buildfile::syntax::Word;

/// `SHELL ["program", "argument", …]`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// At least one.
    pub command: Vec<Word>,
}
