//! A `FROM` that makes no sense unless a build argument is given.

use super::{Finding, Rule};
use crate::buildfile::Word;

pub(super) static RULE: Rule = Rule {
    name: "InvalidDefaultArgInFrom",
    description: "Default value for global ARG results in an empty or invalid base image name",
    url: Some("https://docs.docker.com/go/dockerfile/rule/invalid-default-arg-in-from/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn invalid_default_arg_in_from(base: &Word) -> Finding {
    let message = format!("Default value for ARG {} results in empty or invalid base image name", base.text);
    Finding::new(&RULE, base.span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check_with, messages_with};

    #[test]
    fn it_is_found_though_this_build_gives_the_argument() {
        let text = "ARG VERSION\nFROM busybox:$VERSION\n";
        assert_eq!(check_with(text, &[("VERSION", "1")]), ["InvalidDefaultArgInFrom 2"]);
        assert_eq!(
            messages_with(text, &[("VERSION", "1")]),
            ["Default value for ARG busybox:$VERSION results in empty or invalid base image name"]
        );
        assert_eq!(
            check_with("ARG IMAGE\nFROM $IMAGE\n", &[("IMAGE", "scratch")]),
            ["InvalidDefaultArgInFrom 2"]
        );
    }

    #[test]
    fn a_default_in_either_place_is_fine() {
        assert_eq!(check_with("ARG VERSION=1\nFROM busybox:$VERSION\n", &[]), [] as [&str; 0]);
        assert_eq!(check_with("ARG VERSION\nFROM busybox${VERSION:+:$VERSION}\n", &[]), [] as [&str; 0]);
    }
}
