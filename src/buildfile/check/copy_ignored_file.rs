//! A `COPY` or `ADD` of something that the ignore file takes away.

use super::{Finding, Rule};
use crate::buildfile::{Span, lower::quote};

pub(super) static RULE: Rule = Rule {
    name: "CopyIgnoredFile",
    description: "Attempting to Copy file that is excluded by .dockerignore",
    url: Some("https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/"),
    experimental: false,
    tree: None,
};

/// `verb` is `Copy` or `Add`.
pub(in crate::buildfile) fn copy_ignored_file(span: Span, verb: &str, source: &str) -> Finding {
    let message = format!("Attempting to {verb} file {} that is excluded by .dockerignore", quote(source));
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, check_ignoring, messages_ignoring};

    #[test]
    fn an_ignored_source_is_found() {
        let text = "FROM scratch\nCOPY Dockerfile kept /\nADD ./Dockerfile /windy\n";
        let found = ["CopyIgnoredFile 2", "CopyIgnoredFile 3"];
        assert_eq!(check_ignoring(text, "Dockerfile"), found);
        assert_eq!(
            messages_ignoring(text, "Dockerfile"),
            [
                r#"Attempting to Copy file "Dockerfile" that is excluded by .dockerignore"#,
                r#"Attempting to Add file "Dockerfile" that is excluded by .dockerignore"#
            ]
        );
    }

    #[test]
    fn other_stages_and_contexts_without_ignore_files_are_not_asked() {
        let text = "FROM scratch AS base\nFROM scratch\nCOPY --from=base Dockerfile /\nADD https://x.example/Dockerfile /\n";
        assert_eq!(check_ignoring(text, "Dockerfile"), [] as [&str; 0]);
        assert_eq!(check("FROM scratch\nCOPY Dockerfile /\n"), [] as [&str; 0]);
    }
}
