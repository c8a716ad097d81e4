//! What is in a file of credentials: docker's `config.json` and containers' `auth.json` (containers-auth.json(5)).
//! Pure: bytes in, values out.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::{Credential, server};

/// A file, read. It shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthFile {
    /// By what [`server::canonical`] makes of their keys.
    accounts: BTreeMap<String, Credential>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

/// Why a file can't be understood. Nothing of it is quoted: it is full of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct ParseAuthError {
    pub line: usize,
    pub why: &'static str,
}

impl AuthFile {
    /// Reads a file's content. An empty one is as good as none.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseAuthError> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| explain(&error))?;
        let mut file = Self { store: raw.creds_store.filter(|name| !name.is_empty()), ..Self::default() };
        for (key, entry) in raw.auths.unwrap_or_default() {
            let Some(credential) = entry.and_then(Entry::credential) else { continue };
            insert(&mut file.accounts, &key, credential);
        }
        for (key, helper) in raw.cred_helpers.unwrap_or_default() {
            insert(&mut file.helpers, &key, helper);
        }
        Ok(file)
    }

    /// The credential that the file itself has for a repository.
    pub fn find(&self, registry: &str, repository: &str) -> Option<&Credential> {
        server::scopes(registry, repository).find_map(|name| self.accounts.get(&name))
    }

    /// The helper that is to be asked for a registry's credential: `NAME` of `docker-credential-NAME`.
    pub fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.helpers.get(&server::canonical(registry));
        own.or(self.store.as_ref()).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(super) fn has_secrets(&self) -> bool {
        !self.accounts.is_empty()
    }
}

impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthFile")
    }
}

/// A key that is written as references have it wins over older ways to write it.
fn insert<T>(map: &mut BTreeMap<String, T>, key: &str, value: T) {
    let name = server::canonical(key);
    if name == key || !map.contains_key(&name) {
        map.insert(name, value);
    }
}

#[derive(Deserialize)]
struct Raw {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
}

/// One registry's. An entry without anything says that a helper has it.
#[derive(Deserialize)]
struct Entry {
    auth: Option<Auth>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Entry {
    fn credential(self) -> Option<Credential> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = filled(self.registrytoken) {
            return Some(Credential::Bearer(token));
        }
        if let Some(token) = filled(self.identitytoken) {
            return Some(Credential::Identity(token));
        }
        let (user, password) = match self.auth {
            Some(Auth(Some(pair))) => pair,
            Some(Auth(None)) | None => (self.username?, filled(self.password)?),
        };
        (!user.is_empty()).then(|| Credential::of(user, password))
    }
}

/// `user:password` in base64.
struct Auth(Option<(String, String)>);

const BAD_AUTH: &str = "an `auth` is not `user:password` in base64";

/// Some write the padding, some don't.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        let pair = decode(text.trim()).ok_or_else(|| serde::de::Error::custom(BAD_AUTH))?;
        Ok(Self(Some(pair)))
    }
}

fn decode(text: &str) -> Option<(String, String)> {
    let pair = String::from_utf8(LENIENT.decode(text).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    // Old versions of docker filled up with NULs.
    Some((user.to_owned(), password.trim_matches('\0').to_owned()))
}

/// serde's own words quote what they found.
fn explain(error: &serde_json::Error) -> ParseAuthError {
    let why = match error.classify() {
        Category::Data if error.to_string().starts_with(BAD_AUTH) => BAD_AUTH,
        Category::Data => "a value is not of the kind that belongs there",
        Category::Eof => "the JSON ends too early",
        Category::Syntax | Category::Io => "it is not JSON",
    };
    ParseAuthError { line: error.line(), why }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic { user: user.into(), password: password.into() }
    }

    fn parse(text: &str) -> AuthFile {
        AuthFile::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_form_of_an_entry() {
        let auth = STANDARD.encode("user:pass:word");
        for (entry, expected) in [
            (format!(r#"{{"auth": "{auth}"}}"#), Some(basic("user", "pass:word"))),
            (format!(r#"{{"auth": "{}"}}"#, auth.trim_end_matches('=')), Some(basic("user", "pass:word"))),
            (format!(r#"{{"auth": "{}"}}"#, STANDARD.encode("u:p\0\0")), Some(basic("u", "p"))),
            (format!(r#"{{"auth": "{}"}}"#, STANDARD.encode("u:")), Some(basic("u", ""))),
            (
                format!(r#"{{"auth": "{}"}}"#, STANDARD.encode("<token>:t")),
                Some(Credential::Identity("t".into())),
            ),
            (r#"{"username": "u", "password": "p", "email": "e"}"#.into(), Some(basic("u", "p"))),
            (
                format!(r#"{{"auth": "{auth}", "identitytoken": "t"}}"#),
                Some(Credential::Identity("t".into())),
            ),
            (r#"{"identitytoken": "i", "registrytoken": "r"}"#.into(), Some(Credential::Bearer("r".into()))),
            (r#"{"auth": ""}"#.into(), None),
            (r#"{"username": "u"}"#.into(), None),
            ("{}".into(), None),
            ("null".into(), None),
        ] {
            let file = parse(&format!(r#"{{"auths": {{"r.io": {entry}}}, "HttpHeaders": {{"a": 1}}}}"#));
            assert_eq!(file.find("r.io", "x").cloned(), expected, "{entry}");
        }
    }

    #[test]
    fn the_most_specific_entry_is_taken() {
        let entry = |user: &str| format!(r#"{{"username": "{user}", "password": "p"}}"#);
        let text = format!(
            r#"{{"auths": {{"r.io": {}, "r.io/a": {}, "r.io/a/b": {}, "https://index.docker.io/v1/": {}, "https://o.io/v2/": {}, "o.io": {}}}}}"#,
            entry("host"),
            entry("a"),
            entry("ab"),
            entry("hub"),
            entry("old"),
            entry("new"),
        );
        let file = parse(&text);
        for (registry, repository, user) in [
            ("r.io", "x", "host"),
            ("r.io", "a/x", "a"),
            ("r.io", "ab", "host"),
            ("r.io", "a/b", "ab"),
            ("r.io", "a/b/c", "ab"),
            ("docker.io", "library/alpine", "hub"),
            ("o.io", "x", "new"),
        ] {
            assert_eq!(file.find(registry, repository), Some(&basic(user, "p")), "{registry}/{repository}");
        }
        assert_eq!(file.find("r.io:443", "a"), None);
    }

    #[test]
    fn a_registrys_own_helper_comes_before_the_store() {
        let file = parse(r#"{"credsStore": "all", "credHelpers": {"gcr.io": "gcr", "plain.io": ""}}"#);
        assert_eq!(file.helper("gcr.io"), Some("gcr"));
        assert_eq!(file.helper("other.io"), Some("all"));
        assert_eq!(file.helper("plain.io"), None);
        assert_eq!(parse(" \n").helper("r.io"), None);
        assert_eq!(parse(r#"{"auths": null, "credsStore": ""}"#), AuthFile::default());
    }

    #[test]
    fn what_is_malformed_is_named_by_its_line_and_never_quoted() {
        for (text, line, why) in [
            ("{\n\"auths\": {\n\"r.io\": {\"auth\": \"secret!\"}}}", 3, BAD_AUTH),
            ("{\n\"auths\": {\"r.io\": {\"auth\": \"c2VjcmV0\"}}}", 2, BAD_AUTH),
            ("{\"auths\":\n[\"secret\"]}", 2, "a value is not of the kind that belongs there"),
            ("{\"auths\":\n{\"r.io\": \"secret\"}}", 2, "a value is not of the kind that belongs there"),
            ("[]", 1, "a value is not of the kind that belongs there"),
            ("{\"auths\": {", 1, "the JSON ends too early"),
            ("{\"auths\": secret}", 1, "it is not JSON"),
        ] {
            let error = AuthFile::parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.why), (line, why), "{text}");
        }
        assert!(AuthFile::parse(b"{\"auths\": {\"\xff\": {}}}").is_err());
        let deep = "[".repeat(100_000);
        assert!(AuthFile::parse(format!("{{\"x\": {deep}").as_bytes()).is_err());
    }

    #[test]
    fn nothing_shows_a_secret() {
        let file = parse(r#"{"auths": {"r.io": {"identitytoken": "hush"}}}"#);
        assert!(!format!("{file:?} {:?}", file.find("r.io", "x")).contains("hush"));
    }
}
