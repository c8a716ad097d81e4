//! Who lith says it is: what a challenge asks for, and what is shown for it.
//!
//! A credential goes to the registry that the keychain was asked for and to the token server that this registry
//! names, over https, or over plain http where the user wants that or it stays on this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{MutexGuard, PoisonError};

use ureq::http::HeaderValue;
use ureq::http::header::WWW_AUTHENTICATE;

use super::answer::Answer;
use super::fault::{Fault, Kind};
use super::host::Host;
use super::scope::Scopes;
use super::token::{Asking, Token, ask};
use super::{Challenge, Credential, Registries, RegistryError};
use crate::http::{Credentials, Url};

/// The value of an `Authorization` header. It shows itself to nobody but the request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorization(HeaderValue);

impl Authorization {
    pub(super) fn bearer(token: &str) -> Option<Self> {
        Self::new(&format!("Bearer {token}"))
    }

    pub(super) fn basic(user: &str, password: &str) -> Option<Self> {
        Self::new(&Credentials { user: user.to_owned(), password: password.to_owned() }.basic())
    }

    fn new(text: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    /// Whether a text repeats what is secret in it.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        let secret = self.0.as_bytes().splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
        !secret.is_empty() && text.windows(secret.len()).any(|part| part == secret)
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization")
    }
}

/// What a host wants to be shown, and what there is to show.
#[derive(Debug, Default)]
pub(super) struct Auth {
    way: Option<Way>,
    tokens: Vec<Token>,
    /// What a challenge asked for beside what the specification would have for these scopes.
    wider: BTreeMap<Scopes, Scopes>,
    /// By repository: what the keychain said.
    credentials: BTreeMap<String, Option<Credential>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

/// More tokens than this are not kept.
const MAX_TOKENS: usize = 256;

impl Auth {
    /// Who to be, whatever the keychain says.
    pub(super) fn set(&mut self, repository: &str, credential: Credential) {
        self.credentials.insert(repository.to_owned(), Some(credential));
    }
}

impl Registries {
    /// What to show for a request, if it is known what the host wants.
    pub(super) fn authorization(
        &self,
        host: &Host,
        scopes: &Scopes,
        repository: &str,
    ) -> Result<Option<Authorization>, Fault> {
        let mut auth = lock(host);
        if auth.way.is_none() { Ok(None) } else { self.authorize(host, &mut auth, scopes, repository) }
    }

    /// What to show after a refusal; `None` if there is nothing that has not been `shown` already.
    pub(super) fn challenged(
        &self,
        host: &Host,
        answer: &Answer,
        shown: Option<&Authorization>,
        scopes: &Scopes,
        repository: &str,
    ) -> Result<Option<Authorization>, Fault> {
        let mut auth = lock(host);
        let Some((way, scope)) = self.choose(host, answer)? else { return Ok(None) };
        auth.way = Some(way);
        auth.tokens.retain(|token| Some(&token.authorization) != shown);
        if let Some(asked) = scope.map(|scope| Scopes::parse(&scope)).filter(|asked| !scopes.covers(asked)) {
            let wider = auth.wider.entry(scopes.clone()).or_insert_with(|| scopes.clone());
            wider.merge(&asked);
        }
        let fresh = self.authorize(host, &mut auth, scopes, repository)?;
        Ok(fresh.filter(|fresh| Some(fresh) != shown))
    }

    /// The best of the challenges, with the scope that it names.
    fn choose(&self, host: &Host, answer: &Answer) -> Result<Option<(Way, Option<String>)>, Fault> {
        let headers = answer.headers.get_all(WWW_AUTHENTICATE);
        let all: Vec<Challenge> = headers
            .iter()
            .flat_map(|value| Challenge::parse(&String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let bearer = all.iter().find_map(|c| {
            let realm = c.parameter("realm").filter(|_| c.scheme == "bearer")?;
            Some((realm, c.parameter("service"), c.parameter("scope")))
        });
        let Some((realm, service, scope)) = bearer else {
            return Ok(all.iter().any(|c| c.scheme == "basic").then_some((Way::Basic, None)));
        };
        let bad =
            |why: &str| Kind::Protocol(format!("its token server `{}` {why}", crate::http::shown(realm)));
        let realm = Url::parse(realm).ok_or_else(|| bad("is no URL to ask"))?;
        let open = host.insecure || realm.names_loopback() || self.is_insecure(&realm.authority());
        if !realm.secure() && (answer.url.secure() || !open) {
            return Err(bad("is to be asked over plain http").into());
        }
        let way = Way::Bearer { realm, service: service.map(Into::into) };
        Ok(Some((way, scope.map(Into::into))))
    }

    fn authorize(
        &self,
        host: &Host,
        auth: &mut Auth,
        scopes: &Scopes,
        repository: &str,
    ) -> Result<Option<Authorization>, Fault> {
        let Some(way) = auth.way.clone() else { return Ok(None) };
        let credential = self.credential(host, auth, repository)?;
        let unusable =
            || Kind::Protocol("the credential for it holds characters that none can".into()).into();
        let (realm, service) = match (way, &credential) {
            (_, Some(Credential::Bearer(token))) => {
                return Authorization::bearer(token).map(Some).ok_or_else(unusable);
            }
            (Way::Basic, Some(Credential::Basic { user, password })) => {
                return Authorization::basic(user, password).map(Some).ok_or_else(unusable);
            }
            (Way::Basic, _) => return Ok(None),
            (Way::Bearer { realm, service }, _) => (realm, service),
        };
        let wanted = auth.wider.get(scopes).unwrap_or(scopes).clone();
        auth.tokens.retain(Token::is_fresh);
        if let Some(token) =
            auth.tokens.iter().find(|t| t.repository == repository && t.scopes.covers(&wanted))
        {
            return Ok(Some(token.authorization.clone()));
        }
        let asking = Asking {
            registries: self,
            host,
            realm: &realm,
            service: service.as_deref(),
            scopes: &wanted,
            credential: credential.as_ref(),
        };
        let granted = ask(&asking).map_err(|fault| fault.at(&realm.authority()))?;
        if let (Some(old), Some(new)) = (&credential, granted.refresh) {
            rotate(auth, old, &new);
        }
        if auth.tokens.len() >= MAX_TOKENS {
            auth.tokens.remove(0);
        }
        let authorization = granted.authorization;
        let (scopes, repository, expires) = (wanted, repository.to_owned(), granted.expires);
        auth.tokens.push(Token { scopes, repository, authorization: authorization.clone(), expires });
        Ok(Some(authorization))
    }

    /// What the keychain has, which is asked once.
    fn credential(
        &self,
        host: &Host,
        auth: &mut Auth,
        repository: &str,
    ) -> Result<Option<Credential>, RegistryError> {
        if let Some(known) = auth.credentials.get(repository) {
            return Ok(known.clone());
        }
        let found = self
            .keychain
            .find(&host.name, repository)
            .map_err(|error| RegistryError::Keychain { registry: host.name.clone(), error })?;
        auth.credentials.insert(repository.to_owned(), found.clone());
        Ok(found)
    }
}

/// A token server gave another refresh token for the one it was shown, which may be worth nothing any more.
fn rotate(auth: &mut Auth, old: &Credential, new: &str) {
    for credential in auth.credentials.values_mut().flatten().filter(|credential| *credential == old) {
        *credential = Credential::Identity(new.to_owned());
    }
}

fn lock(host: &Host) -> MutexGuard<'_, Auth> {
    host.auth.lock().unwrap_or_else(PoisonError::into_inner)
}
