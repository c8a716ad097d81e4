//! The proxy of one step: its connections, and what is noted of them.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::asked::Asked;
use super::authority::Authority;
use super::error::{ProxyError, Refusal, Why};
use super::session::Session;
use super::{connection, environment};

/// Connections at once; more wait their turn.
const CONNECTIONS: usize = 256;

/// Different requests of one step.
const REQUESTS: usize = 200_000;

/// What the names of all of them may take of the memory.
const NAMES: usize = 64 << 20;

/// Requests with a body at once: of those, the whole is held until they are answered.
const BODIES: usize = 8;

/// Refusals that are told: a program that is refused something tends to ask again.
const REFUSALS: usize = 20;

/// What all connections of a step share.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) session: Arc<Session>,
    pub(super) authority: Authority,
    noted: Mutex<Noted>,
    /// Connections, and bodies on their way from the world.
    busy: Mutex<Busy>,
    calmer: Condvar,
}

#[derive(Debug, Default)]
struct Noted {
    asked: BTreeSet<Asked>,
    /// The bytes of these.
    names: usize,
    refused: BTreeSet<Refusal>,
    missing: Option<Refusal>,
    unrecorded: bool,
    broken: Option<ProxyError>,
}

#[derive(Debug, Default)]
struct Busy {
    connections: usize,
    fetches: usize,
    bodies: usize,
}

impl Step {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what is asked for, before it is answered; not if it is too much.
    pub(super) fn note(&self, asked: &Asked) -> bool {
        let mut noted = self.noted();
        if noted.asked.contains(asked) {
            return true;
        }
        noted.names += asked.size();
        noted.asked.len() < REQUESTS && noted.names <= NAMES && noted.asked.insert(asked.clone())
    }

    /// Waits until there is room for another body, which is taken until this is dropped.
    pub(super) fn room(&self) -> Room<'_> {
        self.wait(|busy| busy.bodies < BODIES).bodies += 1;
        Room(self)
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        log::debug!("a step: {refusal}");
        let mut noted = self.noted();
        if refusal.why == Why::NotLocked {
            noted.missing.get_or_insert_with(|| refusal.clone());
        }
        if noted.refused.len() < REFUSALS {
            noted.refused.insert(refusal);
        }
    }

    /// The step was told what no later run is told.
    pub(super) fn unrecorded(&self) {
        self.noted().unrecorded = true;
    }

    /// What a step was told then is not what the lock says.
    pub(super) fn broken(&self, error: ProxyError) {
        self.noted().broken.get_or_insert(error);
    }

    /// While this is there, the step is not done with: what it was given the beginning of is to be recorded.
    pub(super) fn active(&self) -> Active<'_> {
        self.busy().fetches += 1;
        Active(self)
    }

    fn busy(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: impl Fn(&Busy) -> bool) -> MutexGuard<'_, Busy> {
        let wait = self.calmer.wait_while(self.busy(), |busy| !until(busy));
        wait.unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Room<'a>(&'a Step);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.busy().bodies -= 1;
        self.0.calmer.notify_all();
    }
}

pub(super) struct Active<'a>(&'a Step);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.busy().fetches -= 1;
        self.0.calmer.notify_all();
    }
}

/// What a step's requests came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) asked: BTreeSet<Asked>,
    pub(crate) refused: Vec<Refusal>,
    /// A request that could have been recorded, and was not.
    pub(crate) missing: Option<Refusal>,
    /// It was given, or refused, what the lock does not have: another run may come to something else.
    pub(crate) unrecorded: bool,
    /// With this, the step does not count.
    pub(crate) broken: Option<ProxyError>,
}

/// Answers one step.
#[derive(Debug)]
pub(crate) struct Proxy {
    step: Arc<Step>,
    listening: Option<(TcpListener, JoinHandle<()>)>,
}

impl Proxy {
    pub(crate) fn new(session: &Arc<Session>) -> Result<Self, ProxyError> {
        let step = Step {
            session: Arc::clone(session),
            authority: Authority::new()?,
            noted: Mutex::default(),
            busy: Mutex::default(),
            calmer: Condvar::new(),
        };
        Ok(Self { step: Arc::new(step), listening: None })
    }

    /// The files that the variables name, for everybody to read.
    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        environment::files(&self.step.authority)
    }

    /// Begins to answer. The socket listens in the step's network.
    pub(crate) fn serve(&mut self, listener: TcpListener) {
        let Ok(ours) = listener.try_clone() else { return };
        let step = Arc::clone(&self.step);
        let thread = thread::spawn(move || accept(&step, &listener));
        self.listening = Some((ours, thread));
    }

    /// What the step asked for, when it has ended. Waits for what is still on its way into the store.
    pub(crate) fn finish(mut self) -> Outcome {
        self.stop();
        drop(self.step.wait(|busy| busy.fetches == 0));
        let noted = std::mem::take(&mut *self.step.noted());
        Outcome {
            asked: noted.asked,
            refused: noted.refused.into_iter().collect(),
            missing: noted.missing,
            unrecorded: noted.unrecorded,
            broken: noted.broken,
        }
    }

    fn stop(&mut self) {
        let Some((listener, thread)) = self.listening.take() else { return };
        // Wakes who waits in `accept`, which then fails.
        let _ended = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        drop(thread.join());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(step: &Arc<Step>, listener: &TcpListener) {
    loop {
        step.wait(|busy| busy.connections < CONNECTIONS).connections += 1;
        let slot = Slot(Arc::clone(step));
        match listener.accept() {
            Ok((stream, _)) => converse(slot, stream),
            Err(error) if is_passing(&error) => {}
            Err(_) => return,
        }
    }
}

/// Whether it was that connection's own trouble.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::Interrupted)
}

fn converse(slot: Slot, stream: TcpStream) {
    let spawned = thread::Builder::new().name("proxy".into()).spawn(move || {
        if let Err(error) = connection::serve(&slot.0, stream) {
            log::debug!("a step's connection: {}", crate::text::shown(&error));
        }
    });
    if let Err(error) = spawned {
        log::warn!("starting a thread for a step's connection: {error}");
    }
}

/// A connection's place among those that there may be.
struct Slot(Arc<Step>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.busy().connections -= 1;
        self.0.calmer.notify_all();
    }
}
