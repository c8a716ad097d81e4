//! `MAINTAINER`: the image's author; deprecated in favour of a label.

use super::{Request, Syntax};
use crate::buildfile::{diagnostic::Diagnostic, lower::StageBuilder, syntax::Word};

/// `MAINTAINER name`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    pub name: Word,
}

impl Syntax for Maintainer {
    const KEYWORD: &'static str = "MAINTAINER";
    const HELP: &'static str = "MAINTAINER name";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let name = request.one(Self::KEYWORD)?;
        request.flags(&[])?;
        Some(Self { name })
    }
}

impl Maintainer {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        cx.config.author = Some(self.name.text.clone());
        cx.commit(format!("MAINTAINER {}", self.name.text), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    #[test]
    fn takes_all_of_the_line() {
        let Maintainer { name } = parsed("MAINTAINER  a 'b' $c \n");
        assert_eq!(name.text, "a 'b' $c");
        assert_eq!(errors("MAINTAINER"), ["MAINTAINER requires exactly one argument"]);
        assert_eq!(errors("MAINTAINER --x a"), ["unknown flag `--x`"]);
    }
}
