//! What of a value stands in a trace.

use crate::buildfile::check::sounds_secret;

/// A longer value is told by its beginning and a hash.
const LONG: usize = 200;
const BEGINNING: usize = 60;
/// Shorter ones would be found everywhere.
const MIN: usize = 4;

/// The value of a variable; of one that sounds like a secret a hash alone.
pub(super) fn value(name: &str, text: &str) -> String {
    let hash = || blake3::hash(text.as_bytes()).to_hex()[..16].to_owned();
    if !name.is_empty() && sounds_secret(name) {
        return format!("*** ({})", hash());
    }
    if text.len() <= LONG {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(BEGINNING).collect();
    format!("{beginning}… ({})", hash())
}

/// The values that must not stand in a text, longest first.
pub(super) fn secrets<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let secret = variables.filter(|(name, text)| text.len() >= MIN && sounds_secret(name));
    let mut secrets: Vec<String> = secret.map(|(_, text)| text.to_owned()).collect();
    secrets.sort_by_key(|text| std::cmp::Reverse(text.len()));
    secrets.dedup();
    secrets
}

pub(super) fn masked(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}
