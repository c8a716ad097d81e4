//! An environment's name, and the tags that are made of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::oci::Digest;

/// `prod`, `staging`, `eu-1`: also the tag that stands for what the environment has now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Environment(String);

/// Why a text is no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an environment's name: {why}", crate::text::shown(.text))]
pub struct ParseEnvironmentError {
    text: String,
    why: &'static str,
}

/// Room for what is added to it in a tag of 128 characters.
const MAX: usize = 64;
/// How long a number is in a tag, at least.
const DIGITS: usize = 6;

impl FromStr for Environment {
    type Err = ParseEnvironmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| Err(ParseEnvironmentError { text: text.to_owned(), why });
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let ends = text.starts_with(|c: char| c.is_ascii_lowercase()) && !text.ends_with(['-', '_']);
        if text.is_empty() || text.len() > MAX || !text.chars().all(fits) || !ends {
            return fail(
                "it is up to 64 lower-case letters, digits, `-` and `_`, begins with a letter and ends with neither `-` nor `_`",
            );
        }
        if matches!(text, "latest" | "mark" | "repair") || text.starts_with("lith-") {
            return fail("it means something else");
        }
        // The entries of `prod` are tagged so.
        let (_, last) = text.rsplit_once('-').unwrap_or_default();
        if last.len() >= DIGITS && last.bytes().all(|byte| byte.is_ascii_digit()) {
            return fail("it ends like an entry's number");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tag of an environment's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    /// The entry that has this number.
    Entry(u64),
    /// Somebody wants this number, and for which entry.
    Claim(u64, String),
    /// Nobody shall have this number any more.
    Closed(u64),
}

impl Environment {
    /// Stands for what the environment has.
    pub fn tag(&self) -> &str {
        &self.0
    }

    /// Those that have a ledger, as a repository's tags say it.
    pub fn all<'a>(tags: impl IntoIterator<Item = &'a str>) -> BTreeSet<Self> {
        let of = |tag: &'a str| {
            let rest = tag.strip_prefix("lith-release-")?.split('.').next()?;
            let numbered = || rest.rsplit_once('-').and_then(|(name, _)| name.parse().ok());
            rest.parse().ok().or_else(numbered)
        };
        tags.into_iter().filter_map(of).collect()
    }

    /// Stands for the last entry.
    pub fn head_tag(&self) -> String {
        format!("lith-release-{}", self.0)
    }

    pub fn entry_tag(&self, number: u64) -> String {
        format!("{}-{number:0DIGITS$}", self.head_tag())
    }

    pub(super) fn claim_tag(&self, number: u64, entry: &Digest) -> String {
        format!("{}.claim-{}", self.entry_tag(number), &entry.hex()[..16])
    }

    pub(super) fn closed_tag(&self, number: u64) -> String {
        format!("{}.closed", self.entry_tag(number))
    }

    pub(super) fn read(&self, tag: &str) -> Option<Tag> {
        let rest = tag.strip_prefix(&*self.head_tag())?.strip_prefix('-')?;
        let (digits, what) = rest.split_once('.').map_or((rest, None), |(digits, what)| (digits, Some(what)));
        let number: u64 = digits.parse().ok().filter(|_| digits.len() >= DIGITS)?;
        if self.entry_tag(number).len() != tag.len() - what.map_or(0, |what| what.len() + 1) || number == 0 {
            return None;
        }
        match what {
            None => Some(Tag::Entry(number)),
            Some("closed") => Some(Tag::Closed(number)),
            Some(what) => what.strip_prefix("claim-").map(|claim| Tag::Claim(number, claim.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tags_and_no_entries() {
        for text in ["prod", "eu-1", "a_b", "prod-12345"] {
            let environment: Environment = text.parse().unwrap();
            let number = 12;
            assert_eq!(environment.read(&environment.entry_tag(number)), Some(Tag::Entry(number)));
            assert_eq!(environment.read(&environment.closed_tag(7_000_000)), Some(Tag::Closed(7_000_000)));
            let digest = Digest::of(b"");
            let claim = Tag::Claim(1, digest.hex()[..16].into());
            assert_eq!(environment.read(&environment.claim_tag(1, &digest)), Some(claim));
        }
        for text in [
            "",
            "Prod",
            "1",
            "-a",
            "a-",
            "a.b",
            "prod-000001",
            "latest",
            "mark",
            "repair",
            "lith-x",
            &"a".repeat(65),
        ] {
            assert!(text.parse::<Environment>().is_err(), "{text}");
        }
    }

    #[test]
    fn ledgers_are_found_by_their_tags() {
        let tags =
            ["prod", "lith-release-eu-1", "lith-release-qa-000001.claim-0", "lith-release-X", "sha256-0"];
        let found: Vec<String> = Environment::all(tags).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["eu-1", "qa"]);
    }

    #[test]
    fn tags_of_others_are_none() {
        let environment: Environment = "prod".parse().unwrap();
        for tag in [
            "prod",
            "lith-release-prod",
            "lith-release-prod-1",
            "lith-release-prod-eu-000001",
            "lith-release-prod-000000",
            "lith-release-prod-0000001",
            "lith-release-prod-000001.x",
            "lith-release-prod-99999999999999999999999",
        ] {
            assert_eq!(environment.read(tag), None, "{tag}");
        }
    }
}
