//! lith as people meet it: the program, its fixtures, other people's programs. One binary, as linking is what
//! costs. Most tests stand beside the code.
#![expect(clippy::disallowed_methods, reason = "tests start programs and look at the environment")]
#![expect(clippy::print_stderr, reason = "a test that is left out says so")]
#![expect(clippy::print_stdout, reason = "a test that is started by another tells it something")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod build_fixtures;
mod cli;
mod fixtures;
mod guide;
mod interop;
mod plan;
mod registry;
mod reproducible;
mod run;
mod sandbox;
mod support;
mod tidy;
