//! Keywords in lower case among keywords in upper case, or the reverse, or of mixed case.

use super::{Finding, Lints, Rule};
use crate::buildfile::{Word, directive::CheckDirective, syntax::Buildfile};

pub(super) static RULE: Rule = Rule {
    name: "ConsistentInstructionCasing",
    description: "All commands within the Dockerfile should use the same casing (either upper or lower)",
    url: Some("https://docs.docker.com/go/dockerfile/rule/consistent-instruction-casing/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    let keywords: Vec<(&Word, Option<&CheckDirective>)> = file
        .stages
        .iter()
        .flat_map(|stage| {
            let statements = stage.statements.iter().map(|s| (&s.keyword, s.check.as_ref()));
            std::iter::once((&stage.from.keyword, stage.from.check.as_ref())).chain(statements)
        })
        .collect();
    let lower = keywords.iter().filter(|(word, _)| is_lower(word)).count();
    let upper = keywords.iter().filter(|(word, _)| !is_lower(word) && is_upper(word)).count();
    let (fits, casing): (fn(&Word) -> bool, _) =
        if lower > upper { (is_lower, "lowercase") } else { (is_upper, "uppercase") };
    for (word, directive) in keywords.into_iter().filter(|(word, _)| !fits(word)) {
        let message =
            format!("Command '{}' should match the case of the command majority ({casing})", word.text);
        lints.add(directive, Finding::new(&RULE, word.span, message));
    }
}

fn is_lower(word: &Word) -> bool {
    word.text == word.text.to_lowercase()
}

fn is_upper(word: &Word) -> bool {
    word.text == word.text.to_uppercase()
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn the_majority_decides() {
        let text = "FROM scratch\nCOPY a /\nenv A=1\n";
        assert_eq!(check(text), ["ConsistentInstructionCasing 3"]);
        assert_eq!(
            messages(text),
            ["Command 'env' should match the case of the command majority (uppercase)"]
        );
        assert_eq!(check("from scratch\ncopy a /\nENV A=1\n"), ["ConsistentInstructionCasing 3"]);
    }

    #[test]
    fn a_draw_is_for_capitals_and_mixed_case_is_never_right() {
        assert_eq!(check("from scratch\nENV A=1\n"), ["ConsistentInstructionCasing 1"]);
        assert_eq!(check("FROM scratch\nEnv A=1\n"), ["ConsistentInstructionCasing 2"]);
    }
}
