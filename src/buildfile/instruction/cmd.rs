//! `CMD`: the command that a container runs by default.

use crate::buildfile::syntax::Command;

/// `CMD command line`, or `CMD ["program", …]`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    pub command: Command,
}
