//! `VOLUME`: folders that a container keeps outside its image.

use crate::buildfile::syntax::Word;

/// `VOLUME path…`, or the same as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// At least one, trimmed, none of them empty. Expanded.
    pub volumes: Vec<Word>,
}
