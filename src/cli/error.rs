//! The words for what went wrong: message, causes, hint, exit code. The library's errors are facts; this is the
//! one place that turns them into sentences for people.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use lith::text::{causes, escaped_lines};

use super::facts;

/// The exit code where a comparison found a difference.
pub(crate) const DIFFERENT: u8 = 4;

/// An error of the command line itself, with what to do about it.
#[derive(Debug)]
pub(crate) struct Hinted {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Hinted {
    /// Something failed: exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: 1 }
    }

    /// The command line is wrong: exit code 2.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self { code: 2, ..Self::new(message.to_string()) }
    }

    /// The store is damaged: exit code 3.
    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        Self { code: 3, ..Self::new(message) }
    }

    /// What was compared differs: exit code 4.
    pub(crate) fn different(message: impl Into<String>) -> Self {
        Self { code: DIFFERENT, ..Self::new(message) }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Hinted {}

/// What was wrong has been shown already; only the exit code is left.
#[derive(Debug)]
pub(crate) struct Shown(u8);

impl Shown {
    /// As diagnostics of a Buildfile.
    pub(crate) fn diagnostics() -> Self {
        Self(1)
    }

    /// By whoever asked for [`told`].
    pub(crate) fn error(error: &anyhow::Error) -> Self {
        Self(code(error))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the errors above")
    }
}

impl std::error::Error for Shown {}

/// Prints an error with its causes and hint to stderr, and gives the exit code for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Shown(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    let (red, cyan, off) = ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m");
    if !error.is::<Shown>() {
        tell(&format!("{red}error{off}: {}", escaped_lines(&causes(error.as_ref()))));
    }
    if let Some(hint) = hint(error) {
        tell(&format!("{cyan}hint{off}: {}", escaped_lines(&hint)));
    }
    ExitCode::from(code(error))
}

/// The message with its causes, and the hint, for those who show them in a way of their own.
pub(crate) fn told(error: &anyhow::Error) -> (String, Option<String>) {
    (causes(error.as_ref()), hint(error))
}

/// A line to stderr. If nobody can read it (a full disk, a closed pipe), the work is worth no less.
pub(crate) fn tell(line: &str) {
    let mut stderr = anstream::stderr().lock();
    drop(writeln!(stderr, "{line}"));
}

fn code(error: &anyhow::Error) -> u8 {
    let hinted = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>());
    hinted.map_or_else(|| if facts::is_damage(error) { 3 } else { 1 }, |hinted| hinted.code)
}

fn hint(error: &anyhow::Error) -> Option<String> {
    let hinted = error.chain().find_map(|cause| cause.downcast_ref::<Hinted>()?.hint.clone());
    hinted.or_else(|| facts::hint(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_told_twice_is_told_once() {
        let error = anyhow::anyhow!("no such file").context("reading `x`: no such file");
        assert_eq!(causes(error.as_ref()), "reading `x`: no such file");
        let error = anyhow::anyhow!("no such file").context("reading `x`");
        assert_eq!(causes(error.as_ref()), "reading `x`: no such file");
    }

    #[test]
    fn the_hint_and_the_code_come_through_contexts() {
        let error = anyhow::Error::from(Hinted::usage("bad").hint("do this")).context("building");
        assert_eq!((code(&error), hint(&error)), (2, Some("do this".into())));
    }
}
