//! Two stages of one name: whoever asks for it gets the last one before it.

use std::collections::BTreeSet;

use super::{Finding, Lints, Rule};
use crate::buildfile::{lower::quote, syntax::Buildfile};

pub(super) static RULE: Rule = Rule {
    name: "DuplicateStageName",
    description: "Stage names should be unique",
    url: Some("https://docs.docker.com/go/dockerfile/rule/duplicate-stage-name/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    let mut seen = BTreeSet::new();
    for from in file.stages.iter().map(|stage| &stage.from) {
        let Some(name) = &from.instruction.name else { continue };
        if !seen.insert(&name.name) {
            let message = format!("Duplicate stage name {}, stage names should be unique", quote(&name.name));
            lints.add(from.check.as_ref(), Finding::new(&RULE, name.word.span, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn the_later_one_is_found_whatever_its_case() {
        let text = "FROM scratch AS a\nFROM scratch AS b\nFROM scratch AS a\n";
        assert_eq!(check(text), ["DuplicateStageName 3"]);
        assert_eq!(messages(text), [r#"Duplicate stage name "a", stage names should be unique"#]);
        let text = "FROM scratch AS a\nFROM scratch AS A\n";
        assert_eq!(check(text), ["StageNameCasing 2", "DuplicateStageName 2"]);
    }
}
