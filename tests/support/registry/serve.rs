//! Connections, and what is done with a request.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::http::{Body, Connection, Head, Response};
use super::route::Route;
use super::{Shared, What, Where, auth, blobs, listings, manifests, uploads};

/// A thread that takes connections, each of which gets a thread of its own.
pub(crate) struct Server {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        serve: impl Fn(Connection) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let (stop, serve) = (Arc::clone(&ending), Arc::new(serve));
        thread::spawn(move || {
            for socket in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(socket), tls, serve) = (socket, tls.clone(), Arc::clone(&serve)) else { continue };
                thread::spawn(move || connection(socket, tls).map(|connection| serve(connection)));
            }
        });
        Self { address, ending }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).ok();
    }
}

fn connection(socket: TcpStream, tls: Option<Arc<rustls::ServerConfig>>) -> Option<Connection> {
    socket.set_nodelay(true).ok()?;
    let control = socket.try_clone().ok()?;
    Some(match tls {
        None => Connection::new(Box::new(socket), control),
        Some(config) => {
            let session = rustls::ServerConnection::new(config).ok()?;
            Connection::new(Box::new(rustls::StreamOwned::new(session, socket)), control)
        }
    })
}

/// Answers what is asked on a connection until it ends.
pub(super) fn converse(shared: &Shared, mut connection: Connection) {
    while let Ok(Some(head)) = connection.read_head() {
        match exchange(shared, &mut connection, &head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return connection.reset(),
            Err(_) => return,
        }
    }
}

fn exchange(shared: &Shared, connection: &mut Connection, head: &Head) -> io::Result<()> {
    let number = shared.log.begin(head);
    let what = shared.faults.find(head);
    let mut body = connection.body(head);
    if let Some(What::Reset(Where::Request(after))) = what {
        body.cut = Some(after);
    }
    let answered = answer(shared, head, &mut body, what.as_ref());
    let drained = body.drain();
    let received = body.received;
    shared.log.note(number, |request| request.received = received);
    let response = answered?;
    let drained = drained?;
    if matches!(what, Some(What::Reset(Where::Request(_) | Where::Answer))) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    // Noted before it is sent: who has got it finds it in the log.
    shared.log.note(number, |request| {
        request.status = Some(response.status);
        request.sent = if head.method == "HEAD" { 0 } else { response.length() };
    });
    connection.send(head, &response)?;
    // What somebody sends who has waited long enough would be taken for a request.
    if drained { Ok(()) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
}

fn answer(shared: &Shared, head: &Head, body: &mut Body<'_>, what: Option<&What>) -> io::Result<Response> {
    let route = Route::of(&head.path);
    if let Some(response) = what.and_then(|what| what.instead(head)) {
        return Ok(response);
    }
    if let Some(refusal) = auth::guard(shared, head, &route, body)? {
        return Ok(refusal);
    }
    let length = head.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0_u64);
    if shared.options.body_limit.is_some_and(|limit| length > limit) {
        return Ok(Response::new(413).with("Content-Type", "text/html"));
    }
    match (what, &route) {
        (Some(What::LostUpload), Route::Upload { id, .. }) => {
            shared.state().uploads.remove(id);
        }
        (Some(What::IgnoreRange), Route::Blob { repository, digest }) => {
            let whole = head.without("range");
            return blobs::get(shared, &whole, repository, digest);
        }
        _ => {}
    }
    let mut response = dispatch(shared, head, &route, body)?;
    if let Some(what) = what {
        what.bend(&mut response);
    }
    Ok(response)
}

fn dispatch(shared: &Shared, head: &Head, route: &Route, body: &mut Body<'_>) -> io::Result<Response> {
    let reads = matches!(head.method.as_str(), "GET" | "HEAD");
    match route {
        Route::Base => Ok(Response::json(200, &serde_json::json!({}))),
        Route::Cdn { repository, digest } if reads => blobs::get(shared, head, repository, digest),
        Route::Blob { repository, digest } if reads => blobs::get(shared, head, repository, digest),
        Route::Blob { repository, digest } if head.method == "DELETE" => {
            Ok(blobs::delete(shared, repository, digest))
        }
        Route::Uploads { repository } if head.method == "POST" => {
            uploads::start(shared, head, repository, body)
        }
        Route::Upload { repository, id } => uploads::go_on(shared, head, repository, id, body),
        Route::Manifest { repository, reference } if reads => {
            Ok(manifests::get(shared, repository, reference))
        }
        Route::Manifest { repository, reference } if head.method == "PUT" => {
            manifests::put(shared, head, repository, reference, body)
        }
        Route::Manifest { repository, reference } if head.method == "DELETE" => {
            Ok(manifests::delete(shared, repository, reference))
        }
        Route::Tags { repository } if reads => Ok(listings::tags(shared, head, repository)),
        Route::Referrers { repository, digest } if reads && !shared.options.no_referrers => {
            Ok(listings::referrers(shared, head, repository, digest))
        }
        _ => Ok(Response::new(404)),
    }
}
