//! Tokens, and the servers that give them (distribution's token and OAuth2 documentation).

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use ureq::http::Method;

use super::auth::Authorization;
use super::call::Body;
use super::fault::{Fault, Kind};
use super::host::Host;
use super::redirect::Journey;
use super::scope::Scopes;
use super::send::Gone;
use super::{Credential, Registries};
use crate::http::{Url, encode};

/// A token that has been granted for something.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) scopes: Scopes,
    /// Whose credential it was granted for.
    pub(super) repository: String,
    pub(super) authorization: Authorization,
    pub(super) expires: Instant,
}

impl Token {
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.expires
    }
}

/// What a token server is asked.
pub(super) struct Asking<'a> {
    pub(super) registries: &'a Registries,
    pub(super) host: &'a Host,
    pub(super) realm: &'a Url,
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a Scopes,
    pub(super) credential: Option<&'a Credential>,
}

/// What a token server gives.
pub(super) struct Granted {
    pub(super) authorization: Authorization,
    pub(super) expires: Instant,
    /// To be used from now on in place of the one that was shown.
    pub(super) refresh: Option<String>,
}

/// A longer answer is no token.
const LIMIT: u64 = 64 << 10;

/// What a token lives if nobody says (distribution's documentation).
const LIFE: Duration = Duration::from_secs(60);

const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

/// Asks for a token, in the way that suits the credential.
pub(super) fn ask(asking: &Asking<'_>) -> Result<Granted, Fault> {
    match asking.credential {
        Some(Credential::Identity(token)) => match asking.post(token)? {
            Some(granted) => Ok(granted),
            // Servers that know no OAuth.
            None => asking.get(Authorization::basic("", token).as_ref()),
        },
        Some(Credential::Basic { user, password }) => {
            asking.get(Authorization::basic(user, password).as_ref())
        }
        Some(Credential::Bearer(_)) | None => asking.get(None),
    }
}

impl Asking<'_> {
    fn get(&self, authorization: Option<&Authorization>) -> Result<Granted, Fault> {
        let service = self.service.map(|service| format!("service={}", encode(service)));
        let scopes = self.scopes.each().map(|scope| format!("scope={}", encode(&scope)));
        let query: Vec<String> = service.into_iter().chain(scopes).collect();
        let url = self.realm.with_query(&query.join("&"));
        let headers = [("accept", "application/json".to_owned())];
        self.travel(&Method::GET, &headers, &url, authorization, Body::Empty, &[])?
            .ok_or_else(|| Kind::Protocol("it gave no token".into()).into())
    }

    /// `None` if the server does not do this.
    fn post(&self, refresh: &str) -> Result<Option<Granted>, Fault> {
        let scopes: Vec<String> = self.scopes.each().collect();
        let mut form = format!("grant_type=refresh_token&client_id=lith&refresh_token={}", encode(refresh));
        form += &format!("&service={}", encode(self.service.unwrap_or_default()));
        if !scopes.is_empty() {
            form += &format!("&scope={}", encode(&scopes.join(" ")));
        }
        let headers = [
            ("accept", "application/json".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        // 401 is what some say instead of 404.
        self.travel(&Method::POST, &headers, self.realm, None, Body::Bytes(form.as_bytes()), &[401, 404, 405])
    }

    fn travel(
        &self,
        method: &Method,
        headers: &[(&'static str, String)],
        url: &Url,
        authorization: Option<&Authorization>,
        mut body: Body<'_>,
        unable: &[u16],
    ) -> Result<Option<Granted>, Fault> {
        let patience = self.registries.settings.http.patience;
        let journey = Journey { registries: self.registries, host: self.host, method, headers, patience };
        // A form with a credential goes to the token server alone.
        let may_be_led = *method == Method::GET;
        let mut answer = journey.follow(url, authorization, &mut body, &mut Gone::default(), may_be_led)?;
        if unable.contains(&answer.status) {
            return Ok(None);
        }
        if !answer.is_success() {
            return Err(Fault::answered(&mut answer, self.credential.is_some()));
        }
        let bytes = answer.read(LIMIT).map_err(|error| Fault::failed(error.into(), url, patience))?;
        let bytes = bytes.ok_or_else(|| Kind::Protocol(format!("its token has more than {LIMIT} bytes")))?;
        granted(&bytes).map(Some)
    }
}

/// Reads what a token server gave. What is wrong with it is told without quoting it.
fn granted(bytes: &[u8]) -> Result<Granted, Fault> {
    let bad = |why: &str| Fault::from(Kind::Protocol(why.to_owned()));
    let document: Document = serde_json::from_slice(bytes).map_err(|_| bad("what it gave is no token"))?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let token = some(document.token).or_else(|| some(document.access_token));
    let token = token.ok_or_else(|| bad("it gave no token"))?;
    let authorization =
        Authorization::bearer(&token).ok_or_else(|| bad("its token holds characters that none can"))?;
    let life = life(&document.expires_in);
    let margin = (life / 4).min(Duration::from_secs(10));
    Ok(Granted {
        authorization,
        expires: Instant::now() + (life - margin),
        refresh: some(document.refresh_token),
    })
}

fn life(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let life = seconds.filter(|s| *s > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
    life.unwrap_or(LIFE).min(LONGEST_LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read() {
        let life_of = |text: &str| life(&serde_json::from_str(text).unwrap());
        for (text, seconds) in [
            ("300", 300),
            ("\"300\"", 300),
            ("300.0", 300),
            ("null", 60),
            ("0", 60),
            ("-5", 60),
            ("1e300", 60),
            ("[]", 60),
            ("999999999", 24 * 60 * 60),
        ] {
            assert_eq!(life_of(text), Duration::from_secs(seconds), "{text}");
        }
        for (text, expected) in [
            (r#"{"token":"t","access_token":"a"}"#, Some("t")),
            (r#"{"token":"","access_token":"a"}"#, Some("a")),
            (r#"{"access_token":"a","expires_in":3}"#, Some("a")),
            (r#"{}"#, None),
            (r#"{"token":"a\nb"}"#, None),
            ("<html>", None),
            ("[]", None),
        ] {
            let found = granted(text.as_bytes()).ok().map(|granted| granted.authorization);
            assert_eq!(found, expected.and_then(Authorization::bearer), "{text}");
        }
    }
}
