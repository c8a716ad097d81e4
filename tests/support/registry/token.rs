//! A token endpoint: the token authentication of distribution, by GET, and its OAuth form, by POST.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::auth::{PASSWORD, USER};
use super::http::{Head, Response, form};

/// What stands for the user's name and password.
pub(crate) const REFRESH: &str = "secret-refresh-token";

#[derive(Default, Clone)]
pub(crate) struct Rules {
    /// POST is answered with 404.
    pub(crate) no_oauth: bool,
    /// The token is called `access_token`.
    pub(crate) access_token: bool,
    /// Seconds, said in the answer.
    pub(crate) expires_in: Option<u64>,
    /// Strangers may pull.
    pub(crate) anonymous_pull: bool,
}

/// What somebody wants a token for, and gets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) service: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) user: String,
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

pub(crate) fn answer(head: &Head, body: &[u8], rules: &Rules, mint: impl Fn(&Asked) -> String) -> Response {
    let asked = match head.method.as_str() {
        "GET" => by_get(head),
        "POST" if !rules.no_oauth => by_post(&String::from_utf8_lossy(body)),
        _ => return Response::new(404),
    };
    let Some(mut asked) = asked else {
        return Response::error(401, "UNAUTHORIZED", "incorrect username or password");
    };
    if asked.user.is_empty() {
        let pulls = |scope: &String| rules.anonymous_pull && scope.ends_with(":pull");
        asked.scopes.retain(pulls);
    }
    let field = if rules.access_token { "access_token" } else { "token" };
    let mut value = json!({ field: mint(&asked) });
    if let Some(seconds) = rules.expires_in {
        value["expires_in"] = Value::from(seconds);
    }
    Response::json(200, &value)
}

/// `None` to a liar.
fn by_get(head: &Head) -> Option<Asked> {
    let user = match head.header("authorization") {
        None => "",
        Some(value) if value == basic(USER, PASSWORD) => USER,
        Some(_) => return None,
    };
    let scopes = head.parameters("scope").flat_map(|scope| split(&scope)).collect();
    Some(Asked { service: head.parameter("service").unwrap_or_default(), scopes, user: user.to_owned() })
}

fn by_post(body: &str) -> Option<Asked> {
    let field =
        |name: &str| form(body).find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default();
    let known = match field("grant_type").as_str() {
        "refresh_token" => field("refresh_token") == REFRESH,
        "password" => field("username") == USER && field("password") == PASSWORD,
        _ => false,
    };
    let (service, scopes) = (field("service"), split(&field("scope")));
    known.then(|| Asked { service, scopes, user: USER.to_owned() })
}

fn split(scope: &str) -> Vec<String> {
    scope.split_whitespace().map(str::to_owned).collect()
}
