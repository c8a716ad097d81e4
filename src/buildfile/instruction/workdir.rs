//! `WORKDIR`: the working folder of later steps and of the container.

use super::{Request, Syntax};
use crate::buildfile::syntax::Word;

/// `WORKDIR path`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workdir {
    pub path: Word,
}

impl Syntax for Workdir {
    const KEYWORD: &'static str = "WORKDIR";
    const HELP: &'static str = "WORKDIR path";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let path = request.one(Self::KEYWORD)?;
        request.flags(&[])?;
        Some(Self { path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn takes_all_of_the_line() {
        let Workdir { path } = parsed("WORKDIR  a 'b' $c \n");
        assert_eq!(path.text, "a 'b' $c");
        assert_eq!(errors("WORKDIR"), ["WORKDIR requires exactly one argument"]);
        assert_eq!(errors("WORKDIR --x a"), ["unknown flag `--x`"]);
    }
}
