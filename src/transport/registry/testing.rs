//! A server on loopback whose answers a test says, and what it was asked.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Credential, HostSettings, Keychain, KeychainError, Registries, Retry, Settings};
use crate::http::Http;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn authorization(&self) -> &str {
        self.header("authorization").unwrap_or("none")
    }
}

/// A raw answer; an empty one closes the connection.
pub(super) fn reply(status: u16, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[derive(Debug)]
pub(super) struct Server {
    /// `127.0.0.1:PORT`.
    pub(super) host: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers each request with what the function says to it and to the number of requests before it.
    pub(super) fn new(answer: impl Fn(&Seen, usize) -> String + Send + Sync + 'static) -> Self {
        Self::start(None, answer)
    }

    pub(super) fn secure(
        config: ServerConfig,
        answer: impl Fn(&Seen, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(config)), answer)
    }

    fn start(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Seen, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (all, answer) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, answer, tls) = (Arc::clone(&all), Arc::clone(&answer), tls.clone());
                thread::spawn(move || {
                    let each = |request: &Seen| {
                        let before = {
                            let mut all = all.lock().unwrap();
                            all.push(request.clone());
                            all.len() - 1
                        };
                        answer(request, before)
                    };
                    match tls {
                        None => talk(stream, each),
                        Some(tls) => {
                            talk(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), each)
                        }
                    }
                });
            }
        });
        Self { host, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// `METHOD PATH` of each request.
    pub(super) fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

fn talk(stream: impl Read + Write, answer: impl Fn(&Seen) -> String) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream)?;
        let answer = answer(&request);
        if answer.is_empty() {
            return None;
        }
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
        stream.get_mut().flush().ok()?;
    }
}

fn read(stream: &mut BufReader<impl Read>) -> Option<Seen> {
    let mut line = || {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).ok()?;
        Some(String::from_utf8(line).ok()?.trim_end().to_owned()).filter(|line| line.len() < 4096)
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen { method, path, headers, body: Vec::new() };
    let length = seen.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    seen.body = vec![0; length];
    stream.read_exact(&mut seen.body).ok()?;
    Some(seen)
}

/// Credentials by registry; it counts how often it is asked.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) keys: Vec<(String, Credential)>,
    pub(super) asked: Mutex<Vec<(String, String)>>,
}

impl Keychain for Keys {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Credential>, KeychainError> {
        self.asked.lock().unwrap().push((registry.to_owned(), repository.to_owned()));
        Ok(self.keys.iter().find(|(name, _)| name == registry).map(|(_, credential)| credential.clone()))
    }
}

pub(super) fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic { user: user.into(), password: password.into() }
}

/// Settings that lose their patience soon.
pub(super) fn hasty() -> Settings {
    let retry = Retry { tries: 3, pause: Duration::from_millis(5), ..Retry::default() };
    let retry = Retry { commit: Duration::from_millis(900), total: Duration::from_secs(10), ..retry };
    let http = Http { patience: Duration::from_millis(700), ..Http::default() };
    Settings { http, retry, ..Settings::default() }
}

pub(super) fn stranger() -> Registries {
    Registries::new(hasty(), Arc::new(super::NoKeychain))
}

/// With credentials for these registries.
pub(super) fn known(keys: &[(&str, Credential)]) -> Registries {
    known_with(hasty(), keys).0
}

pub(super) fn known_with(settings: Settings, keys: &[(&str, Credential)]) -> (Registries, Arc<Keys>) {
    let keys = keys.iter().map(|(name, credential)| ((*name).to_owned(), credential.clone())).collect();
    let keys = Arc::new(Keys { keys, ..Keys::default() });
    (Registries::new(settings, Arc::<Keys>::clone(&keys)), keys)
}

pub(super) fn with_host(name: &str, host: HostSettings) -> Settings {
    let mut settings = hasty();
    settings.hosts.insert(name.to_owned(), host);
    settings
}

/// What this crate has told the log so far, in all tests.
pub(super) fn logged() -> Vec<String> {
    LOG.lines.lock().unwrap().clone()
}

/// Begins to keep what is told.
pub(super) fn listen() {
    if log::set_logger(&LOG).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

static LOG: Log = Log { lines: Mutex::new(Vec::new()) };

struct Log {
    lines: Mutex<Vec<String>>,
}

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("lith")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.lines.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}
