//! `FROM --platform=$TARGETPLATFORM` says what is so anyway.

use super::{Finding, Rule};
use crate::buildfile::Word;

pub(super) static RULE: Rule = Rule {
    name: "RedundantTargetPlatform",
    description: "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    url: Some("https://docs.docker.com/go/dockerfile/rule/redundant-target-platform/"),
    experimental: false,
    tree: None,
};

pub(in crate::buildfile) fn redundant_target_platform(platform: &Word) -> Finding {
    let message = format!(
        "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
        platform.text
    );
    Finding::new(&RULE, platform.span, message)
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn it_is_found_in_each_spelling() {
        let text = "FROM --platform=$TARGETPLATFORM scratch\n";
        assert_eq!(check(text), ["RedundantTargetPlatform 1"]);
        let expected = "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior";
        assert_eq!(messages(text), [expected]);
        assert_eq!(check("FROM --platform=${TARGETPLATFORM} scratch\n"), ["RedundantTargetPlatform 1"]);
    }

    #[test]
    fn another_platform_is_fine() {
        assert_eq!(check("FROM --platform=$BUILDPLATFORM scratch\n"), [] as [&str; 0]);
        assert_eq!(check("FROM --platform=linux/${TARGETARCH} scratch\n"), [] as [&str; 0]);
    }
}
