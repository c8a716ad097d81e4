//! `USER`: the user of later steps and of the container.

use crate::buildfile::syntax::Word;

/// `USER user[:group]`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub user: Word,
}
