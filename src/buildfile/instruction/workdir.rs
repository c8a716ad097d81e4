//! `WORKDIR`: the working folder of later steps and of the container.

use crate::buildfile::syntax::Word;

/// `WORKDIR path`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    pub path: Word,
}
