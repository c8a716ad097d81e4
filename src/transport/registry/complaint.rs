//! What a server says is wrong.

use std::fmt;

use serde::Deserialize;

use super::answer::Answer;
use crate::text;

/// A status and the server's own words for it (the specification's error codes), as far as they may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub status: u16,
    words: String,
}

/// More of a page helps nobody.
const LIMIT: u64 = 16 << 10;

const MAX_ERRORS: usize = 3;

/// The shapes that registries and token servers are known to answer in.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Document {
    errors: Vec<Item>,
    error: Option<serde_json::Value>,
    error_description: Option<String>,
    details: Option<serde_json::Value>,
    message: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Item {
    code: Option<serde_json::Value>,
    message: Option<String>,
}

impl Complaint {
    /// Reads what it has to say. A body that breaks off says nothing.
    pub(super) fn of(answer: &mut Answer) -> Self {
        let html = answer.header("content-type").is_some_and(|t| t.trim_start().starts_with("text/html"));
        let body = answer.read(LIMIT).ok().flatten().unwrap_or_default();
        if answer.shown.as_ref().is_some_and(|shown| shown.is_in(&body)) {
            let words = "its words hold the credential, and are not shown".into();
            return Self { status: answer.status, words };
        }
        Self::read(answer.status, &body, html)
    }

    #[cfg(test)]
    pub(crate) fn bare(status: u16) -> Self {
        Self { status, words: String::new() }
    }

    fn read(status: u16, body: &[u8], html: bool) -> Self {
        let trimmed = body.trim_ascii();
        if html || trimmed.starts_with(b"<") {
            return Self { status, words: "an HTML page, not a registry's answer".into() };
        }
        let Ok(document) = serde_json::from_slice::<Document>(trimmed) else {
            let words = text::shown(&String::from_utf8_lossy(trimmed));
            return Self { status, words };
        };
        Self { status, words: text::shown(&document.words()) }
    }
}

impl Document {
    fn words(&self) -> String {
        if !self.errors.is_empty() {
            let each = self.errors.iter().take(MAX_ERRORS).map(Item::words);
            return each.collect::<Vec<_>>().join("; ");
        }
        let parts = [
            self.error.as_ref().and_then(word),
            self.error_description.clone(),
            self.message.clone(),
            self.details.as_ref().and_then(word),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

impl Item {
    fn words(&self) -> String {
        let code = self.code.as_ref().and_then(word);
        match (code, self.message.clone().filter(|m| !m.is_empty())) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (code, message) => code.or(message).unwrap_or_default(),
        }
    }
}

fn word(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(word) => Some(text::shown(word)),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.words {
            "" => write!(f, "{}", self.status),
            words => write!(f, "{}, {words}", self.status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_read_in_every_dialect() {
        let long = format!("\"{}\"", "x".repeat(5000));
        for (body, expected) in [
            (r#"{"errors":[{"code":"DENIED","message":"no","detail":{"a":[1]}}]}"#, "403, DENIED: no"),
            (r#"{"errors":[{"code":"A"},{"message":"b"},{"code":7},{"code":"D"}]}"#, "403, A; b; 7"),
            (r#"{"errors":[]}"#, "403"),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, "403, invalid_grant: expired"),
            (r#"{"details":"incorrect username or password"}"#, "403, incorrect username or password"),
            (r#"{"message":"x\u001b[2J"}"#, "403, x\\u{1b}[2J"),
            ("<html>secret", "403, an HTML page, not a registry's answer"),
            (" \n", "403"),
            ("plain\nwords", "403, plain\\nwords"),
            ("[1]", "403, [1]"),
        ] {
            assert_eq!(Complaint::read(403, body.as_bytes(), false).to_string(), expected, "{body}");
        }
        assert!(Complaint::read(403, long.as_bytes(), false).to_string().len() < 400);
        assert!(Complaint::read(403, b"x", true).to_string().contains("HTML"));
        assert!(!Complaint::read(403, &[0xff, 0x1b], false).to_string().contains('\x1b'));
    }
}
