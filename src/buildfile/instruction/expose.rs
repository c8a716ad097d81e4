//! `EXPOSE`: the ports that a container listens on.

use crate::buildfile::syntax::Word;

/// `EXPOSE port[/protocol]…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// At least one, as typed and in the order typed. Each is expanded, and may become several words by it.
    pub ports: Vec<Word>,
}
