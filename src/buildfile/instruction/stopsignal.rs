//! `STOPSIGNAL`: the signal that asks a container to end.

use super::{Request, Syntax};
use crate::buildfile::syntax::Word;

/// `STOPSIGNAL name-or-number`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopsignal {
    pub signal: Word,
}

impl Syntax for Stopsignal {
    const KEYWORD: &'static str = "STOPSIGNAL";
    const HELP: &'static str = "STOPSIGNAL signal";

    /// Flags are passed over, whatever they are.
    fn parse(request: &mut Request<'_>) -> Option<Self> {
        Some(Self { signal: request.one(Self::KEYWORD)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn takes_all_of_the_line() {
        assert_eq!(parsed::<Stopsignal>("STOPSIGNAL $sig").signal.text, "$sig");
        assert_eq!(parsed::<Stopsignal>("STOPSIGNAL --x 9").signal.text, "9");
        assert_eq!(errors("STOPSIGNAL"), ["STOPSIGNAL requires exactly one argument"]);
        assert_eq!(errors("STOPSIGNAL --x"), ["STOPSIGNAL requires exactly one argument"]);
    }
}
