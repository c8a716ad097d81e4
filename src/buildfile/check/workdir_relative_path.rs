//! A relative `WORKDIR` where nothing but the base image says what it is relative to.

use super::{Finding, Rule};
use crate::buildfile::{Span, lower::quote};

pub(super) static RULE: Rule = Rule {
    name: "WorkdirRelativePath",
    description: "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
    url: Some("https://docs.docker.com/go/dockerfile/rule/workdir-relative-path/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn workdir_relative_path(span: Span, path: &str) -> Finding {
    let message =
        format!("Relative workdir {} can have unexpected results if the base image changes", quote(path));
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn the_first_one_of_a_chain_of_stages_is_found() {
        let text = "FROM scratch AS a\nWORKDIR app\nWORKDIR src\nFROM a\nWORKDIR x\n";
        assert_eq!(check(text), ["WorkdirRelativePath 2"]);
        let expected = r#"Relative workdir "app" can have unexpected results if the base image changes"#;
        assert_eq!(messages(text), [expected]);
    }

    #[test]
    fn after_an_absolute_one_it_is_fine() {
        assert_eq!(
            check("FROM scratch AS a\nWORKDIR /app\nWORKDIR src\nFROM a\nWORKDIR x\n"),
            [] as [&str; 0]
        );
    }
}
