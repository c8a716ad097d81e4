//! `USER`: the user of later steps and of the container.

use super::{Request, Syntax};
use crate::buildfile::{diagnostic::Diagnostic, lower::StageBuilder, syntax::Word};

/// `USER user[:group]`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub user: Word,
}

impl Syntax for User {
    const KEYWORD: &'static str = "USER";
    const HELP: &'static str = "USER user[:group]";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let user = request.one(Self::KEYWORD)?;
        request.flags(&[])?;
        Some(Self { user })
    }
}

impl User {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let user = cx.expand(&self.user)?;
        cx.commit(format!("USER {user}"), None);
        cx.config.config.user = user;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn takes_all_of_the_line() {
        let User { user } = parsed("USER  a 'b' $c \n");
        assert_eq!(user.text, "a 'b' $c");
        assert_eq!(errors("USER"), ["USER requires exactly one argument"]);
        assert_eq!(errors("USER --x a"), ["unknown flag `--x`"]);
    }
}
