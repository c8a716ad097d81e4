//! A base image that is for another platform than the stage.

use super::{Finding, Rule};
use crate::buildfile::{Span, lower::quote};
use crate::oci::Platform;

pub(super) static RULE: Rule = Rule {
    name: "InvalidBaseImagePlatform",
    description: "Base image platform does not match expected target platform",
    url: None,
    experimental: false,
    tree: None,
};

/// None if they agree.
pub(in crate::buildfile) fn invalid_base_image_platform(
    span: Span,
    name: &str,
    expected: &Platform,
    found: &Platform,
) -> Option<Finding> {
    if expected.os == found.os && expected.architecture == found.architecture {
        return None;
    }
    let [expected, found] =
        [expected, found].map(|platform| quote(&platform.clone().normalized().to_string()));
    let message =
        format!("Base image {name} was pulled with platform {found}, expected {expected} for current build");
    Some(Finding::new(&RULE, span, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_do_not_count() {
        let [amd64, arm, armv6] =
            ["linux/amd64", "linux/arm/v7", "linux/arm/v6"].map(|text| text.parse::<Platform>().unwrap());
        assert!(invalid_base_image_platform(Span::default(), "x", &arm, &armv6).is_none());
        let finding = invalid_base_image_platform(Span::default(), "x", &amd64, &armv6).unwrap();
        let expected = r#"Base image x was pulled with platform "linux/arm/v6", expected "linux/amd64" for current build"#;
        assert_eq!(finding.message, expected);
    }
}
