//! Other people's programs. One that is missing is said loudly, and is a failure in CI.

use std::path::PathBuf;
use std::process::Command;

/// The path of `program`, or `None` after saying that the test `what` is left out for want of it.
pub(crate) fn find(program: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&path).chain(extra).map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        let message = format!("`{program}` is not installed: {what} was NOT tested");
        assert!(std::env::var_os("CI").is_none(), "{message}");
        eprintln!("warning: {message}");
    }
    found
}

/// Runs a program, which must succeed; gives its stdout.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed ({})\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
