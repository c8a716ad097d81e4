//! A platform written out in `FROM --platform` makes an image for that one whatever is asked for.

use super::{Finding, Rule};
use crate::buildfile::{Span, lower::quote};
use crate::oci::Platform;

pub(super) static RULE: Rule = Rule {
    name: "FromPlatformFlagConstDisallowed",
    description: "FROM --platform flag should not use a constant value",
    url: Some("https://docs.docker.com/go/dockerfile/rule/from-platform-flag-const-disallowed/"),
    experimental: false,
    tree: None,
};

/// None if the stage's name says that it is for that platform.
pub(in crate::buildfile) fn from_platform_flag_const_disallowed(
    span: Span,
    text: &str,
    platform: &Platform,
    stage: &str,
) -> Option<Finding> {
    if stage.contains(&platform.os) || stage.contains(&platform.architecture) {
        return None;
    }
    let message = format!("FROM --platform flag should not use constant value {}", quote(text));
    Some(Finding::new(&RULE, span, message))
}

#[cfg(test)]
mod tests {
    use crate::buildfile::check::testing::{check, messages};

    #[test]
    fn a_constant_is_found() {
        let text = "FROM --platform=linux/amd64 scratch AS base\n";
        assert_eq!(check(text), ["FromPlatformFlagConstDisallowed 1"]);
        assert_eq!(messages(text), [r#"FROM --platform flag should not use constant value "linux/amd64""#]);
    }

    #[test]
    fn a_stage_named_for_its_platform_is_fine() {
        assert_eq!(check("FROM --platform=linux/amd64 scratch AS build-amd64\n"), [] as [&str; 0]);
        assert_eq!(check("FROM --platform=linux/arm64 scratch AS linux-base\n"), [] as [&str; 0]);
        assert_eq!(check("FROM --platform=$BUILDPLATFORM scratch\n"), [] as [&str; 0]);
    }
}
