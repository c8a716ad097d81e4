//! The network of a step with `--network=locked`: requests over HTTP, answered as the lock says, and nothing else.
//!
//! A [`Session`] is what a build's steps have in common: the lock's entries, and whether what is not among them is
//! fetched and recorded or refused. A `Proxy` is one step's: it answers on the one port of the step's network, and
//! is the `authority` that vouches for all hosts there. Which socket that is, and what becomes of a step that was
//! refused something, is `exec`'s matter.
//!
//! Invariants: one request has one answer in a session, the same while it is recorded and later; a body is in the store
//! and verified before its last byte is given away; nothing of the authority, the machine or the time is in an answer; what
//! a step asks for never leads to this machine or its link, unless that was allowed.

mod answer;
mod asked;
mod authority;
mod body;
mod connection;
mod environment;
mod error;
mod fetch;
mod keystore;
mod message;
mod moved;
mod origin;
mod reply;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use error::{ProxyError, Refusal, Why};
pub use moved::Moved;
pub use session::{Entries, Options, Session, Unknown};

pub(crate) use environment::{PORT, set};
pub(crate) use server::{Outcome, Proxy};
pub(crate) use session::descriptor;
