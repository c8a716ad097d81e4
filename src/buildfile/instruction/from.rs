//! `FROM`: begins a stage.

use super::Request;
use crate::buildfile::{
    diagnostic::Diagnostic,
    flags::{Kind, Known},
    syntax::Word,
};

/// `FROM [--platform=…] base [AS name]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// An image, an earlier stage, a named context or `scratch`; expanded with the global arguments only.
    pub base: Word,
    /// `--platform`: expanded with the global arguments.
    pub platform: Option<Word>,
    pub name: Option<StageName>,
}

/// The name that a stage gives itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageName {
    /// In lower case, as it is looked up; matches `[a-z][a-z0-9-_.]*`.
    pub name: String,
    /// As typed.
    pub word: Word,
    /// The word `AS`, as typed.
    pub keyword: Word,
}

const FLAGS: &Known = &[("platform", Kind::Value)];

impl From {
    pub(in crate::buildfile) const KEYWORD: &'static str = "FROM";
    pub(in crate::buildfile) const HELP: &'static str = "FROM [--platform=…] base [AS name]";

    pub(in crate::buildfile) fn parse(request: &mut Request<'_>) -> Option<Self> {
        let words = crate::buildfile::words::blanks(request.arguments);
        let mut flags = request.flags(FLAGS)?;
        let (base, name) = match <[Word; 3]>::try_from(words) {
            Ok([base, keyword, word]) if keyword.text.eq_ignore_ascii_case("as") => {
                (base, Some(stage_name(request, keyword, word)?))
            }
            Err(words) if words.len() == 1 => (words.into_iter().next()?, None),
            Ok(_) | Err(_) => return request.fail(wrong_number(request)),
        };
        Some(Self { base, platform: flags.value("platform"), name })
    }
}

fn wrong_number(request: &Request<'_>) -> Diagnostic {
    let message = "FROM requires either one or three arguments";
    Diagnostic::error("arguments", request.place(), message).help(format!("write it as `{}`", From::HELP))
}

fn stage_name(request: &mut Request<'_>, keyword: Word, word: Word) -> Option<StageName> {
    let name = word.text.to_lowercase();
    let valid = name.starts_with(|char: char| char.is_ascii_lowercase())
        && name.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '-' | '_' | '.'));
    if !valid {
        let message = format!("invalid name for build stage: `{}`", word.text);
        let help = "it begins with a letter; letters, digits, `-`, `_` and `.` follow";
        return request.fail(Diagnostic::error("stage-name", word.span, message).help(help));
    }
    Some(StageName { name, word, keyword })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::{Source, parse};

    fn read(line: &str) -> Result<From, Vec<String>> {
        let parsed = parse(&Source::new("f", line));
        match parsed.buildfile.stages.into_iter().next() {
            Some(stage) => Ok(stage.from.instruction),
            None => Err(parsed.diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect()),
        }
    }

    #[test]
    fn forms() {
        let from = read("from --platform=$P a:$T as Base-1").unwrap();
        assert_eq!(from.base.text, "a:$T");
        assert_eq!(from.platform.unwrap().text, "$P");
        let name = from.name.unwrap();
        assert_eq!((&*name.name, &*name.word.text, &*name.keyword.text), ("base-1", "Base-1", "as"));
        assert_eq!(read("FROM --platform= scratch").unwrap().platform, None);
    }

    #[test]
    fn errors_of_from() {
        let number = ["FROM requires either one or three arguments"];
        for line in ["FROM", "FROM a b", "FROM a b c", "FROM a AS", "FROM a AS b c", "FROM --platform=x"] {
            assert_eq!(read(line).unwrap_err(), number, "{line}");
        }
        for name in ["1a", "a/b", "$x", "é", "a:b"] {
            let expected = format!("invalid name for build stage: `{name}`");
            assert_eq!(read(&format!("FROM a AS {name}")).unwrap_err(), [expected], "{name}");
        }
        assert_eq!(read("FROM --plat=x a").unwrap_err(), ["unknown flag `--plat`"]);
    }
}
