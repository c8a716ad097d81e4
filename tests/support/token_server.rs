//! A token server of the kind that stands in front of docker-registry: it signs JSON web tokens.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};

use super::registry::Server;
use super::registry::tls::{Authority, Identity};
use super::registry::token::{self, Asked, Rules};

/// It speaks TLS with the registry's own identity, and ends with this value.
pub(crate) struct TokenServer {
    port: u16,
    given: Arc<AtomicUsize>,
    _server: Server,
}

/// What makes tokens.
struct Mint {
    signer: Identity,
    key: EcdsaKeyPair,
    random: SystemRandom,
    service: String,
}

impl TokenServer {
    pub(crate) const ISSUER: &str = "tests";

    pub(crate) fn start(identity: &Identity, authority: &Authority, service: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mint = Mint::new(authority.identity(&["signer"]), service);
        let given = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given);
        let config = Some(identity.server_config());
        let server = Server::start(listener, config, move |mut connection| {
            while let Ok(Some(head)) = connection.read_head() {
                let Ok(body) = connection.body(&head).read_all() else { return };
                count.fetch_add(1, Ordering::Relaxed);
                let answer = token::answer(&head, &body, &Rules::default(), |asked| mint.token(asked));
                if connection.send(&head, &answer).is_err() {
                    return;
                }
            }
        });
        Self { port, given, _server: server }
    }

    /// On another host name than the registry.
    pub(crate) fn realm(&self) -> String {
        format!("https://localhost:{}/token", self.port)
    }

    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

impl Mint {
    fn new(signer: Identity, service: &str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &signer.key_der(), &random);
        Self { key: key.unwrap(), signer, random, service: service.to_owned() }
    }

    fn token(&self, asked: &Asked) -> String {
        assert_eq!(asked.service, self.service, "the service is the challenge's");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let certificate = BASE64_STANDARD.encode(self.signer.certificate_der());
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": [certificate] });
        let claims = json!({
            "iss": TokenServer::ISSUER, "sub": asked.user, "aud": self.service, "jti": "1",
            "iat": now, "nbf": now - 5, "exp": now + 60,
            "access": asked.scopes.iter().filter_map(|scope| access(scope)).collect::<Vec<_>>(),
        });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `repository:NAME:ACTION,ACTION`, as a claim.
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
}
