//! What a lock knows of an answer that a step with `--network=locked` got.

use serde::{Deserialize, Serialize};

use crate::oci::Digest;

/// All of an answer that is given again: its status, its body, and these headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedResponse {
    #[serde(default = "ok", skip_serializing_if = "is_ok")]
    pub status: u16,
    /// Of the body, which is a blob of the store; answers to HEAD and those that are no success have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `Content-Type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<HeaderValue>,
    /// Where the body was compressed though that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<HeaderValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<HeaderValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<HeaderValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<HeaderValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<HeaderValue>,
    /// Where a redirect leads, as the server said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<HeaderValue>,
}

impl LockedResponse {
    /// One with nothing but a status.
    pub fn of_status(status: u16) -> Self {
        Self {
            status,
            digest: None,
            size: None,
            media_type: None,
            content_encoding: None,
            content_disposition: None,
            etag: None,
            last_modified: None,
            link: None,
            location: None,
        }
    }

    /// Whether it is no answer of lasting: that nothing could be had, or what the server said of the moment, or of who
    /// asked.
    pub fn is_failure(&self) -> bool {
        matches!(self.status, 401 | 407 | 408 | 421 | 425 | 429 | 500..600)
    }

    /// What is most telling of it: the body's digest, or else the status.
    pub fn summary(&self) -> String {
        self.digest.as_ref().map_or_else(|| self.status.to_string(), ToString::to_string)
    }

    /// The headers that it has, beside those that tell of the connection and of the body's length.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("Content-Type", &self.media_type),
            ("Content-Encoding", &self.content_encoding),
            ("Content-Disposition", &self.content_disposition),
            ("ETag", &self.etag),
            ("Last-Modified", &self.last_modified),
            ("Link", &self.link),
            ("Location", &self.location),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?.as_str())))
    }
}

/// The value of a header: visible ASCII and spaces, so that it can't end its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderValue(String);

impl HeaderValue {
    /// Longer ones are nothing to be kept.
    const LIMIT: usize = 8 << 10;

    /// None if it is none, or empty.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= Self::LIMIT;
        (fits && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderValue {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
            .ok_or_else(|| format!("expected the value of a header, found `{}`", crate::text::shown(&text)))
    }
}

impl From<HeaderValue> for String {
    fn from(value: HeaderValue) -> Self {
        value.0
    }
}

fn ok() -> u16 {
    200
}

fn is_ok(status: &u16) -> bool {
    *status == ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_can_not_end_their_line() {
        for text in ["", " ", "a\r\nb: c", "a\nb", "\u{0}", "caf\u{e9}", &"x".repeat(9000)] {
            assert_eq!(HeaderValue::new(text), None, "{text:?}");
            let json = serde_json::json!({"etag": text}).to_string();
            assert!(serde_json::from_str::<LockedResponse>(&json).is_err(), "{json}");
        }
        assert_eq!(HeaderValue::new(" a; b=\"c\" ").unwrap().as_str(), "a; b=\"c\"");
    }

    #[test]
    fn what_is_usual_is_not_written() {
        let response = LockedResponse { location: HeaderValue::new("/x"), ..LockedResponse::of_status(302) };
        let json = serde_json::to_string(&response).unwrap();
        assert_eq!(json, r#"{"status":302,"location":"/x"}"#);
        assert_eq!(serde_json::from_str::<LockedResponse>(&json).unwrap(), response);
        assert_eq!(serde_json::to_string(&LockedResponse::of_status(200)).unwrap(), "{}");
        assert_eq!(response.headers().collect::<Vec<_>>(), [("Location", "/x")]);
    }
}
