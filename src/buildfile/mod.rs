//! The Buildfile (Dockerfile) language: from text to a [syntax tree](syntax) and [diagnostics](diagnostic).
//!
//! Source → directives → logical lines with their heredocs → one statement each, by its keyword's parser. The tree
//! holds words as typed; [`expansion`] gives them values later, when the variables are known.
//! Invariant: any bytes give a tree and a list of diagnostics, never a panic.

pub mod check;
pub mod diagnostic;
pub mod directive;
pub mod expansion;
mod flags;
mod heredoc;
pub mod instruction;
mod lines;
mod lower;
mod outside;
mod parse;
pub mod render;
pub mod source;
pub mod syntax;
mod values;
mod words;

pub use check::check;
pub use diagnostic::{Diagnostic, Severity};
pub use lower::{LowerOptions, lower, source_date_epoch};
pub use outside::{has_locked_steps, outside_names};
pub use parse::{Parsed, Trigger, parse, parse_trigger};
pub use source::{Position, Source, Span};
pub use syntax::{Buildfile, Stage, Statement, Word};

#[cfg(test)]
mod tests;
