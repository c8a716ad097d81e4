//! A variable that is neither set nor declared.

use super::{Finding, Rule};
use crate::buildfile::Span;
use crate::text::nearest;

pub(super) static RULE: Rule = Rule {
    name: "UndefinedVar",
    description: "Variables should be defined before their use",
    url: Some("https://docs.docker.com/go/dockerfile/rule/undefined-var/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn undefined_var<'a>(
    span: Span,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Finding {
    let mut message = format!("Usage of undefined variable '${name}'");
    if let Some(other) = nearest(name, known) {
        message.push_str(&format!(" (did you mean ${other}?)"));
    }
    Finding::new(&RULE, span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn ports_are_not_looked_at() {
        assert_eq!(check("FROM scratch\nEXPOSE $P 80\nLABEL a=$P\n"), ["UndefinedVar 3"]);
    }

    #[test]
    fn it_is_found_with_its_nearest_neighbour() {
        let text = "FROM scratch AS base\nARG DIR_BINARIES=b\nARG foo\nCOPY Dockerfile${foo} .\nCOPY $DIR_ASSETS $DIR_BINARES /\n";
        assert_eq!(check(text), ["UndefinedVar 5", "UndefinedVar 5"]);
        assert_eq!(
            messages(text),
            [
                "Usage of undefined variable '$DIR_ASSETS'",
                "Usage of undefined variable '$DIR_BINARES' (did you mean $DIR_BINARIES?)"
            ]
        );
    }

    #[test]
    fn set_declared_and_inherited_ones_are_fine() {
        let text = "ARG v=1\nFROM scratch AS base\nARG v\nENV e=$v p=$PATH\nFROM base\nCOPY $e $v /\nRUN echo $nothing\n";
        assert_eq!(check(text), [] as [&str; 0]);
    }

    #[test]
    fn of_an_image_that_is_not_at_hand_it_says_so() {
        assert_eq!(check("FROM unknown.example/x\nCOPY $JAVA_HOME /\n"), ["UndefinedVar 2"]);
    }
}
