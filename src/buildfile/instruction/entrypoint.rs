//! `ENTRYPOINT`: the program that a container always runs.

use crate::buildfile::syntax::Command;

/// `ENTRYPOINT command line`, or `ENTRYPOINT ["program", …]`. Not expanded. `ENTRYPOINT []` takes the entry point away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint {
    pub command: Command,
}
