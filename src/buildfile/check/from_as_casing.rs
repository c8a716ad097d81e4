//! `FROM … as` and `from … AS`: one of the two was typed otherwise than meant.

use super::{Finding, Lints, Rule};
use crate::buildfile::syntax::Buildfile;

pub(super) static RULE: Rule = Rule {
    name: "FromAsCasing",
    description: "The 'as' keyword should match the case of the 'from' keyword",
    url: Some("https://docs.docker.com/go/dockerfile/rule/from-as-casing/"),
    experimental: false,
    tree: Some(check),
};

fn check(file: &Buildfile, lints: &mut Lints<'_>) {
    for from in file.stages.iter().map(|stage| &stage.from) {
        let Some(name) = &from.instruction.name else { continue };
        let (keyword, r#as) = (from.keyword.as_str(), name.keyword.as_str());
        // A keyword of mixed case is another check's.
        let fits = if keyword == keyword.to_lowercase() {
            r#as == r#as.to_lowercase()
        } else {
            keyword != keyword.to_uppercase() || r#as == r#as.to_uppercase()
        };
        if !fits {
            let message = format!("'{as}' and '{keyword}' keywords' casing do not match", r#as = r#as);
            lints.add(from.check.as_ref(), Finding::new(&RULE, name.keyword.span, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn a_difference_is_found() {
        assert_eq!(check("FROM scratch as a\n"), ["FromAsCasing 1"]);
        assert_eq!(check("from scratch AS a\n"), ["FromAsCasing 1"]);
        assert_eq!(messages("FROM scratch as a\n"), ["'as' and 'FROM' keywords' casing do not match"]);
    }

    #[test]
    fn agreement_and_mixed_keywords_are_not() {
        assert_eq!(check("from scratch as a\n"), [] as [&str; 0]);
        assert_eq!(check("From scratch as a\n"), ["ConsistentInstructionCasing 1"]);
    }
}
