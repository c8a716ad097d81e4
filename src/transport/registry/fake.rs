//! A registry in memory for the tests of this module: right by default, and wrong where a test says so.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::{NoKeychain, Registries, Repository, Retry, Settings};
use crate::oci::Digest;

/// A request without its body.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let value = query.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))?;
        Some(crate::http::decode(value))
    }
}

/// What is done in place of the right thing.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// This is answered, and the request has no effect.
    Answer(Reply),
    /// So much of the request's body is taken, and then the connection ends.
    CutRequest(usize),
    /// So much of the answer's body is sent, and then the connection ends.
    CutAnswer(usize),
    /// The right answer, but for a header.
    Header(&'static str, String),
    /// The right answer, but for its status.
    Status(u16),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) fn reply(status: u16, headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Reply {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Reply { status, headers, body: body.into() }
}

type Hook = Box<dyn Fn(&Asked) -> Option<Fault> + Send + Sync>;

#[derive(Default)]
pub(super) struct State {
    /// By repository and digest.
    pub(super) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest: media type and bytes.
    pub(super) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
    pub(super) asked: Vec<Asked>,
    /// Bytes of blobs that came in.
    pub(super) received: usize,
    sessions: u32,
}

pub(super) struct Fake {
    pub(super) host: String,
    pub(super) state: Arc<Mutex<State>>,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self::with(|_| None)
    }

    pub(super) fn with(hook: impl Fn(&Asked) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, hook): (_, Arc<Hook>) = (Arc::clone(&state), Arc::new(Box::new(hook)));
        // They end with the tests' process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state, hook) = (stream.unwrap(), Arc::clone(&shared), Arc::clone(&hook));
                std::thread::spawn(move || serve(stream, &state, &hook));
            }
        });
        Self { host, state }
    }

    pub(super) fn registries() -> Registries {
        let retry = Retry { tries: 3, pause: Duration::from_millis(5), ..Retry::default() };
        Registries::new(Settings { retry, ..Settings::default() }, Arc::new(NoKeychain))
    }

    pub(super) fn repository(&self, name: &str) -> Repository {
        Repository { registry: self.host.clone(), name: name.into() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What was asked, as `METHOD target`, and forgets it.
    pub(super) fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut self.state().asked);
        asked.into_iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }

    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        self.state().asked.iter().filter(|asked| asked.is(method, part)).count()
    }

    pub(super) fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.state().blobs.insert((repository.into(), digest.to_string()), bytes.to_vec());
        digest
    }

    pub(super) fn put_manifest(
        &self,
        repository: &str,
        name: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Digest {
        let digest = Digest::of(bytes);
        for name in [name.to_owned(), digest.to_string()] {
            self.state().manifests.insert((repository.into(), name), (media_type.into(), bytes.to_vec()));
        }
        digest
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>, hook: &Hook) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let asked = read_head(&mut reader)?;
        state.lock().unwrap().asked.push(asked.clone());
        let fault = hook(&asked);
        if asked.headers.contains_key("expect") && !matches!(fault, Some(Fault::Answer(_))) {
            reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length = asked.headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut cut = usize::MAX;
        let answer = match fault {
            Some(Fault::Answer(answer)) if asked.headers.contains_key("expect") => {
                write(reader.get_mut(), &asked, &answer, cut)?;
                return None;
            }
            Some(Fault::Answer(answer)) => {
                body(&mut reader, length)?;
                answer
            }
            Some(Fault::CutRequest(bytes)) => {
                let body = body(&mut reader, length.min(bytes))?;
                answer(&mut state.lock().unwrap(), &asked, &body);
                reader.get_mut().shutdown(Shutdown::Both).ok()?;
                return None;
            }
            fault => {
                let body = body(&mut reader, length)?;
                let mut answer = answer(&mut state.lock().unwrap(), &asked, &body);
                match fault {
                    Some(Fault::CutAnswer(bytes)) => cut = bytes,
                    Some(Fault::Status(status)) => answer.status = status,
                    Some(Fault::Header(name, value)) => {
                        answer.headers.retain(|(known, _)| *known != name);
                        if !value.is_empty() {
                            answer.headers.push((name, value));
                        }
                    }
                    _ => {}
                }
                answer
            }
        };
        write(reader.get_mut(), &asked, &answer, cut)?;
        if cut < answer.body.len() {
            reader.get_mut().shutdown(Shutdown::Both).ok()?;
            return None;
        }
    }
}

fn read_head(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    // Who speaks TLS is told at once that nobody here does.
    reader.fill_buf().ok()?.first().filter(|byte| byte.is_ascii_uppercase())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        (reader.read_until(b'\n', &mut head).ok()? > 0).then_some(())?;
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&head).unwrap();
    let text = |header: &httparse::Header<'_>| {
        (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
    };
    Some(Asked {
        method: request.method?.into(),
        target: request.path?.into(),
        headers: request.headers.iter().map(text).collect(),
    })
}

fn body(reader: &mut BufReader<TcpStream>, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok().map(|()| body)
}

fn write(stream: &mut TcpStream, asked: &Asked, answer: &Reply, cut: usize) -> Option<()> {
    let mut head = format!("HTTP/1.1 {} Status\r\n", answer.status);
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
        head += &format!("content-length: {}\r\n", answer.body.len());
    }
    let mut bytes = format!("{head}\r\n").into_bytes();
    if asked.method != "HEAD" {
        bytes.extend_from_slice(&answer.body[..cut.min(answer.body.len())]);
    }
    stream.write_all(&bytes).ok()
}

/// The right answer.
fn answer(state: &mut State, asked: &Asked, body: &[u8]) -> Reply {
    let path = asked.target.split('?').next().unwrap().strip_prefix("/v2/").unwrap();
    let Some((name, kind, rest)) = ["manifests", "blobs", "tags", "referrers"].iter().find_map(|kind| {
        let (name, rest) = path.split_once(&format!("/{kind}/"))?;
        Some((name.to_owned(), *kind, rest.to_owned()))
    }) else {
        return reply(404, &[], "");
    };
    match (asked.method.as_str(), kind) {
        ("POST", "blobs") => begin(state, asked, name),
        (_, "blobs") if rest.starts_with("uploads/") => upload(state, asked, &name, &rest, body),
        ("GET" | "HEAD", "blobs") => match state.blobs.get(&(name, rest)) {
            Some(blob) => part(asked, blob),
            None => reply(404, &[], ""),
        },
        ("GET" | "HEAD", "manifests") => match state.manifests.get(&(name, rest)) {
            Some((media_type, bytes)) => {
                let digest = Digest::of(bytes).to_string();
                let headers = [("content-type", media_type.as_str()), ("docker-content-digest", &digest)];
                let length = bytes.len().to_string();
                let headers = [headers[0], headers[1], ("content-length", &length)];
                reply(200, &headers, bytes.clone())
            }
            None => reply(404, &[], ""),
        },
        ("PUT", "manifests") => {
            let (digest, media_type) = (Digest::of(body).to_string(), asked.headers["content-type"].clone());
            for at in [rest, digest.clone()] {
                state.manifests.insert((name.clone(), at), (media_type.clone(), body.to_vec()));
            }
            reply(201, &[("docker-content-digest", &digest)], "")
        }
        ("DELETE", "manifests") => match state.manifests.remove(&(name, rest)) {
            Some(_) => reply(202, &[], ""),
            None => reply(404, &[], ""),
        },
        _ => reply(404, &[], ""),
    }
}

fn begin(state: &mut State, asked: &Asked, name: String) -> Reply {
    if let (Some(digest), Some(from)) = (asked.parameter("mount"), asked.parameter("from"))
        && let Some(blob) = state.blobs.get(&(from, digest.clone())).cloned()
    {
        state.blobs.insert((name, digest), blob);
        return reply(201, &[], "");
    }
    state.sessions += 1;
    let id = state.sessions.to_string();
    state.uploads.insert(id.clone(), Vec::new());
    reply(202, &[("location", &format!("/v2/{name}/blobs/uploads/{id}?s=0"))], "")
}

fn upload(state: &mut State, asked: &Asked, name: &str, rest: &str, body: &[u8]) -> Reply {
    let id = rest.trim_start_matches("uploads/").to_owned();
    let Some(bytes) = state.uploads.get_mut(&id) else { return reply(404, &[], "") };
    if let Some(range) = asked.headers.get("content-range")
        && !range.starts_with(&format!("{}-", bytes.len()))
    {
        return reply(416, &[], "");
    }
    bytes.extend_from_slice(body);
    state.received += body.len();
    if asked.method == "PUT" {
        let digest = Digest::of(bytes).to_string();
        if asked.parameter("digest").as_ref() != Some(&digest) {
            return reply(400, &[], r#"{"errors":[{"code":"DIGEST_INVALID","message":"m"}]}"#);
        }
        let blob = state.uploads.remove(&id).unwrap();
        state.blobs.insert((name.to_owned(), digest.clone()), blob);
        return reply(201, &[("docker-content-digest", &digest)], "");
    }
    let range = format!("0-{}", bytes.len().saturating_sub(1));
    let place = format!("/v2/{name}/blobs/uploads/{id}?s={}", bytes.len());
    let status = if asked.method == "GET" { 204 } else { 202 };
    reply(status, &[("location", &place), ("range", &range)], "")
}

fn part(asked: &Asked, blob: &[u8]) -> Reply {
    let first = asked.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let Some(first) = first.map(|first| first.parse::<usize>().unwrap()) else {
        return reply(200, &[("content-length", &blob.len().to_string())], blob);
    };
    let (last, size) = (blob.len() - 1, blob.len());
    reply(206, &[("content-range", &format!("bytes {first}-{last}/{size}"))], &blob[first..])
}
