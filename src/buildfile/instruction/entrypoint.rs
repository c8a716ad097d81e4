//! `ENTRYPOINT`: the program that a container always runs.

use super::{Request, Syntax};
use crate::buildfile::{
    check,
    diagnostic::Diagnostic,
    lower::{self, StageBuilder},
    syntax::Command,
};

/// `ENTRYPOINT command line`, or `ENTRYPOINT ["program", …]`. Not expanded. `ENTRYPOINT []` takes the entry point away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrypoint {
    pub command: Command,
}

impl Syntax for Entrypoint {
    const KEYWORD: &'static str = "ENTRYPOINT";
    const HELP: &'static str = "ENTRYPOINT [\"program\", \"argument\", …]   or   ENTRYPOINT command line";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let command = request.command();
        request.flags(&[])?;
        Some(Self { command: command? })
    }
}

impl Entrypoint {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        if let Some(earlier) = cx.entrypoint.replace(cx.span()) {
            cx.lint(check::multiple_instructions_disallowed(earlier, &cx.keyword()));
        }
        let words = cx.command(&self.command);
        cx.commit(format!("ENTRYPOINT {}", lower::quoted_list(&words)), None);
        cx.config.config.entrypoint = Some(words).filter(|words| !words.is_empty());
        // The base's command was for the base's entry point.
        if cx.cmd.is_none() {
            cx.config.config.cmd = None;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn both_forms() {
        let text = |line: &str| match parsed::<Entrypoint>(line).command {
            Command::Exec(words) => words.into_iter().map(|word| word.text).collect::<Vec<_>>().join("|"),
            Command::Shell(word) => format!("sh {}", word.text),
        };
        assert_eq!(text(r#"ENTRYPOINT ["a", "$b"]"#), "a|$b");
        assert_eq!(text("ENTRYPOINT []"), "");
        assert_eq!(text("ENTRYPOINT a  \"b\" $c"), "sh a  \"b\" $c");
        assert_eq!(text("ENTRYPOINT ['a']"), "sh ['a']");
        assert_eq!(text("ENTRYPOINT"), "sh ");
    }

    #[test]
    fn errors_of_entrypoint() {
        let mixed = "when using JSON array syntax, arrays must be comprised of strings only";
        assert_eq!(errors("ENTRYPOINT [1]"), [mixed]);
        assert_eq!(errors("ENTRYPOINT --x a"), ["unknown flag `--x`"]);
    }
}
