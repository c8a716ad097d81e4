use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

/// A server on loopback. What it does is said by the path that is asked for.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let base = format!("http://{host}");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let host = host.clone();
            thread::spawn(move || answer(stream, &host));
        }
    });
    base
}

fn answer(mut stream: TcpStream, host: &str) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let mut request = lines.next()?;
    let mut headers: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let proxied = request.starts_with("CONNECT ");
    if proxied {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        request = lines.next()?;
        headers = lines.take_while(|line| !line.is_empty()).collect();
    }
    let header = |name: &str| {
        headers.iter().find_map(|h| h.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)))
    };
    let path = request.split(' ').nth(1)?;
    let mut ok = |body: &str| {
        let last_modified = "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
        let head = format!("HTTP/1.1 200 OK\r\n{last_modified}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).ok()
    };
    if proxied {
        return ok("proxied");
    }
    match path.split('?').next()? {
        "/hello" | "/dir/a%20b.txt" => ok("hello"),
        "/auth" => ok(header("authorization").map_or("none", |(_, value)| value.trim())),
        "/big" => ok(&"x".repeat(100_000)),
        "/truncated" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel").ok(),
        "/truncated-chunks" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n").ok()
        }
        "/loop" => redirect(&mut stream, "/loop"),
        "/once" => redirect(&mut stream, "/hello"),
        "/metadata" => redirect(&mut stream, "http://169.254.169.254/latest"),
        "/mapped" => redirect(&mut stream, "http://[::ffff:169.254.169.254]/latest"),
        "/away" => redirect(&mut stream, &format!("http://{}/auth", host.replace("127.0.0.1", "localhost"))),
        "/file" => redirect(&mut stream, "file:///etc/passwd"),
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
            None
        }
        "/endless-headers" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").ok()?;
            while stream.write_all(b"X-More: and more\r\n").is_ok() {}
            None
        }
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel").ok()?;
            thread::sleep(Duration::from_secs(5));
            None
        }
        "/silent" => {
            thread::sleep(Duration::from_secs(5));
            None
        }
        "/garbage" => stream.write_all(b"\x1b[2Jnot http at all\r\n\r\n").ok(),
        _ => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").ok(),
    }
}

fn redirect(stream: &mut TcpStream, to: &str) -> Option<()> {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()
}

fn http() -> Http {
    Http { patience: Duration::from_millis(300), ..Http::default() }
}

fn get(url: &str) -> Result<Fetched, UrlError> {
    fetch(url, None, tempfile::tempfile().unwrap(), 50_000, &http())
}

fn text(fetched: &Fetched) -> String {
    String::from_utf8(fetched.content.read_bounded(1 << 20).unwrap().unwrap()).unwrap()
}

#[test]
fn a_file_arrives_with_its_name_and_digest() {
    let base = serve();
    let fetched = get(&format!("{base}/dir/a%20b.txt?x=/y#z")).unwrap();
    assert_eq!((&*fetched.name, &*text(&fetched)), ("a b.txt", "hello"));
    assert_eq!(fetched.digest, Digest::of(b"hello"));
    let tree = fetched.tree();
    let (path, node) = tree.iter().next().unwrap();
    assert_eq!((path.to_string(), node.meta.mode, node.mtime), ("a b.txt".into(), 0o600, 0));
    assert_eq!(text(&get(&format!("{base}/once")).unwrap()), "hello");
}

#[test]
fn a_checksum_is_kept() {
    let url = serve() + "/hello";
    let fetch =
        |checksum: &Digest| fetch(&url, Some(checksum), tempfile::tempfile().unwrap(), 50_000, &http());
    assert!(fetch(&Digest::of(b"hello")).is_ok());
    assert!(matches!(fetch(&Digest::of(b"other")), Err(UrlError::Checksum { .. })));
    let mut sha512 = Digester::new(Algorithm::Sha512);
    sha512.update(b"hello");
    let sha512 = sha512.finish();
    assert_eq!(fetch(&sha512).unwrap().digest, Digest::of(b"hello"));
}

#[test]
fn servers_that_misbehave_are_errors() {
    let base = serve();
    let error = |path: &str| get(&format!("{base}{path}")).unwrap_err();
    assert!(matches!(error("/missing"), UrlError::Status { status: 404, .. }));
    assert!(matches!(error("/loop"), UrlError::Redirects { .. }));
    assert!(matches!(error("/big"), UrlError::TooLarge { limit: 50_000, .. }));
    assert!(matches!(error("/endless"), UrlError::TooLarge { .. }));
    assert!(matches!(error("/slow"), UrlError::Slow { .. }));
    assert!(matches!(error("/silent"), UrlError::Slow { .. }));
    for path in ["/truncated", "/truncated-chunks", "/garbage", "/endless-headers"] {
        let error = error(path);
        assert!(matches!(error, UrlError::Failed { .. }), "{path}: {error:?}");
        assert!(!error.to_string().contains('\x1b'));
    }
    assert!(get(&format!("{base}/file")).is_err(), "a file of this machine is no answer");
    assert!(error("/truncated").to_string().ends_with("the connection was closed before the end"));
    assert!(matches!(get("file:///etc/passwd"), Err(UrlError::Http(HttpError::Scheme { .. }))));
    assert!(get("http://127.0.0.1:1/").is_err());
}

#[test]
fn credentials_are_sent_once_and_never_shown() {
    let base = serve().replace("http://", "http://us%65r:se%20cret@");
    assert_eq!(text(&get(&format!("{base}/auth")).unwrap()), "Basic dXNlcjpzZSBjcmV0");
    assert_eq!(text(&get(&format!("{base}/away")).unwrap()), "none", "another host gets none");
    let error = get(&format!("{base}/missing?token=hidden")).unwrap_err();
    let all = format!("{error} {error:?}");
    assert!(!all.contains("cret") && !all.contains("hidden") && all.contains("/missing?…"), "{all}");
}

#[test]
fn proxies_are_those_that_were_given() {
    let proxy = serve();
    let with = |no_proxy: Option<&str>| {
        let no_proxy = no_proxy.map(Into::into);
        let http = Http { http_proxy: Some(proxy.clone()), no_proxy, ..http() };
        fetch(&format!("{proxy}/hello"), None, tempfile::tempfile().unwrap(), 50_000, &http).map(|f| text(&f))
    };
    assert_eq!(with(None).unwrap(), "proxied");
    assert_eq!(with(Some("example.org, 127.0.0.1")).unwrap(), "hello");
    let http = Http { http_proxy: Some("::".into()), ..http() };
    let error = fetch("http://h/", None, tempfile::tempfile().unwrap(), 50_000, &http);
    assert!(matches!(error, Err(UrlError::Http(HttpError::Proxy { .. }))));
}

#[test]
fn names_come_from_the_path() {
    for (url, expected) in [
        ("http://h/a/b.tar?x=1", "b.tar"),
        ("http://h/a/b/", "b"),
        ("http://h/a%2Fb", "b"),
        ("http://h", "__unnamed__"),
        ("http://h/", "__unnamed__"),
        ("http://h/..", "__unnamed__"),
        ("http://h/a/%2e%2e", "__unnamed__"),
        ("http://h/%00", "__unnamed__"),
        ("http://u:p@h/x#y", "x"),
    ] {
        assert_eq!(file_name(url), expected, "{url}");
    }
}

#[test]
fn no_server_leads_to_the_machine_s_link() {
    let base = serve();
    for path in ["/metadata", "/mapped"] {
        let error = get(&format!("{base}{path}")).unwrap_err();
        assert!(matches!(error, UrlError::Address { .. }), "{path}: {error}");
    }
}
