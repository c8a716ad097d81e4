//! `ENV`: variables of later steps and of the image.

use crate::buildfile::syntax::Pair;

/// `ENV name=value…`, or the old form `ENV name value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// At least one. Names and values are expanded, all with the variables from before the instruction.
    pub variables: Vec<Pair>,
}
