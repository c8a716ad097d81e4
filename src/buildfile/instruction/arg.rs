//! `ARG`: build arguments.

use super::{Request, Syntax, request::blank_name};
use crate::buildfile::{syntax::Word, words};

/// `ARG name[=default]…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// At least one.
    pub definitions: Vec<Definition>,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Never empty.
    pub name: Word,
    /// Expanded when the argument is defined, each seeing those before it; quotes are still in place.
    pub default: Option<Word>,
}

impl Syntax for Arg {
    const KEYWORD: &'static str = "ARG";
    const HELP: &'static str = "ARG name[=default]…";

    /// Flags are passed over, whatever they are.
    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let mut definitions = Vec::new();
        let words = words::quoted(request.arguments, request.escape);
        for word in request.at_least_one(words, Self::KEYWORD)? {
            let (name, default) = words::definition(word);
            if name.text.is_empty() {
                return request.fail(blank_name(Self::KEYWORD, word.span()));
            }
            definitions.push(Definition { name, default });
        }
        Some(Self { definitions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn names_with_and_without_defaults() {
        let Arg { definitions } = parsed("ARG a b= c=\"x y\" d=1=2 e=\\ z");
        let read: Vec<_> = definitions
            .iter()
            .map(|definition| (definition.name.as_str(), definition.default.as_ref().map(Word::as_str)))
            .collect();
        assert_eq!(
            read,
            [("a", None), ("b", Some("")), ("c", Some("\"x y\"")), ("d", Some("1=2")), ("e", Some("\\ z"))]
        );
    }

    #[test]
    fn errors_of_arg() {
        assert_eq!(errors("ARG"), ["ARG requires at least one argument"]);
        assert_eq!(errors("ARG =1"), ["ARG names can not be blank"]);
        assert_eq!(parsed::<Arg>("ARG --x a").definitions.len(), 1);
    }
}
