//! The comment above a stage or an argument describes it, and begins with its name.

use super::{Finding, Lints, Rule};
use crate::buildfile::{
    instruction::{Arg, Instruction},
    syntax::{Buildfile, Statement},
};

pub(super) static RULE: Rule = Rule {
    name: "InvalidDefinitionDescription",
    description: "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
    url: Some("https://docs.docker.com/go/dockerfile/rule/invalid-definition-description/"),
    experimental: true,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    for statement in &file.globals {
        report(statement, "ARG", &names(&statement.instruction), lints);
    }
    for stage in &file.stages {
        if let Some(name) = &stage.from.instruction.name {
            report(&stage.from, "FROM", &[&name.name], lints);
        }
        for statement in &stage.statements {
            if let Instruction::Arg(arg) = &statement.instruction {
                report(statement, "ARG", &names(arg), lints);
            }
        }
    }
}

fn names(arg: &Arg) -> Vec<&str> {
    arg.definitions.iter().map(|definition| definition.name.as_str()).collect()
}

fn report<I>(statement: &Statement<I>, keyword: &str, names: &[&str], lints: &mut Lints<'_>) {
    let Some(comment) = statement.comments.last() else { return };
    let first = comment.text.split(' ').next().unwrap_or_default();
    if names.contains(&first) {
        return;
    }
    let example = match names {
        [name] => name,
        _ => "<arg_key>",
    };
    let message = format!("Comment for {keyword} should follow the format: `# {example} <description>`");
    lints.add(statement.check.as_ref(), Finding::new(&RULE, comment.span, message));
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    const ASK: &str = "# check=experimental=InvalidDefinitionDescription\n";

    #[test]
    fn it_runs_only_when_asked_for() {
        let text = "# bla\nARG foo=bar\n# BasE this is an image\nFROM scratch AS base\n";
        assert_eq!(check(&format!("\n{text}")), [] as [&str; 0]);
        let expected = ["InvalidDefinitionDescription 3", "InvalidDefinitionDescription 5"];
        assert_eq!(check(&format!("{ASK}\n{text}")), expected);
        assert_eq!(check(&format!("# check=experimental=all\n\n{text}")), expected);
        assert_eq!(
            messages(&format!("{ASK}\n{text}")),
            [
                "Comment for ARG should follow the format: `# foo <description>`",
                "Comment for FROM should follow the format: `# base <description>`"
            ]
        );
    }

    #[test]
    fn a_description_or_a_gap_is_fine() {
        let text = "\n# foo this is foo\nARG foo=bar\n# bla\n\n#\nARG baz\n# base x\nFROM scratch AS base\n";
        assert_eq!(check(&format!("{ASK}{text}")), [] as [&str; 0]);
    }
}
