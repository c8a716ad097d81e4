//! Who may do what.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Shared;
use super::http::{Body, Head, Response};
use super::route::Route;
use super::token::{self, Asked, Rules};

pub(crate) const USER: &str = "tester";
pub(crate) const PASSWORD: &str = "correct-horse";

#[derive(Default, Clone)]
pub(crate) enum Auth {
    #[default]
    None,
    Basic,
    Bearer(Bearer),
}

/// Tokens, which are given at `/token` of the same server.
#[derive(Default, Clone)]
pub(crate) struct Bearer {
    /// The name of the token endpoint's host, if another.
    pub(crate) realm_host: Option<&'static str>,
    pub(crate) rules: Rules,
    /// How often a token can be used.
    pub(crate) uses: Option<usize>,
}

#[derive(Default)]
pub(super) struct Tokens(Mutex<BTreeMap<String, Token>>);

struct Token {
    scopes: Vec<String>,
    uses: usize,
    until: Instant,
}

/// A repository and what is done with it.
type Need = (String, &'static str);

impl Tokens {
    pub(super) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn mint(&self, bearer: &Bearer, asked: &Asked) -> String {
        let mut tokens = self.0.lock().unwrap();
        let name = format!("secret-token-{}", fastrand::u64(..));
        let life = Duration::from_secs(bearer.rules.expires_in.unwrap_or(60));
        let token = Token {
            scopes: asked.scopes.clone(),
            uses: bearer.uses.unwrap_or(usize::MAX),
            until: Instant::now() + life,
        };
        tokens.insert(name.clone(), token);
        name
    }

    /// Uses a token; says what is wrong with it.
    fn spend(&self, name: &str, needs: &[Need]) -> Result<(), &'static str> {
        let mut tokens = self.0.lock().unwrap();
        let token = tokens.get_mut(name).ok_or("invalid_token")?;
        if token.uses == 0 || token.until < Instant::now() {
            return Err("invalid_token");
        }
        if !needs.iter().all(|need| token.scopes.iter().any(|scope| allows(scope, need))) {
            return Err("insufficient_scope");
        }
        token.uses -= 1;
        Ok(())
    }
}

fn allows(scope: &str, (repository, action): &Need) -> bool {
    let parts = scope.strip_prefix("repository:").and_then(|scope| scope.rsplit_once(':'));
    parts.is_some_and(|(name, actions)| name == repository && actions.split(',').any(|a| a == *action))
}

/// The answer to somebody who may not, or who asks for a token; `None` to go on.
pub(super) fn guard(
    shared: &Shared,
    head: &Head,
    route: &Route,
    body: &mut Body<'_>,
) -> io::Result<Option<Response>> {
    let shown = head.header("authorization");
    Ok(match &shared.options.auth {
        Auth::Bearer(bearer) if *route == Route::Token => {
            let body = body.read_all()?;
            Some(token::answer(head, &body, &bearer.rules, |asked| shared.tokens.mint(bearer, asked)))
        }
        _ if matches!(route, Route::Cdn { .. } | Route::Unknown | Route::Token) => None,
        Auth::None => None,
        Auth::Basic if shown == Some(&token::basic(USER, PASSWORD)) => None,
        Auth::Basic => Some(refusal("Basic realm=\"the \\\"test\\\", registry\"".to_owned())),
        Auth::Bearer(bearer) => {
            let needs = needs(head, route);
            let name = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
            let wrong = shared.tokens.spend(name, &needs).err();
            wrong.map(|wrong| refusal(challenge(shared, bearer, &needs, wrong)))
        }
    })
}

fn refusal(challenge: String) -> Response {
    Response::error(401, "UNAUTHORIZED", "authentication required").with("WWW-Authenticate", challenge)
}

fn challenge(shared: &Shared, bearer: &Bearer, needs: &[Need], wrong: &str) -> String {
    let realm =
        format!("{}://{}:{}/token", shared.scheme(), bearer.realm_host.unwrap_or("127.0.0.1"), shared.port);
    let mut text = format!("Bearer realm=\"{realm}\",service=\"test registry\"");
    let mut actions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (repository, action) in needs {
        actions.entry(repository).or_default().push(action);
    }
    let scopes: Vec<_> =
        actions.iter().map(|(name, actions)| format!("repository:{name}:{}", actions.join(","))).collect();
    if !scopes.is_empty() {
        text += &format!(",scope=\"{}\"", scopes.join(" "));
    }
    format!("{text},error=\"{wrong}\"")
}

fn needs(head: &Head, route: &Route) -> Vec<Need> {
    let Some(repository) = route.repository() else { return Vec::new() };
    let need = |action| (repository.to_owned(), action);
    let mut needs = match (head.method.as_str(), route) {
        ("GET" | "HEAD", _) => vec![need("pull")],
        ("DELETE", Route::Manifest { .. } | Route::Blob { .. }) => vec![need("delete")],
        _ => vec![need("pull"), need("push")],
    };
    needs.extend(head.parameter("from").map(|from| (from, "pull")));
    needs
}
