//! `MAINTAINER`: the image's author; deprecated in favour of a label.

use crate::buildfile::syntax::Word;

/// `MAINTAINER name`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    pub name: Word,
}
