//! `CMD`: the command that a container runs by default.

use super::{Request, Syntax};
use crate::buildfile::{
    check,
    diagnostic::Diagnostic,
    lower::{self, StageBuilder},
    syntax::Command,
};

/// `CMD command line`, or `CMD ["program", …]`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmd {
    pub command: Command,
}

impl Syntax for Cmd {
    const KEYWORD: &'static str = "CMD";
    const HELP: &'static str = "CMD [\"program\", \"argument\", …]   or   CMD command line";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let command = request.command();
        request.flags(&[])?;
        Some(Self { command: command? })
    }
}

impl Cmd {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        if let Some(earlier) = cx.cmd.replace(cx.span()) {
            cx.lint(check::multiple_instructions_disallowed(earlier, &cx.keyword()));
        }
        let words = cx.command(&self.command);
        cx.commit(format!("CMD {}", lower::quoted_list(&words)), None);
        cx.config.config.cmd = Some(words).filter(|words| !words.is_empty());
        cx.config.config.args_escaped = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn both_forms() {
        let text = |line: &str| match parsed::<Cmd>(line).command {
            Command::Exec(words) => words.into_iter().map(|word| word.text).collect::<Vec<_>>().join("|"),
            Command::Shell(word) => format!("sh {}", word.text),
        };
        assert_eq!(text(r#"CMD ["a", "$b"]"#), "a|$b");
        assert_eq!(text("CMD []"), "");
        assert_eq!(text("CMD a  \"b\" $c"), "sh a  \"b\" $c");
        assert_eq!(text("CMD ['a']"), "sh ['a']");
        assert_eq!(text("CMD"), "sh ");
    }

    #[test]
    fn errors_of_cmd() {
        let mixed = "when using JSON array syntax, arrays must be comprised of strings only";
        assert_eq!(errors("CMD [1]"), [mixed]);
        assert_eq!(errors("CMD --x a"), ["unknown flag `--x`"]);
    }
}
