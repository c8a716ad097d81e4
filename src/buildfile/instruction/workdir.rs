//! `WORKDIR`: the working folder of later steps and of the container.

use super::{Request, Syntax};
use crate::buildfile::{
    check,
    diagnostic::Diagnostic,
    lower::{self, StageBuilder},
    syntax::Word,
};
use crate::plan::{Mkdir, Op};

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

impl Workdir {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let path = cx.expand(&self.path)?;
        if !cx.workdir_set && !path.starts_with('/') {
            cx.lint(check::workdir_relative_path(self.path.span, &path));
        }
        cx.workdir_set = true;
        // An absolute path stays in the config as it is typed.
        let path = match path.as_str() {
            "" => cx.workdir(),
            text if text.starts_with('/') => path,
            text => lower::join(&cx.workdir(), text),
        };
        let clean = lower::clean(&path);
        let mkdir = Mkdir { path: clean.clone(), owner: lower::owner(&cx.config.config.user) };
        let op = (clean != "/").then_some(Op::Mkdir(mkdir));
        cx.commit(format!("WORKDIR {path}"), op);
        cx.config.config.working_dir = path;
        Ok(())
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
