//! `ARG`: build arguments.

use super::{Request, Syntax, request::blank_name};
use crate::buildfile::{check, diagnostic::Diagnostic, lower::StageBuilder, syntax::Word, words};

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

impl Arg {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let mut texts = Vec::new();
        for definition in &self.definitions {
            let name = definition.name.as_str();
            cx.lint(check::secrets_used_in_arg_or_env(definition.name.span, "ARG", name));
            // A default of the stage's own hides what the global argument of that name has.
            let value = match (cx.build_arg(name), &definition.default) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(cx.expand(default)?),
                (None, None) => cx.global(name),
            };
            texts.push(value.as_ref().map_or_else(|| name.to_owned(), |value| format!("{name}={value}")));
            cx.scope.declare(name, value.as_deref());
        }
        cx.commit(format!("ARG {}", texts.join(" ")), None);
        Ok(())
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
