//! lith beside other people's programs: what it writes they read, and what they write it reads.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests of other programs start these, and fail by panicking"
)]

#[path = "../support/programs.rs"]
mod programs;
mod transport;
