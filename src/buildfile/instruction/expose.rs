//! `EXPOSE`: the ports that a container listens on.

use super::{Request, Syntax};
use crate::buildfile::syntax::Word;

/// `EXPOSE port[/protocol]…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expose {
    /// At least one, as typed and in the order typed. Each is expanded, and may become several words by it.
    pub ports: Vec<Word>,
}

impl Syntax for Expose {
    const KEYWORD: &'static str = "EXPOSE";
    const HELP: &'static str = "EXPOSE port[/protocol]…";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let ports = request.words(Self::KEYWORD);
        request.flags(&[])?;
        Some(Self { ports: ports? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn ports_are_as_typed() {
        let Expose { ports } = parsed("EXPOSE 80 $p/udp\t8000-8010");
        assert_eq!(ports.iter().map(Word::as_str).collect::<Vec<_>>(), ["80", "$p/udp", "8000-8010"]);
        assert_eq!(errors("EXPOSE"), ["EXPOSE requires at least one argument"]);
    }
}
