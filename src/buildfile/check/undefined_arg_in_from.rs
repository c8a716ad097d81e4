//! A `FROM` line with an argument that no `ARG` before it declares.

use super::{Finding, Rule};
use crate::buildfile::Span;
use crate::text::nearest;

pub(super) static RULE: Rule = Rule {
    name: "UndefinedArgInFrom",
    description: "FROM command must use declared ARGs",
    url: Some("https://docs.docker.com/go/dockerfile/rule/undefined-arg-in-from/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn undefined_arg_in_from<'a>(
    span: Span,
    name: &str,
    declared: impl IntoIterator<Item = &'a str>,
) -> Finding {
    let mut message = format!("FROM argument '{name}' is not declared");
    if let Some(other) = nearest(name, declared) {
        message.push_str(&format!(" (did you mean {other}?)"));
    }
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn it_is_found_in_base_and_platform() {
        let text = "FROM scratch$typo\nFROM --platform=$BULIDPLATFORM scratch\n";
        assert!(messages(text).contains(&"FROM argument 'typo' is not declared".to_owned()));
        let platform = "FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)";
        assert!(messages(text).contains(&platform.to_owned()));
    }

    #[test]
    fn a_declared_one_is_fine_even_without_a_value() {
        assert_eq!(check("ARG base=scratch\nFROM ${base}\n"), [] as [&str; 0]);
        assert_eq!(check("ARG base\nFROM ${base:-scratch}\n"), [] as [&str; 0]);
    }
}
