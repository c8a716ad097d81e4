//! Patterns over paths: the globs of COPY and ADD, and ignore lists.
//!
//! Both work on bytes, as names need not be UTF-8, and both are compiled once and matched often. No I/O
//! happens here: where ignore files are found is `context`'s matter.

mod glob;
mod ignore;
mod parse;

pub use glob::{Glob, GlobError};
pub use ignore::{Cursor, Ignore, IgnoreError, Pattern};
