//! Collects what the checks find, as far as `# check=` lets them speak.

use std::collections::BTreeSet;

use super::Rule;
use crate::buildfile::{Diagnostic, Span, directive::CheckDirective};

/// What a check has to say about a place.
#[derive(Debug, Clone)]
pub(in crate::buildfile) struct Finding {
    pub(super) rule: &'static Rule,
    pub(in crate::buildfile) span: Span,
    pub(super) message: String,
    pub(in crate::buildfile) note: Option<String>,
}

impl Finding {
    pub(super) fn new(rule: &'static Rule, span: Span, message: String) -> Self {
        Self { rule, span, message, note: None }
    }
}

/// The findings of a run.
#[derive(Debug)]
pub(in crate::buildfile) struct Lints {
    file: Option<CheckDirective>,
    found: Vec<Diagnostic>,
}

impl Lints {
    /// With the file's own directive, or what stands in for it.
    pub(in crate::buildfile) fn new(file: Option<CheckDirective>) -> Self {
        Self { file, found: Vec::new() }
    }

    /// Takes a finding, unless the file's directive or the statement's comment silences its rule.
    pub(in crate::buildfile) fn add(&mut self, statement: Option<&CheckDirective>, finding: Finding) {
        let directives = || self.file.iter().chain(statement);
        let silent = if finding.rule.experimental {
            !directives().any(|directive| names(directive, finding.rule))
        } else {
            directives().any(|directive| directive.skip_all || has(&directive.skip, finding.rule.name))
        };
        if !silent {
            let mut diagnostic = Diagnostic::warning(finding.rule.name, finding.span, finding.message);
            diagnostic.notes.extend(finding.note);
            self.found.push(diagnostic);
        }
    }

    /// What was found, in the order of places, and the error that `error=true` makes of it.
    pub(in crate::buildfile) fn finish(mut self) -> (Vec<Diagnostic>, Option<Diagnostic>) {
        self.found.sort_by_key(|diagnostic| diagnostic.span);
        self.found.dedup();
        let error = self.file.as_ref().filter(|file| file.error && !self.found.is_empty()).map(|file| {
            let rules: BTreeSet<&str> = self.found.iter().map(|diagnostic| diagnostic.code).collect();
            let rules: Vec<&str> = rules.into_iter().collect();
            let message = format!("lint violation found for rules: {}", rules.join(", "));
            Diagnostic::error("check", file.span, message)
                .note("`error=true` makes an error of each warning of a check")
        });
        (self.found, error)
    }
}

fn names(directive: &CheckDirective, rule: &Rule) -> bool {
    has(&directive.experimental, "all") || has(&directive.experimental, rule.name)
}

fn has(words: &[crate::buildfile::Word], name: &str) -> bool {
    words.iter().any(|word| word.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, check_with};

    #[test]
    fn the_files_directive_silences_rules() {
        let text = "from scratch as Base\ncmd echo\n";
        assert_eq!(check(text), ["StageNameCasing 1", "JSONArgsRecommended 2"]);
        assert_eq!(check(&format!("# check=skip=StageNameCasing\n{text}")), ["JSONArgsRecommended 3"]);
        assert_eq!(
            check(&format!("# check=skip=JSONArgsRecommended,StageNameCasing\n{text}")),
            [] as [&str; 0]
        );
        assert_eq!(check(&format!("# check=skip=all\n{text}")), [] as [&str; 0]);
    }

    #[test]
    fn a_comment_silences_rules_for_its_statement() {
        let text = "FROM scratch\n# check=skip=JSONArgsRecommended\nCMD a\nENTRYPOINT b\n";
        assert_eq!(check(text), ["JSONArgsRecommended 4"]);
    }

    #[test]
    fn a_build_argument_takes_the_directives_place() {
        let text = "# check=skip=all\nFROM scratch as base\ncopy a /\n";
        let argument = |value| [("BUILDKIT_DOCKERFILE_CHECK", value)];
        let found = check_with(text, &argument("skip=ConsistentInstructionCasing;error=true"));
        assert_eq!(found, ["check 1", "FromAsCasing 2"]);
        assert_eq!(check_with(text, &argument("nonsense")), ["invalid-directive 0"]);
    }

    #[test]
    fn error_true_fails() {
        let found = check("# check=error=true\nFROM scratch AS Base\n");
        assert_eq!(found, ["check 1", "StageNameCasing 2"]);
        assert_eq!(check("# check=error=true\nFROM scratch\n"), [] as [&str; 0]);
    }
}
