//! A proxy between raw sockets: what a program sends, what it gets, what is known afterwards.

mod counting;
mod moved;
mod trust;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};

use super::*;
use crate::http::Http;
use crate::lock::{HeaderValue, LockedResponse};
use crate::oci::Digest;
use crate::store::{Store, Vendor};

/// A server that answers each request with what `answer` makes of its head and body, and closes.
struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Origin {
    fn new(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let request = read_request(&mut stream);
                    count.fetch_add(1, Ordering::SeqCst);
                    let _gone = stream.write_all(&answer(&request));
                });
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length: ").map(|length| length.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return text,
            Ok(n) => bytes.extend(&buffer[..n]),
        }
    }
}

fn ok(body: &str) -> Vec<u8> {
    response("200 OK", &format!("Content-Length: {}", body.len()), body)
}

fn response(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
    format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n{body}").into_bytes()
}

/// A store, and what a lock has.
struct World {
    folder: tempfile::TempDir,
    store: Arc<Store>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
        Self { folder, store }
    }

    fn options(unknown: Unknown) -> Options {
        Options {
            http: Http::default(),
            unknown,
            strict: false,
            offline: false,
            vendor: None,
            loopback: true,
        }
    }

    fn recording(&self) -> Running {
        Running::start(Session::new(&self.store, Entries::new(), Self::options(Unknown::Recorded)))
    }

    fn replaying(&self, entries: Entries) -> Running {
        Running::start(Session::new(&self.store, entries, Self::options(Unknown::Refused)))
    }
}

struct Running {
    session: Arc<Session>,
    proxy: Proxy,
    address: SocketAddr,
}

impl Running {
    fn start(session: Session) -> Self {
        let session = Arc::new(session);
        let mut proxy = Proxy::new(&session).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        proxy.serve(listener);
        Self { session, proxy, address }
    }

    /// Sends it all, and gives all that comes until the other side closes.
    fn raw(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, url: &str) -> String {
        self.with(url, "")
    }

    fn with(&self, url: &str, headers: &str) -> String {
        self.raw(&format!("GET {url} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"))
    }

    fn finish(self) -> (Entries, Outcome) {
        let outcome = self.proxy.finish();
        (self.session.used(), outcome)
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn what_was_recorded_is_given_again_without_the_world() {
    let world = World::new();
    let origin = Origin::new(|_| {
        let headers =
            "Content-Type: text/x\r\nETag: \"e\"\r\nDate: now\r\nSet-Cookie: secret\r\nContent-Length: 5";
        response("200 OK", headers, "hello")
    });
    let running = world.recording();
    let first = running.get(&origin.url("/a?b"));
    assert_eq!(
        first,
        "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nETag: \"e\"\r\nAccept-Ranges: bytes\r\nContent-Length: 5\r\n\
         Connection: close\r\n\r\nhello"
    );
    assert_eq!(running.get(&origin.url("/a?b#c")), first, "one answer for one request");
    let (entries, outcome) = running.finish();
    assert_eq!(origin.count(), 1);
    assert_eq!(entries.keys().collect::<Vec<_>>(), [&origin.url("/a?b")]);
    assert_eq!(entries[&origin.url("/a?b")].digest, Some(Digest::of(b"hello")));
    assert!(outcome.refused.is_empty() && outcome.broken.is_none() && !outcome.unrecorded);

    let running = world.replaying(entries.clone());
    assert_eq!(running.get(&origin.url("/a?b")), first);
    let refused = running.get(&origin.url("/other?token=secret"));
    assert!(refused.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{refused}");
    assert!(body(&refused).ends_with("/other?…` is not in the lock\n"), "{refused}");
    let (used, outcome) = running.finish();
    assert_eq!((origin.count(), used), (1, entries));
    assert_eq!(outcome.refused.len(), 1);
    assert_eq!(outcome.refused[0].why, Why::NotLocked);
    assert_eq!(outcome.missing.as_ref(), Some(&outcome.refused[0]));
    assert!(!outcome.unrecorded, "it is refused in each build");
}

#[test]
fn connections_go_on_and_requests_may_hurry() {
    let world = World::new();
    let origin = Origin::new(|request| ok(request.split(' ').nth(1).unwrap()));
    let running = world.recording();
    let (a, b) = (origin.url("/a"), origin.url("/b"));
    let answer = running.raw(&format!(
        "GET {a} HTTP/1.1\r\n\r\nGET {b} HTTP/1.1\r\n\r\nHEAD {b} HTTP/1.1\r\nConnection: close\r\n\r\n"
    ));
    let bodies: Vec<&str> = answer.split("HTTP/1.1 200 OK").collect();
    assert!(bodies[1].ends_with("\r\n\r\n/a") && bodies[2].ends_with("\r\n\r\n/b"), "{answer}");
    assert!(bodies[3].ends_with("Content-Length: 2\r\nConnection: close\r\n\r\n"), "{answer}");
    assert_eq!(origin.count(), 2, "what is known of GET answers HEAD");
}

#[test]
fn a_part_is_cut_from_the_whole() {
    let world = World::new();
    let origin = Origin::new(|request| {
        assert!(
            !request.to_lowercase().contains("range:") && !request.to_lowercase().contains("if-"),
            "{request}"
        );
        response("200 OK", "ETag: \"e\"\r\nContent-Length: 10", "0123456789")
    });
    let url = origin.url("/");
    let ask = |running: &Running| {
        let part = running.with(&url, "Range: bytes=3-5\r\n");
        assert!(part.starts_with("HTTP/1.1 206 Partial Content\r\n") && body(&part) == "345", "{part}");
        assert!(part.contains("Content-Range: bytes 3-5/10\r\nContent-Length: 3\r\n"), "{part}");
        let known = running.with(&url, "If-None-Match: \"e\"\r\n");
        assert!(
            known.starts_with("HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\n") && body(&known).is_empty(),
            "{known}"
        );
        let beyond = running.with(&url, "Range: bytes=10-\r\n");
        assert!(beyond.starts_with("HTTP/1.1 416 ") && beyond.contains("bytes */10"), "{beyond}");
    };
    let running = world.recording();
    ask(&running);
    let (entries, _) = running.finish();
    ask(&world.replaying(entries));
    assert_eq!(origin.count(), 1);
}

fn big() -> String {
    "0123456789abcdef".repeat(200_000)
}

#[test]
fn a_large_body_comes_as_it_is_fetched_and_is_kept_if_nobody_waits() {
    let world = World::new();
    let origin = Origin::new(|_| ok(&big()));
    let running = world.recording();
    let answer = running.get(&origin.url("/big"));
    assert!(body(&answer) == big());
    let mut stream = TcpStream::connect(running.address).unwrap();
    write!(stream, "GET {} HTTP/1.1\r\n\r\n", origin.url("/left")).unwrap();
    stream.read_exact(&mut [0; 10]).unwrap();
    drop(stream);
    let (entries, _) = running.finish();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[&origin.url("/left")].size, Some(big().len() as u64));
    let running = world.replaying(entries);
    assert!(body(&running.get(&origin.url("/left"))) == big());
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_breaks_off_is_not_recorded() {
    let world = World::new();
    let origin = Origin::new(|request| match request.split(' ').nth(1).unwrap() {
        "/short" => response("200 OK", "Content-Length: 10", "abc"),
        "/long" => response("200 OK", "Content-Length: 3000000", &"x".repeat(2_000_000)),
        "/chunks" => response("200 OK", "Transfer-Encoding: chunked", "5\r\nab"),
        "/busy" => response("503 Service Unavailable", "Retry-After: 7", "later"),
        "/who" => response("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"", "who?"),
        "/lost" => response("302 Found", "", ""),
        _ => b"nonsense\r\n\r\n".to_vec(),
    });
    let running = world.recording();
    for (path, expected) in [
        ("/short", "HTTP/1.1 502 "),
        ("/chunks", "HTTP/1.1 502 "),
        ("/nonsense", "HTTP/1.1 502 "),
        ("/lost", "HTTP/1.1 502 "),
        ("/busy", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 7\r\n"),
        ("/who", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"),
    ] {
        let answer = running.get(&origin.url(path));
        let start = answer.get(..expected.len());
        assert!(
            start == Some(expected)
                || (expected.contains("Content-Length: 0") && answer.starts_with(&expected[..13])),
            "{path}: {answer}"
        );
    }
    let cut = running.get(&origin.url("/long"));
    assert!(cut.len() < 3_000_000, "the program sees that it is not whole");
    let (entries, outcome) = running.finish();
    assert!(entries.values().all(LockedResponse::is_failure), "{entries:?}");
    assert!(outcome.unrecorded && outcome.missing.is_none());
    assert_eq!(outcome.refused.len(), 7, "{:?}", outcome.refused);
}

#[test]
fn a_missing_page_is_an_answer() {
    let world = World::new();
    let origin = Origin::new(|_| response("404 Not Found", "Content-Length: 4", "none"));
    let running = world.recording();
    let first = running.get(&origin.url("/"));
    assert!(first.starts_with("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"), "{first}");
    let (entries, _) = running.finish();
    assert_eq!(entries.values().collect::<Vec<_>>(), [&LockedResponse::of_status(404)]);
    assert_eq!(world.replaying(entries).get(&origin.url("/")), first);
}

#[test]
fn bytes_that_are_missing_are_fetched_and_checked() {
    let (world, fresh) = (World::new(), World::new());
    let origin = Origin::new(|_| ok("hello"));
    let running = world.recording();
    running.get(&origin.url("/"));
    let (entries, _) = running.finish();

    let running = fresh.replaying(entries.clone());
    assert_eq!(body(&running.get(&origin.url("/"))), "hello");
    assert_eq!(body(&running.get(&origin.url("/"))), "hello");
    assert!(running.finish().1.broken.is_none());
    assert_eq!(origin.count(), 2);

    let mut other = entries.clone();
    other.values_mut().for_each(|response| response.digest = Some(Digest::of(b"HELLO")));
    let running = fresh.replaying(other);
    assert!(running.get(&origin.url("/")).starts_with("HTTP/1.1 502 "));
    let broken = running.finish().1.broken.unwrap();
    assert!(matches!(broken, ProxyError::Changed { .. }), "{broken}");

    let large = Origin::new(|_| ok(&big()));
    let expected = LockedResponse {
        digest: Some(Digest::of(b"other")),
        size: Some(big().len() as u64),
        ..LockedResponse::of_status(200)
    };
    let running = fresh.replaying(Entries::from([(large.url("/"), expected)]));
    let answer = running.get(&large.url("/"));
    assert!(answer.len() < big().len(), "its end is held back");
    assert!(matches!(running.finish().1.broken, Some(ProxyError::Changed { .. })));
}

#[test]
fn bytes_may_be_vendored_and_offline_means_so() {
    let (world, fresh) = (World::new(), World::new());
    let origin = Origin::new(|_| ok("hello"));
    let running = world.recording();
    running.get(&origin.url("/"));
    let (entries, _) = running.finish();
    let offline = Options { offline: true, ..World::options(Unknown::Recorded) };

    let running = Running::start(Session::new(&fresh.store, entries.clone(), offline.clone()));
    assert!(running.get(&origin.url("/")).starts_with("HTTP/1.1 502 "));
    assert!(running.get(&origin.url("/new")).starts_with("HTTP/1.1 403 "));
    assert!(matches!(running.finish().1.broken, Some(ProxyError::Offline { .. })));

    let vendor = Vendor::new(world.folder.path().join("vendor"));
    vendor.put(&world.store, &descriptor(&Digest::of(b"hello"), 5)).unwrap();
    let options = Options { vendor: Some(vendor), ..offline };
    let running = Running::start(Session::new(&fresh.store, entries, options));
    assert_eq!(body(&running.get(&origin.url("/"))), "hello");
    assert_eq!(origin.count(), 1);
}

#[test]
fn redirects_are_answers_and_a_place_of_one_time_is_asked_for_again() {
    let world = World::new();
    let turn = Arc::new(AtomicUsize::new(0));
    let turns = Arc::clone(&turn);
    let origin = Origin::new(move |request| {
        let now = turns.load(Ordering::SeqCst);
        match request.split(' ').nth(1).unwrap() {
            "/latest" => response("302 Found", &format!("Location: /signed/{now}\r\nContent-Length: 0"), ""),
            path if path == format!("/signed/{now}") => ok("bytes"),
            _ => response("403 Forbidden", "Content-Length: 0", ""),
        }
    });
    let running = world.recording();
    let answer = running.get(&origin.url("/latest"));
    assert!(
        answer.starts_with("HTTP/1.1 302 Found\r\nLocation: /signed/0\r\nContent-Length: 0\r\n"),
        "{answer}"
    );
    assert_eq!(body(&running.get(&origin.url("/signed/0"))), "bytes");
    let (entries, _) = running.finish();
    turn.store(1, Ordering::SeqCst);
    let fresh = World::new();
    let running = fresh.replaying(entries);
    assert_eq!(running.get(&origin.url("/latest")), answer);
    assert_eq!(body(&running.get(&origin.url("/signed/0"))), "bytes");
    assert!(running.finish().1.broken.is_none());
}

#[test]
fn what_varies_is_kept_apart() {
    let world = World::new();
    let origin = Origin::new(|request| {
        let json = request.to_lowercase().contains("accept: application/json");
        let body = if json { "{}" } else { "<>" };
        response("200 OK", "Vary: Accept-Encoding, accept\r\nContent-Length: 2", body)
    });
    let url = origin.url("/");
    let json = "Accept: application/json\r\n";
    let running = world.recording();
    assert_eq!((body(&running.get(&url)), body(&running.with(&url, json))), ("<>", "{}"));
    let (entries, _) = running.finish();
    let expected = [format!("{url} accept=*/*"), format!("{url} accept=application/json")];
    assert_eq!(entries.keys().cloned().collect::<Vec<_>>(), expected);
    let running = world.replaying(entries);
    assert_eq!((body(&running.with(&url, json)), body(&running.get(&url))), ("{}", "<>"));
    assert!(running.with(&url, "Accept: text/x\r\n").starts_with("HTTP/1.1 403 "));
}

#[test]
fn fetches_of_git_are_recorded_by_their_words_and_other_posts_refused() {
    let world = World::new();
    let origin = Origin::new(|request| ok(&format!("pack of {}", body(request))));
    let post = |running: &Running, path: &str, kind: &str, words: &str| {
        running.raw(&format!(
            "POST {} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{words}",
            origin.url(path),
            words.len()
        ))
    };
    let kind = "application/x-git-upload-pack-request";
    let path = "/a.git/git-upload-pack";
    let running = world.recording();
    assert_eq!(body(&post(&running, path, kind, "want 1")), "pack of want 1");
    assert_eq!(body(&post(&running, path, kind, "want 2")), "pack of want 2");
    for (path, kind) in
        [("/a.git/git-receive-pack", kind), (path, "text/plain"), ("/api", "application/json")]
    {
        let answer = post(&running, path, kind, "x");
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("can't be recorded"), "{answer}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PRI"] {
        let answer =
            running.raw(&format!("{method} {} HTTP/1.1\r\nConnection: close\r\n\r\n", origin.url("/")));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert_eq!(origin.count(), 2);
    let (entries, _) = running.finish();
    let running = world.replaying(entries);
    assert_eq!(body(&post(&running, path, kind, "want 2")), "pack of want 2");
    assert!(post(&running, path, kind, "want 3").starts_with("HTTP/1.1 403 "));
}

#[test]
fn who_asks_at_once_gets_the_same() {
    let world = World::new();
    let count = AtomicUsize::new(0);
    let origin = Origin::new(move |_| {
        let body = count.fetch_add(1, Ordering::SeqCst).to_string();
        thread::sleep(std::time::Duration::from_millis(100));
        ok(&body)
    });
    let running = world.recording();
    let bodies: Vec<String> = thread::scope(|scope| {
        let asks: Vec<_> = (0..8).map(|_| scope.spawn(|| running.get(&origin.url("/")))).collect();
        asks.into_iter().map(|ask| body(&ask.join().unwrap()).to_owned()).collect()
    });
    assert_eq!(bodies, vec!["0"; 8]);
    assert_eq!(origin.count(), 1);
}

#[test]
fn tunnels_end_here() {
    let world = World::new();
    let answer = LockedResponse {
        digest: Some(world.store.put(b"secret").unwrap()),
        size: Some(6),
        media_type: HeaderValue::new("text/x"),
        ..LockedResponse::of_status(200)
    };
    let entries = Entries::from([
        ("https://h.example/a".to_owned(), answer.clone()),
        ("http://h.example:8080/a".to_owned(), answer),
    ]);
    let running = world.replaying(entries);
    let files = running.proxy.files();
    let pem = &files.iter().find(|(path, _)| path.ends_with("ca.pem")).unwrap().1;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let trusting = |roots: rustls::RootCertStore| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    };
    let connect = |host: &str| {
        let mut stream = TcpStream::connect(running.address).unwrap();
        write!(stream, "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        let mut reply = [0; 39];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"HTTP/1.1 200 Connection established\r\n\r\n");
        stream
    };
    let over_tls = |roots, request: &str| {
        let name = ServerName::try_from("h.example").unwrap();
        let session = rustls::ClientConnection::new(trusting(roots), name).unwrap();
        let mut stream = rustls::StreamOwned::new(session, connect("h.example:443"));
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    };
    let request = |host: &str, target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    let told = |host: &str, target: &str| over_tls(roots.clone(), &request(host, target)).unwrap();
    assert_eq!(body(&told("h.example", "/a")), "secret");
    assert_eq!(body(&told("h.example:443", "https://h.example/a")), "secret");
    assert!(told("other.example", "/a").starts_with("HTTP/1.1 400 "));
    assert!(told("h.example", "https://other.example/a").starts_with("HTTP/1.1 400 "));
    assert!(told("h.example", "//other.example/a").starts_with("HTTP/1.1 403 "));
    assert!(over_tls(rustls::RootCertStore::empty(), &request("h.example", "/a")).is_err());

    let mut plain = connect("h.example:8080");
    plain.write_all(request("h.example:8080", "/a").as_bytes()).unwrap();
    let mut text = String::new();
    plain.read_to_string(&mut text).unwrap();
    assert_eq!(body(&text), "secret");
    let mut ssh = connect("h.example:22");
    ssh.write_all(b"\x00\x01\x02").unwrap();
    assert_eq!(ssh.read(&mut [0; 10]).unwrap(), 0);
    let refused = running.finish().1.refused;
    let has = |why: &Why| refused.iter().any(|refusal| refusal.why == *why);
    assert!(has(&Why::NotHttp) && has(&Why::Distrusted) && has(&Why::NotLocked), "{refused:?}");
}

#[test]
fn nonsense_is_answered_and_ends_the_connection() {
    let world = World::new();
    let running = world.replaying(Entries::new());
    for text in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET ftp://h/ HTTP/1.1\r\n\r\n",
        "GET http://u:p@h/ HTTP/1.1\r\n\r\n",
        "CONNECT h HTTP/1.1\r\n\r\n",
        "CONNECT h:99999 HTTP/1.1\r\n\r\n",
        "CONNECT u@h:1 HTTP/1.1\r\n\r\n",
        "CONNECT h/x:1 HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET http://h/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nGET http://h/ HTTP/1.1\r\n\r\n",
        &format!("GET http://h/{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)),
    ] {
        let answer = running.raw(text);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{text:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{text:?}: {answer}");
    }
    let (_, outcome) = running.finish();
    assert!(outcome.asked.is_empty());
    assert!(!outcome.refused.iter().any(|refusal| refusal.to_string().contains("u:p")));
}

#[test]
fn few_bodies_are_held_at_once() {
    let world = World::new();
    let running = world.replaying(Entries::new());
    let post = "POST http://h/git-upload-pack HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
    let begin = || {
        let mut stream = TcpStream::connect(running.address).unwrap();
        stream.write_all(post.as_bytes()).unwrap();
        stream
    };
    let wait = std::time::Duration::from_millis(300);
    let mut slow: Vec<TcpStream> = (0..8).map(|_| begin()).collect();
    thread::sleep(wait);
    let mut waiting = begin();
    waiting.write_all(b"abc").unwrap();
    waiting.set_read_timeout(Some(wait)).unwrap();
    assert!(waiting.read(&mut [0; 8]).is_err(), "its turn has not come");
    assert!(running.get("http://h/").starts_with("HTTP/1.1 403 "), "what has no body need not wait");
    drop(slow.pop());
    waiting.set_read_timeout(None).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn a_lock_that_says_nonsense_harms_nobody() {
    let world = World::new();
    let status = |status| LockedResponse::of_status(status);
    let entries = Entries::from([
        ("http://h/none".to_owned(), status(200)),
        ("http://h/odd".to_owned(), status(999)),
        ("http://h/redirect".to_owned(), status(302)),
        (
            "http://h/big".to_owned(),
            LockedResponse {
                digest: Some(world.store.put(b"abc").unwrap()),
                size: Some(u64::MAX),
                ..status(200)
            },
        ),
    ]);
    let running = world.replaying(entries);
    assert!(running.get("http://h/none").starts_with("HTTP/1.1 502 "));
    assert!(running.get("http://h/odd").starts_with("HTTP/1.1 999 Unknown\r\n"));
    assert!(running.get("http://h/redirect").starts_with("HTTP/1.1 302 Found\r\nContent-Length: 0"));
    assert!(!body(&running.with("http://h/big", "Range: bytes=5-9\r\n")).contains("abc"));
    assert!(!running.get("http://h/big").contains("abc"));
}
