//! Other people's programs. One that is missing is said loudly, and is a failure in CI.

use std::path::PathBuf;
use std::process::Command;

/// The path of `program`, or `None` after saying that the test `what` is left out for want of it.
pub(crate) fn find(program: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&path).chain(extra).map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        let message = format!("`{program}` is not installed: {what} was NOT tested");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("warning: {message}");
    }
    found
}

/// Runs a program, which must succeed; gives its stdout.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({})\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder's files over http on loopback, under any path that ends in theirs.
pub(crate) struct Files {
    address: std::net::SocketAddr,
    root: std::sync::Arc<std::sync::Mutex<Option<PathBuf>>>,
}

impl Files {
    pub(crate) fn serve(root: &std::path::Path) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let root = std::sync::Arc::new(std::sync::Mutex::new(Some(root.to_owned())));
        let shared = std::sync::Arc::clone(&root);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Some(root) = shared.lock().unwrap().clone() else { return };
                let Ok(socket) = socket else { continue };
                std::thread::spawn(move || answer(socket, &root));
            }
        });
        Self { address, root }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        *self.root.lock().unwrap() = None;
        std::net::TcpStream::connect(self.address).ok();
    }
}

/// One request; the first part of its path names the folder.
fn answer(mut socket: std::net::TcpStream, root: &std::path::Path) -> std::io::Result<()> {
    use std::io::{BufRead as _, Write as _};
    let mut lines = std::io::BufReader::new(socket.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
    let name = path.trim_start_matches('/').split_once('/').map_or("", |(_, name)| name);
    let (status, body) = match std::fs::read(root.join(name)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    socket.write_all(head.as_bytes())?;
    socket.write_all(&body)
}
