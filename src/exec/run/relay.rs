//! A socket for one step, which leads to an ssh agent.
//!
//! The agent's own socket stays out of the step: a socket that was made for it can have the owner that the step is,
//! and is gone when the step is.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Passes on connections until it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    socket: PathBuf,
    ended: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Relay {
    pub(super) fn start(agent: &Path, temp: &Path) -> io::Result<Self> {
        let folder = tempfile::tempdir_in(temp)?;
        let socket = folder.path().join("agent");
        let listener = listen(&socket)?;
        let ended = Arc::new(AtomicBool::new(false));
        let (agent, flag) = (agent.to_owned(), Arc::clone(&ended));
        thread::spawn(move || {
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) if !flag.load(Ordering::SeqCst) => pass(stream, &agent),
                    _ => return,
                }
            }
        });
        Ok(Self { socket, ended, _folder: folder })
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which then ends.
        drop(connect(&self.socket));
    }
}

/// A socket's path has room for some hundred bytes only: a longer one is reached through its folder's descriptor.
fn short<T>(path: &Path, use_it: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    use std::os::fd::AsRawFd as _;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return use_it(path) };
    if path.as_os_str().len() < 100 {
        return use_it(path);
    }
    let folder = std::fs::File::open(folder)?;
    use_it(&Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    short(path, |path| UnixListener::bind(path))
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    short(path, |path| UnixStream::connect(path))
}

/// An agent that can't be reached is a connection that is closed.
fn pass(step: UnixStream, agent: &Path) {
    let Ok(agent) = connect(agent) else { return };
    let (Ok(step_too), Ok(agent_too)) = (step.try_clone(), agent.try_clone()) else { return };
    thread::spawn(move || copy(step, agent));
    thread::spawn(move || copy(agent_too, step_too));
}

fn copy(mut from: UnixStream, mut to: UnixStream) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    // One side's end is the other's: an agent answers what it was asked before.
    let _closed = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(100));
        std::fs::create_dir(&deep).unwrap();
        let agent = deep.join("agent");
        let listener = listen(&agent).unwrap();
        let relay = Relay::start(&agent, &deep).unwrap();
        let mut step = connect(relay.socket()).unwrap();
        step.write_all(b"ask").unwrap();
        let (mut asked, _) = listener.accept().unwrap();
        let mut bytes = [0; 3];
        asked.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ask");
        asked.write_all(b"answer").unwrap();
        drop(asked);
        let mut answer = String::new();
        step.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        let socket = relay.socket().to_owned();
        drop(relay);
        assert!(!socket.exists());
    }
}
