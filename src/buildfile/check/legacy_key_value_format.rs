//! `ENV name value`: the old form, which takes the rest of the line.

use super::{Finding, Rule};
use crate::buildfile::{Span, Word};

pub(super) static RULE: Rule = Rule {
    name: "LegacyKeyValueFormat",
    description: "Legacy key/value format with whitespace separator should not be used",
    url: Some("https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn legacy_key_value_format(span: Span, keyword: &Word) -> Finding {
    let keyword = &keyword.text;
    let message =
        format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format");
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn the_old_form_is_found() {
        let text = "FROM scratch\nENV name value\nLABEL name value\nENV a=b\n";
        assert_eq!(check(text), ["LegacyKeyValueFormat 2", "LegacyKeyValueFormat 3"]);
        let expected = r#""ENV key=value" should be used instead of legacy "ENV key value" format"#;
        assert_eq!(messages(text)[0], expected);
    }
}
