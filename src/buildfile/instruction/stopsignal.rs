//! `STOPSIGNAL`: the signal that asks a container to end.

use crate::buildfile::syntax::Word;

/// `STOPSIGNAL name-or-number`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopsignal {
    pub signal: Word,
}
