//! `MAINTAINER` gave way to the label `org.opencontainers.image.authors`.

use super::{Finding, Lints, Rule};
use crate::buildfile::{instruction::Instruction, syntax::Buildfile};

pub(super) static RULE: Rule = Rule {
    name: "MaintainerDeprecated",
    description: "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    url: Some("https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    for statement in file.stages.iter().flat_map(|stage| &stage.statements) {
        if matches!(statement.instruction, Instruction::Maintainer(_)) {
            let message = "Maintainer instruction is deprecated in favor of using label".to_owned();
            lints.add(statement.check.as_ref(), Finding::new(&RULE, statement.keyword.span, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::check;

    #[test]
    fn it_is_found() {
        assert_eq!(check("FROM scratch\nMAINTAINER me@example.org\n"), ["MaintainerDeprecated 2"]);
    }
}
