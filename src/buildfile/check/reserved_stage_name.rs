//! A stage named `scratch` hides the empty image, one named `context` can't be replaced by a named context.

use super::{Finding, Lints, Rule};
use crate::buildfile::{lower::quote, syntax::Buildfile};

pub(super) static RULE: Rule = Rule {
    name: "ReservedStageName",
    description: "Reserved words should not be used as stage names",
    url: Some("https://docs.docker.com/go/dockerfile/rule/reserved-stage-name/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints) {
    for from in file.stages.iter().map(|stage| &stage.from) {
        let Some(name) = &from.instruction.name else { continue };
        if ["context", "scratch"].contains(&name.name.as_str()) {
            let message =
                format!("Stage name should not use the same name as reserved stage {}", quote(&name.name));
            lints.add(from.check.as_ref(), Finding::new(&RULE, name.word.span, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn reserved_names_are_found() {
        let text = "FROM scratch AS scratch\nFROM scratch AS context\n";
        assert_eq!(check(text), ["ReservedStageName 1", "ReservedStageName 2"]);
        let expected = r#"Stage name should not use the same name as reserved stage "scratch""#;
        assert_eq!(messages(text)[0], expected);
    }
}
