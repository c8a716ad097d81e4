//! `SHELL`: what runs the shell form of other instructions.

use super::{Request, Syntax};
use crate::buildfile::{
    diagnostic::Diagnostic,
    lower::{self, StageBuilder},
    syntax::{Command, Word},
};

/// `SHELL ["program", "argument", …]`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// At least one.
    pub command: Vec<Word>,
}

impl Syntax for Shell {
    const KEYWORD: &'static str = "SHELL";
    const HELP: &'static str = "SHELL [\"program\", \"argument\", …]";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let command = request.command();
        request.flags(&[])?;
        match command? {
            Command::Shell(word) if !word.text.is_empty() => {
                let message = "SHELL requires the arguments to be in JSON form";
                let help =
                    "write it as `SHELL [\"program\", \"argument\"]`; a backslash in it is written `\\\\`";
                request.fail(Diagnostic::error("arguments", word.span, message).help(help))
            }
            Command::Shell(_) => {
                request.at_least_one(Vec::new(), Self::KEYWORD).map(|command| Self { command })
            }
            Command::Exec(words) => {
                request.at_least_one(words, Self::KEYWORD).map(|command| Self { command })
            }
        }
    }
}

impl Shell {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let words: Vec<String> = self.command.iter().map(|word| word.text.clone()).collect();
        cx.commit(format!("SHELL {}", lower::list(&words)), None);
        cx.config.config.shell = Some(words);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn json_only() {
        assert_eq!(parsed::<Shell>(r#"SHELL ["a", "-c"]"#).command[1].text, "-c");
        assert_eq!(errors("SHELL a -c"), ["SHELL requires the arguments to be in JSON form"]);
        assert_eq!(errors(r#"SHELL ["c:\windows"]"#), ["SHELL requires the arguments to be in JSON form"]);
        assert_eq!(errors("SHELL"), ["SHELL requires at least one argument"]);
        assert_eq!(errors("SHELL []"), ["SHELL requires at least one argument"]);
    }
}
