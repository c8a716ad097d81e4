//! A TCP proxy on loopback that cuts connections, as networks do, and counts bytes.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// It passes everything to one address on, until it is told to cut.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    /// Bytes to the target until everything is cut; without an end if it is `i64::MAX`.
    budget: AtomicI64,
    forwarded: AtomicU64,
    ending: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            budget: AtomicI64::new(i64::MAX),
            forwarded: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.ending.load(Ordering::Relaxed) {
                    return;
                }
                client.and_then(|client| accepting.join(client)).ok();
            }
        });
        Self { address, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// After so many more bytes to the target, all connections are cut and none is made.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.shared.budget.store(i64::try_from(bytes).unwrap(), Ordering::Relaxed);
    }

    /// Passes everything on again.
    pub(crate) fn mend(&self) {
        self.shared.budget.store(i64::MAX, Ordering::Relaxed);
    }

    /// Bytes that were passed on to the target, in all.
    pub(crate) fn forwarded(&self) -> u64 {
        self.shared.forwarded.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn join(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        if self.budget.load(Ordering::Relaxed) <= 0 {
            return reset(&client);
        }
        let target = TcpStream::connect(self.target)?;
        let back = (target.try_clone()?, client.try_clone()?);
        self.open.lock().unwrap().extend([client.try_clone()?, target.try_clone()?]);
        let shared = Arc::clone(self);
        thread::spawn(move || shared.forward(client, target));
        thread::spawn(move || {
            let (mut from, mut to) = back;
            io::copy(&mut from, &mut to).ok();
            to.shutdown(Shutdown::Both).ok();
        });
        Ok(())
    }

    fn forward(&self, mut client: TcpStream, mut target: TcpStream) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let size = i64::try_from(count).unwrap();
            let left = match self.budget.load(Ordering::Relaxed) {
                i64::MAX => i64::MAX,
                _ => self.budget.fetch_sub(size, Ordering::Relaxed),
            };
            let count = count.min(usize::try_from(left.max(0)).unwrap());
            self.forwarded.fetch_add(count as u64, Ordering::Relaxed);
            if target.write_all(&buffer[..count]).is_err() {
                break;
            }
            if left < size {
                self.cut();
            }
        }
        target.shutdown(Shutdown::Both).ok();
        client.shutdown(Shutdown::Both).ok();
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            reset(&stream).ok();
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

/// Lets the other side see a reset when the connection is closed.
fn reset(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}
