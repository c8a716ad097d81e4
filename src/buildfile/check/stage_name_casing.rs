//! A stage's name is looked up without regard to case; capitals in it promise what isn't there.

use super::{Finding, Lints, Rule};
use crate::buildfile::syntax::Buildfile;

pub(super) static RULE: Rule = Rule {
    name: "StageNameCasing",
    description: "Stage names should be lowercase",
    url: Some("https://docs.docker.com/go/dockerfile/rule/stage-name-casing/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    for from in file.stages.iter().map(|stage| &stage.from) {
        let Some(name) = &from.instruction.name else { continue };
        if name.word.text != name.word.text.to_lowercase() {
            let message = format!("Stage name '{}' should be lowercase", name.word.text);
            lints.add(from.check.as_ref(), Finding::new(&RULE, name.word.span, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn capitals_are_found() {
        let text = "FROM scratch AS BuilderBase\nFROM scratch AS fine\n";
        assert_eq!(check(text), ["StageNameCasing 1"]);
        assert_eq!(messages(text), ["Stage name 'BuilderBase' should be lowercase"]);
    }
}
