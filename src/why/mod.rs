//! Why a step was not as in the build before.
//!
//! The store remembers of each build a small [`Trace`]: what was asked for, and of each step its instruction, the parts
//! that it is known by and where the files are told that it read ([`Manifest`]). [`Listener`] listens to a build, compares each
//! step with the one of the last build, and writes the trace. No part of it reaches a key, a layer or a digest, and none is
//! needed: a trace that is damaged or gone makes an explanation worse, and is written anew.
//!
//! Values of secrets are not among what a step is known by. Build arguments and variables that sound like secrets stand in
//! a trace as hashes.

mod cause;
mod compare;
mod keep;
mod listener;
mod manifest;
mod mask;
#[cfg(test)]
mod tests;
mod trace;

pub use cause::{Cause, FileChange, Told};
pub use compare::between;
pub use keep::{Identity, Kept, find, last};
pub use listener::{Listener, Materials, Options};
pub use manifest::{File, Manifest};
pub use trace::{Asked, BaseTrace, FilesTrace, StageTrace, StepTrace, Trace};
