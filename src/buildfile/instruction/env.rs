//! `ENV`: variables of later steps and of the image.

use super::{Request, Syntax};
use crate::buildfile::{check, diagnostic::Diagnostic, lower::StageBuilder, syntax::Pair};

/// `ENV name=value…`, or the old form `ENV name value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// At least one. Names and values are expanded, all with the variables from before the instruction.
    pub variables: Vec<Pair>,
}

impl Syntax for Env {
    const KEYWORD: &'static str = "ENV";
    const HELP: &'static str = "ENV name=value…";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let variables = request.pairs(Self::KEYWORD);
        request.flags(&[])?;
        Some(Self { variables: variables? })
    }
}

impl Env {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let (text, pairs) = cx.expand_pairs(Self::KEYWORD, &self.variables)?;
        for (pair, (name, value)) in self.variables.iter().zip(pairs) {
            cx.lint(check::secrets_used_in_arg_or_env(pair.name.span, Self::KEYWORD, &name));
            cx.scope.variables.set(&name, &value);
            cx.config.config.set_env(&name, &value);
        }
        cx.commit(text, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn both_forms() {
        let Env { variables } = parsed("ENV a=\"b c\" $d='e'\\ f");
        let text: Vec<_> = variables.iter().map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
        assert_eq!(text, [("a", "\"b c\""), ("$d", "'e'\\ f")]);
        let Env { variables } = parsed("ENV a  b=c d ");
        assert_eq!(
            (&*variables[0].name.text, &*variables[0].value.text, variables[0].legacy),
            ("a", "b=c d", true)
        );
    }

    #[test]
    fn errors_of_env() {
        assert_eq!(errors("ENV"), ["ENV requires at least one argument"]);
        assert_eq!(errors("ENV a"), ["ENV must have two arguments"]);
        assert_eq!(errors("ENV =a"), ["ENV names can not be blank"]);
        assert_eq!(errors("ENV a=1 b"), ["can't find `=` in `b`"]);
        assert_eq!(errors("ENV --x a=1"), ["unknown flag `--x`"]);
    }
}
