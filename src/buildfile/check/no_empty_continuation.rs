//! An empty line inside a continued instruction.

use super::{Finding, Lints, Rule};
use crate::buildfile::{
    Span,
    directive::CheckDirective,
    syntax::{Buildfile, Statement},
};

pub(super) static RULE: Rule = Rule {
    name: "NoEmptyContinuation",
    description: "Empty continuation lines will become errors in a future release",
    url: Some("https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    file.globals.iter().for_each(|statement| report(parts(statement), lints));
    for stage in &file.stages {
        report(parts(&stage.from), lints);
        stage.statements.iter().for_each(|statement| report(parts(statement), lints));
    }
}

fn parts<I>(statement: &Statement<I>) -> (Option<&CheckDirective>, &[Span]) {
    (statement.check.as_ref(), &statement.empty_continuations)
}

fn report((directive, empty): (Option<&CheckDirective>, &[Span]), lints: &mut Lints<'_>) {
    for span in empty {
        lints.add(directive, Finding::new(&RULE, *span, "Empty continuation line".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::check;

    #[test]
    fn an_empty_line_is_found() {
        assert_eq!(check("FROM scratch\nENV A=1 \\\n\n B=2\n"), ["NoEmptyContinuation 3"]);
        assert_eq!(check("FROM scratch\nENV A=1 \\\n# comment\n B=2\n"), [] as [&str; 0]);
    }
}
