//! An OCI registry on loopback, as the distribution specification 1.1 has it, that misbehaves when it is told to
//! ([`Fault`]) and remembers every request ([`Requests`]). It shares no code with lith.

mod auth;
mod blobs;
mod fault;
mod http;
mod listings;
mod log;
mod manifests;
mod route;
mod serve;
mod state;
pub(crate) mod tls;
pub(crate) mod token;
mod uploads;

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use auth::{Auth, Bearer, PASSWORD, USER};
pub(crate) use fault::{Fault, What, Where};
pub(crate) use http::Head;
pub(crate) use log::{Request, Requests};
pub(crate) use serve::Server;
use state::State;
pub(crate) use state::sha256;

/// What kind of registry it is, apart from its faults.
#[derive(Default, Clone)]
pub(crate) struct Options {
    pub(crate) auth: Auth,
    /// Speak TLS with this identity.
    pub(crate) tls: Option<tls::Identity>,
    /// `OCI-Chunk-Min-Length`, which it insists on.
    pub(crate) chunk_min: Option<u64>,
    /// A request with a larger body is refused with 413, as by a server that stands in front.
    pub(crate) body_limit: Option<u64>,
    /// Entries in a page of tags or referrers.
    pub(crate) page: Option<usize>,
    /// No referrers API, as before the distribution specification 1.1.
    pub(crate) no_referrers: bool,
    /// `POST ?digest=` starts an upload like any other.
    pub(crate) no_single_post: bool,
    /// What is about a manifest is deleted with it.
    pub(crate) cascade: bool,
}

/// A running registry; it ends with this value.
pub(crate) struct Registry {
    shared: Arc<Shared>,
    _server: Server,
}

/// What all connections see.
pub(crate) struct Shared {
    options: Options,
    port: u16,
    state: Mutex<State>,
    faults: fault::Faults,
    log: log::Log,
    tokens: auth::Tokens,
    mounts_ignored: AtomicBool,
}

impl Registry {
    pub(crate) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = options.tls.as_ref().map(tls::Identity::server_config);
        let shared = Arc::new(Shared {
            options,
            port,
            state: Mutex::default(),
            faults: fault::Faults::default(),
            log: log::Log::default(),
            tokens: auth::Tokens::default(),
            mounts_ignored: AtomicBool::new(false),
        });
        let service = Arc::clone(&shared);
        let server = Server::start(listener, config, move |connection| serve::converse(&service, connection));
        Self { shared, _server: server }
    }

    pub(crate) fn port(&self) -> u16 {
        self.shared.port
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// `127.0.0.1:PORT/NAME`.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    pub(crate) fn fault(&self, fault: Fault) -> &Self {
        self.shared.faults.add(fault);
        self
    }

    /// No fault from here on.
    pub(crate) fn behave(&self) {
        self.shared.faults.clear();
        self.shared.mounts_ignored.store(false, Ordering::Relaxed);
    }

    /// Answers each wish to mount with an upload.
    pub(crate) fn ignore_mounts(&self) {
        self.shared.mounts_ignored.store(true, Ordering::Relaxed);
    }

    /// How often a fault happened.
    pub(crate) fn faults_happened(&self) -> usize {
        self.shared.faults.happened()
    }

    pub(crate) fn requests(&self) -> Requests {
        self.shared.log.requests()
    }

    pub(crate) fn forget_requests(&self) {
        self.shared.log.clear();
    }

    /// Every token that was given is void.
    pub(crate) fn expire_tokens(&self) {
        self.shared.tokens.clear();
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn scheme(&self) -> &'static str {
        if self.options.tls.is_some() { "https" } else { "http" }
    }
}
