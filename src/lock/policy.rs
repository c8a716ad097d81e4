//! BuildKit's source policy: rules, as JSON, of which source stands in the place of which. Read to build by, or to make a
//! lock of; and written, for builders that know no lock.
//!
//! Sources are named as BuildKit names them: `docker-image://docker.io/library/alpine:3.20`, an http(s) URL as it is,
//! `git://HOST/PATH#REFERENCE` whatever the scheme.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Lock, name_of_git, name_of_url};
use crate::oci::{Digest, Reference};
use crate::plan::Git;
use crate::text::shown;

const IMAGE: &str = "docker-image://";
const GIT: &str = "git://";
const CHECKSUM: &str = "http.checksum";

/// The rules, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePolicy(Vec<Rule>);

/// Why a text is no policy that lith can keep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourcePolicyError {
    #[error("the source policy: {0}")]
    Syntax(String),
    #[error("rule {number} of the source policy (`{selector}`): {why}")]
    Rule { number: usize, selector: String, why: String },
}

/// Why a source may not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the source policy denies `{0}`")]
pub struct Denied(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    selector: String,
    action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Allow,
    Deny,
    /// The other source, the other checksum, or both.
    Convert(Option<String>, Option<Digest>),
}

/// The other source, and the checksum that it has to have.
type Conversion = (Option<String>, Option<Digest>);

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(default)]
    rules: Vec<Written>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    action: String,
    selector: Selector,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updates: Option<Updates>,
}

#[derive(Serialize, Deserialize)]
struct Selector {
    identifier: String,
    #[serde(default, rename = "matchType", alias = "match_type", skip_serializing_if = "Option::is_none")]
    match_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    constraints: Vec<serde_json::Value>,
}

#[derive(Default, Serialize, Deserialize)]
struct Updates {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identifier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attrs: Option<BTreeMap<String, String>>,
}

impl FromStr for SourcePolicy {
    type Err = SourcePolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| SourcePolicyError::Syntax(shown(&error)))?;
        let read = |(index, written): (usize, Written)| {
            let selector = shown(&written.selector.identifier);
            rule(written).map_err(|why| SourcePolicyError::Rule {
                number: index + 1,
                selector,
                why: shown(&why),
            })
        };
        document.rules.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }
}

fn rule(written: Written) -> Result<Rule, String> {
    let Written { action, selector, updates } = written;
    if !selector.constraints.is_empty() {
        return Err("constraints are not known".into());
    }
    match selector.match_type.as_deref() {
        None | Some("EXACT" | "WILDCARD") => {}
        Some(other) => return Err(format!("expected the match type `EXACT` or `WILDCARD`, found `{other}`")),
    }
    let exact = selector.match_type.as_deref() == Some("EXACT") || !selector.identifier.contains('*');
    let action = match action.as_str() {
        "ALLOW" => Action::Allow,
        "DENY" => Action::Deny,
        "CONVERT" if !exact => return Err("a wildcard names no one source to convert".into()),
        "CONVERT" => {
            let Updates { identifier, attrs } = updates.unwrap_or_default();
            let checksum = attrs.and_then(|mut attrs| attrs.remove(CHECKSUM));
            let checksum = checksum.map(|text| text.parse::<Digest>()).transpose();
            Action::Convert(
                identifier.filter(|id| !id.is_empty()),
                checksum.map_err(|error| error.to_string())?,
            )
        }
        other => return Err(format!("expected the action `ALLOW`, `DENY` or `CONVERT`, found `{other}`")),
    };
    let selector = normal(&selector.identifier);
    if let Action::Convert(Some(to), _) = &action
        && kind(to) != kind(&selector)
    {
        return Err(format!("`{to}` is of another kind"));
    }
    Ok(Rule { selector, action })
}

/// An image's name in full; what else there is as it is written.
fn normal(identifier: &str) -> String {
    let full = identifier.strip_prefix(IMAGE).and_then(|name| name.parse::<Reference>().ok());
    full.map_or_else(|| identifier.to_owned(), |name| format!("{IMAGE}{name}"))
}

fn kind(identifier: &str) -> &str {
    match identifier.split_once("://") {
        Some(("http" | "https", _)) => "http",
        Some((scheme, _)) => scheme,
        None => "",
    }
}

impl SourcePolicy {
    /// The image that is to be used for one.
    pub fn image(&self, name: &Reference) -> Result<Reference, Denied> {
        let source = format!("{IMAGE}{name}");
        let converted = self.apply(&source)?.and_then(|(to, _)| to?.strip_prefix(IMAGE)?.parse().ok());
        Ok(converted.unwrap_or_else(|| name.clone()))
    }

    /// The digest that a URL has to have.
    pub fn url(&self, url: &str) -> Result<Option<Digest>, Denied> {
        Ok(self.apply(&name_of_url(url))?.and_then(|(_, checksum)| checksum))
    }

    /// The commit that is to be used for a git reference.
    pub fn git(&self, git: &Git) -> Result<Option<String>, Denied> {
        let source = git_identifier(&name_of_git(git));
        let to = self.apply(&source)?.and_then(|(to, _)| to);
        Ok(to.and_then(|to| to.rsplit_once('#').map(|(_, commit)| commit.to_owned())))
    }

    /// Of several rules that match, the last one says it.
    fn apply(&self, source: &str) -> Result<Option<Conversion>, Denied> {
        match self.0.iter().rev().find(|rule| matches(&rule.selector, source)).map(|rule| &rule.action) {
            Some(Action::Deny) => Err(Denied(shown(source))),
            Some(Action::Convert(to, checksum)) => Ok(Some((to.clone(), checksum.clone()))),
            Some(Action::Allow) | None => Ok(None),
        }
    }
}

/// `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// `https://host/path#ref` as BuildKit names it.
fn git_identifier(name: &str) -> String {
    let place = name.split_once("://").map_or(name, |(_, place)| place);
    format!("{GIT}{place}")
}

impl Lock {
    /// Takes away those images and URLs of which a policy says another digest.
    pub fn forget_against(&mut self, policy: &SourcePolicy) {
        let said = |name: &str| policy.image(&name.parse().ok()?).ok()?.digest().cloned();
        self.images.retain(|name, image| said(name).is_none_or(|digest| digest == image.digest));
        let said = |url: &str| policy.url(url).ok().flatten();
        self.urls.retain(|url, entry| said(url).is_none_or(|digest| digest == entry.digest));
        let said = |name: &str| policy.apply(&git_identifier(name)).ok()??.0;
        self.git.retain(|name, entry| said(name).is_none_or(|to| to.ends_with(entry.commit.as_str())));
    }

    /// The images, URLs and repositories of it as a source policy.
    pub fn to_source_policy(&self) -> String {
        let mut rules = Vec::new();
        let named = self.images.iter().filter_map(|(name, image)| Some((name.parse().ok()?, &image.digest)));
        for (name, digest) in named.filter(|(name, _): &(Reference, _)| name.digest().is_none()) {
            let to = format!("{IMAGE}{}", name.with_digest(digest));
            rules.push(convert(format!("{IMAGE}{name}"), Some(to), None));
        }
        for (url, entry) in &self.urls {
            rules.push(convert(url.clone(), None, Some(&entry.digest)));
        }
        for (name, entry) in &self.git {
            let from = git_identifier(name);
            let place = from.rsplit_once('#').map_or(from.as_str(), |(place, _)| place);
            let to = format!("{place}#{}", entry.commit.as_str());
            // HEAD is what BuildKit takes where nothing is said.
            let from = from.strip_suffix("#HEAD").unwrap_or(&from).to_owned();
            rules.push(convert(from, Some(to), None));
        }
        let document = serde_json::to_value(Document { version: None, rules }).expect("texts and lists");
        format!("{document:#}\n")
    }
}

fn convert(from: String, to: Option<String>, checksum: Option<&Digest>) -> Written {
    let attrs = checksum.map(|digest| BTreeMap::from([(CHECKSUM.to_owned(), digest.to_string())]));
    Written {
        action: "CONVERT".into(),
        selector: Selector { identifier: from, match_type: Some("EXACT".into()), constraints: Vec::new() },
        updates: Some(Updates { identifier: to, attrs }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::tests::example;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn policy(rules: &str) -> Result<SourcePolicy, SourcePolicyError> {
        format!("{{\"rules\": [{rules}]}}").parse()
    }

    #[test]
    fn a_lock_becomes_a_policy_that_says_the_same() {
        let lock = example();
        let policy: SourcePolicy = lock.to_source_policy().parse().unwrap();
        let image = policy.image(&"debian:12".parse().unwrap()).unwrap();
        assert_eq!(image.digest(), Some(&lock.images["debian:12"].digest));
        assert_eq!(policy.url("https://a/b?c").unwrap().as_ref(), Some(&lock.urls["https://a/b?c"].digest));
        let git = crate::plan::GitAddress::parse("https://a/b.git#main").unwrap().unwrap().git();
        assert_eq!(
            policy.git(&git).unwrap().as_deref(),
            Some(lock.git["https://a/b.git#main"].commit.as_str())
        );
        assert_eq!(policy.image(&"debian:13".parse().unwrap()).unwrap().digest(), None);
    }

    #[test]
    fn rules_of_others_are_read() {
        let rules = format!(
            r#"{{"action": "DENY", "selector": {{"identifier": "docker-image://docker.io/*"}}}},
            {{"action": "CONVERT", "selector": {{"identifier": "docker-image://alpine", "matchType": "WILDCARD"}},
              "updates": {{"identifier": "docker-image://mirror.example/alpine@{DIGEST}"}}}},
            {{"action": "CONVERT", "selector": {{"identifier": "https://h/f"}},
              "updates": {{"attrs": {{"http.checksum": "{DIGEST}"}}}}}}"#
        );
        let policy = policy(&rules).unwrap();
        let image = policy.image(&"alpine:latest".parse().unwrap()).unwrap();
        assert_eq!(image.to_string(), format!("mirror.example/alpine@{DIGEST}"));
        let denied = policy.image(&"debian".parse().unwrap()).unwrap_err();
        assert_eq!(
            denied.to_string(),
            "the source policy denies `docker-image://docker.io/library/debian:latest`"
        );
        assert_eq!(policy.url("https://h/f").unwrap().unwrap().to_string(), DIGEST);
        assert_eq!(policy.url("https://h/g").unwrap(), None);
    }

    #[test]
    fn what_is_not_kept_is_refused() {
        for (rule, why) in [
            (r#"{"action": "MAYBE", "selector": {"identifier": "x"}}"#, "found `MAYBE`"),
            (r#"{"action": "DENY", "selector": {"identifier": "x", "matchType": "REGEX"}}"#, "found `REGEX`"),
            (r#"{"action": "DENY", "selector": {"identifier": "x", "constraints": [{}]}}"#, "constraints"),
            (r#"{"action": "CONVERT", "selector": {"identifier": "https://x/*"}}"#, "wildcard"),
            (
                r#"{"action": "CONVERT", "selector": {"identifier": "https://x"}, "updates": {"attrs": {"http.checksum": "md5:1"}}}"#,
                "md5",
            ),
            (
                r#"{"action": "CONVERT", "selector": {"identifier": "https://x"}, "updates": {"identifier": "docker-image://x"}}"#,
                "another kind",
            ),
        ] {
            let error = policy(rule).unwrap_err().to_string();
            assert!(error.contains(why) && error.starts_with("rule 1 "), "{error}");
        }
        assert!("[".parse::<SourcePolicy>().is_err());
    }

    #[test]
    fn a_star_is_anything() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab/c", true),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
