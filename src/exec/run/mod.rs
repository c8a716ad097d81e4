//! RUN: a program in the stage's root file system, and what it changed as a layer.
//!
//! `step` is the story. A step is known by its `key`; if the store has its layer, nothing is run. Otherwise
//! the layers so far are unpacked and the sandbox starts the program on them (`workshop`), and what is then in its
//! upper folder becomes changes, less what the `cleaners` take out.
//!
//! Invariants: a step that failed leaves its log and the state for `lith debug`, and nothing else; a secret's value is
//! in memory and in the step, and nowhere else; what differs from machine to machine is no part of a key or a layer.

mod cleaners;
mod command;
mod debug;
mod environment;
mod error;
mod foreign;
mod key;
mod masked;
mod mounts;
mod options;
mod output;
mod relay;
mod step;
#[cfg(test)]
mod testing;
mod user;
mod workshop;

pub use cleaners::{Cleaner, Cleaners};
pub use debug::{DebugError, debug};
pub use error::{Failure, RunError};
pub use options::{Entitlement, RunOptions, Secret};
pub use output::line_shown;

pub(super) use mounts::Source;
pub(super) use step::{Ask, Runner, has_network};
pub(super) use workshop::Unpacked;
