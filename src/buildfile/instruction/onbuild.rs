//! `ONBUILD`: an instruction for builds that start from this image.

use super::{From, Instruction, Maintainer, Request, Syntax, find};
use crate::buildfile::{
    diagnostic::{Diagnostic, Severity},
    flags,
    lower::StageBuilder,
    syntax::{Heredoc, Word},
    words,
};

/// `ONBUILD instruction`.
#[derive(Debug, Clone)]
pub struct Onbuild {
    /// What goes to the image's config: the instruction's line, with the bodies of its heredocs; not expanded.
    pub expression: String,
    /// The instruction's keyword, as typed.
    pub keyword: crate::buildfile::syntax::Word,
    /// The instruction, for checks. None if it is wrong in a way that only a build using it would notice.
    pub instruction: Option<Box<Instruction>>,
}

impl Syntax for Onbuild {
    const KEYWORD: &'static str = "ONBUILD";
    const HELP: &'static str = "ONBUILD instruction";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        if request.arguments.is_empty() {
            request.at_least_one(Vec::<Word>::new(), Self::KEYWORD)?;
        }
        request.flags(&[])?;
        let keyword = words::first(request.arguments).0.word();
        if let Some(message) = forbidden(&keyword) {
            return request.fail(Diagnostic::error("onbuild", keyword.span, message));
        }
        let heredocs = std::mem::take(&mut request.heredocs);
        let expression = expression(request, &heredocs);
        let instruction = inner(request, &keyword, heredocs)?.map(Box::new);
        Some(Self { expression, keyword, instruction })
    }
}

fn forbidden(keyword: &Word) -> Option<String> {
    match keyword.text.to_uppercase().as_str() {
        Onbuild::KEYWORD => Some("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        name @ (From::KEYWORD | Maintainer::KEYWORD) => {
            Some(format!("{name} isn't allowed as an ONBUILD trigger"))
        }
        _ => None,
    }
}

/// All after the keyword, as typed, flags of ONBUILD as well, and the heredocs' bodies.
fn expression(request: &Request<'_>, heredocs: &[Heredoc]) -> String {
    let line = request.line.as_str();
    let rest = line.get(request.keyword.text.len()..).unwrap_or_default();
    let mut expression = rest.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']).to_owned();
    for heredoc in heredocs {
        expression.push('\n');
        expression.push_str(&heredoc.content.text);
        expression.push_str(&heredoc.name);
    }
    expression
}

/// Reads the trigger. What only a build that uses it would find wrong is a warning here; None if it is an error.
fn inner(request: &mut Request<'_>, keyword: &Word, heredocs: Vec<Heredoc>) -> Option<Option<Instruction>> {
    let mut diagnostics = Vec::new();
    let instruction = trigger(request, keyword, heredocs, &mut diagnostics);
    let mut good = true;
    for diagnostic in diagnostics {
        let is_error = matches!(diagnostic.code, words::PAIRS | words::MIXED);
        good &= !is_error;
        request.warn(if is_error { diagnostic } else { as_warning(diagnostic) });
    }
    good.then_some(instruction)
}

fn as_warning(diagnostic: Diagnostic) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..diagnostic }
        .note("builds that start from this image will fail")
}

fn trigger(
    request: &mut Request<'_>,
    keyword: &Word,
    heredocs: Vec<Heredoc>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Instruction> {
    let Some(known) = find(&keyword.text) else {
        diagnostics.push(super::unknown(keyword));
        return None;
    };
    let text = request.arguments;
    let rest = words::first(text).1.unwrap_or_else(|| text.from(text.as_str().len()));
    let (flags, arguments) = flags::split(rest, request.escape);
    let mut inner = Request {
        line: text,
        keyword: keyword.clone(),
        flags,
        arguments,
        heredocs,
        escape: request.escape,
        malformed_json: None,
        diagnostics,
    };
    let instruction = (known.parse)(&mut inner);
    request.malformed_json = inner.malformed_json;
    instruction
}

impl Onbuild {
    /// A trigger is no step of this image, and not in its history.
    #[expect(clippy::unnecessary_wraps, reason = "as all instructions")]
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        cx.config.config.on_build.push(self.expression.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    use crate::buildfile::instruction::tests::messages;

    #[test]
    fn expressions() {
        let text = |line: &str| parsed::<Onbuild>(line).expression;
        assert_eq!(text("onbuild  RUN a \\\n b  "), "RUN a  b  ");
        assert_eq!(text("ONBUILD COPY <<A <<B /x\n1\nA\n2\nB\n"), "COPY <<A <<B /x\n1\nA\n2\nB");
        assert!(matches!(
            parsed::<Onbuild>("ONBUILD add --chown=$u a b").instruction.as_deref(),
            Some(Instruction::Add(add)) if add.chown.is_some()
        ));
    }

    #[test]
    fn errors_of_onbuild() {
        for (line, expected) in [
            ("ONBUILD", "ONBUILD requires at least one argument"),
            ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger"),
            ("ONBUILD MAINTAINER a", "MAINTAINER isn't allowed as an ONBUILD trigger"),
            ("ONBUILD ONBUILD RUN a", "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            ("ONBUILD ENV a", "ENV must have two arguments"),
            ("ONBUILD RUN [1]", "when using JSON array syntax, arrays must be comprised of strings only"),
            ("ONBUILD --x RUN a", "unknown flag `--x`"),
            ("ONBUILD ENV a=1 b", "can't find `=` in `b`"),
        ] {
            assert_eq!(errors(line), [expected], "{line}");
        }
    }

    #[test]
    fn what_fails_later_is_a_warning() {
        for (line, expected) in [
            ("ONBUILD FOO a", "unknown instruction: FOO"),
            ("ONBUILD COPY a", "COPY requires at least two arguments"),
            ("ONBUILD RUN --x a", "unknown flag `--x`"),
        ] {
            assert!(parsed::<Onbuild>(line).instruction.is_none(), "{line}");
            assert_eq!(messages(line), [expected], "{line}");
        }
    }
}
