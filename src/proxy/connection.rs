//! A program's connection: requests to a proxy, and tunnels that end here.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::{AlertDescription, ServerConnection, StreamOwned};

use super::asked::{Asked, Method};
use super::error::{Refusal, Why};
use super::fetch::Exchange;
use super::message::{Connection, Head, Wrong};
use super::origin::Passed;
use super::reply::Reply;
use super::server::Step;
use crate::http::Url;
use crate::oci::Digest;

/// What git sends to fetch (gitprotocol-http).
pub(super) const UPLOAD_PACK: &str = "application/x-git-upload-pack-request";

/// The first byte of TLS: a handshake.
const HANDSHAKE: u8 = 0x16;

/// How long a program may be silent, or not listen.
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest URL that is asked for.
const MAX_URL: usize = 16 << 10;

/// Serves a connection to its end.
pub(super) fn serve(step: &Step, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut connection = Connection::new(stream);
    let Some(place) = talk(step, &mut connection, None)? else { return Ok(()) };
    match connection.peek()? {
        Some(HANDSHAKE) => {
            let name = place.host().trim_start_matches('[').trim_end_matches(']');
            let config = match step.authority.host(name) {
                Ok(config) => config,
                Err(error) => {
                    refuse_tunnel(step, &place, Why::Malformed(error.to_string()));
                    return Ok(());
                }
            };
            let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = connection.into_stream();
            if let Err(error) = session.complete_io(&mut stream) {
                if is_distrust(&error) {
                    refuse_tunnel(step, &place, Why::Distrusted);
                }
                return Err(error);
            }
            let mut connection = Connection::new(StreamOwned::new(session, stream));
            talk(step, &mut connection, Some(&place))?;
            let stream = connection.out();
            stream.conn.send_close_notify();
            stream.flush()
        }
        Some(b'A'..=b'Z') => {
            let rest = format!("http://{}:{}/", place.host(), place.port());
            let place = Url::parse(&rest).ok_or(io::ErrorKind::InvalidData)?;
            talk(step, &mut connection, Some(&place)).map(drop)
        }
        Some(_) => {
            refuse_tunnel(step, &place, Why::NotHttp);
            Ok(())
        }
        None => Ok(()),
    }
}

fn refuse_tunnel(step: &Step, place: &Url, why: Why) {
    step.refused(Refusal { request: format!("CONNECT {}:{}", place.host(), place.port()), why });
}

/// Whether the program has given up because of the certificate.
fn is_distrust(error: &io::Error) -> bool {
    use AlertDescription::{BadCertificate, CertificateUnknown, UnknownCA};
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::AlertReceived(UnknownCA | BadCertificate | CertificateUnknown)))
}

/// Answers requests until there are no more, or until a tunnel is asked for: to where.
fn talk<S: Read + Write>(
    step: &Step,
    connection: &mut Connection<S>,
    tunnel: Option<&Url>,
) -> io::Result<Option<Url>> {
    loop {
        let head = match connection.head() {
            Ok(Some(head)) => head,
            Ok(None) | Err(Wrong::Gone) => return Ok(None),
            Err(Wrong::Malformed(why)) => return malformed(step, connection, &Head::default(), why),
        };
        if head.method == "CONNECT" && tunnel.is_none() {
            let Some(place) = place(&head.target) else {
                return malformed(step, connection, &head, "expected `HOST:PORT`");
            };
            connection.out().write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            connection.out().flush()?;
            return Ok(Some(place));
        }
        let url = match url(&head, tunnel) {
            Ok(url) => url,
            Err(why) => return malformed(step, connection, &head, why),
        };
        let _room = head.has_body().then(|| step.room());
        let body = match connection.body(&head) {
            Ok(body) => body,
            Err(Wrong::Gone) => return Ok(None),
            Err(Wrong::Malformed(why)) => return malformed(step, connection, &head, why),
        };
        let close = !head.keeps();
        answer(step, connection.out(), &head, &url, body, close)?;
        if close {
            return Ok(None);
        }
    }
}

/// Says what is wrong, and closes: what comes next can't be told from what was meant before.
fn malformed<S: Read + Write>(
    step: &Step,
    connection: &mut Connection<S>,
    head: &Head,
    why: &str,
) -> io::Result<Option<Url>> {
    let refusal = Refusal::new(&head.method, &head.target, Why::Malformed(why.to_owned()));
    let text = refusal.to_string();
    step.refused(refusal);
    Reply::new(400).closing(true).send_text(&text, head.method != "HEAD", connection.out())?;
    Ok(None)
}

/// `HOST:PORT`, as the URL that most tunnels are for.
fn place(target: &str) -> Option<Url> {
    let (_, port) = target.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let is_plain = !target.contains(['/', '?', '#', '@']);
    Url::parse(&format!("https://{target}/")).filter(|_| is_plain)
}

/// What is asked for. In a tunnel that is at its other end, whatever the request says.
fn url(head: &Head, tunnel: Option<&Url>) -> Result<Url, &'static str> {
    if head.target.len() > MAX_URL {
        return Err("its URL is too long");
    }
    let Some(place) = tunnel else {
        if head.target.starts_with('/') {
            return Err("this is a proxy: expected an absolute URL");
        }
        return Url::parse(&head.target).ok_or("expected an http or https URL without a user");
    };
    let scheme = if place.secure() { "https" } else { "http" };
    let origin = format!("{scheme}://{}:{}", place.host(), place.port());
    if let Some(host) = head.header("host") {
        let named = Url::parse(&format!("{scheme}://{host}/")).filter(|_| !host.contains(['/', '?', '#']));
        if !named.is_some_and(|named| named.same_origin(place)) {
            return Err("its `Host` is another than that of the tunnel");
        }
    }
    let url = if head.target.starts_with('/') {
        Url::parse(&format!("{origin}{}", head.target))
    } else {
        Url::parse(&head.target)
    };
    url.filter(|url| url.same_origin(place)).ok_or("its target is none of the tunnel's")
}

fn answer(
    step: &Step,
    out: &mut dyn Write,
    head: &Head,
    url: &Url,
    body: Vec<u8>,
    close: bool,
) -> io::Result<()> {
    let fetches_git = head.method == "POST"
        && url.path().ends_with("/git-upload-pack")
        && head.header("content-type").is_some_and(|value| value == UPLOAD_PACK);
    let method = match head.method.as_str() {
        "GET" if body.is_empty() => Method::Get,
        "HEAD" if body.is_empty() => Method::Head,
        _ if fetches_git => Method::UploadPack(Digest::of(&body)),
        _ => {
            let refusal = Refusal::new(&head.method, &url.text(), Why::NotRecordable);
            let text = refusal.to_string();
            step.refused(refusal);
            return Reply::new(403).closing(close).send_text(&text, head.method != "HEAD", out);
        }
    };
    let header = |name: &str| head.header(name).map(ToOwned::to_owned);
    let passed = Passed {
        authorization: header("authorization"),
        user_agent: header("user-agent"),
        content_encoding: header("content-encoding"),
        body,
        ..Passed::default()
    };
    let asked = Asked::new(method, url, head.header("accept"), head.header("git-protocol"));
    let mut exchange = Exchange { step, head, asked: &asked, url, passed: &passed, out, close };
    exchange.run()
}
