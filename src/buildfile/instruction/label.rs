//! `LABEL`: the image's labels.

use crate::buildfile::syntax::Pair;

/// `LABEL name=value…`, or the old form `LABEL name value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// At least one. Names and values are expanded.
    pub labels: Vec<Pair>,
}
