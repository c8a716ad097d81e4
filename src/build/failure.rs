//! Failures of steps as diagnostics: where in the Buildfile, what was wanted and found, and what may have been meant.

use std::ops::Range;

use super::{BuildError, Outside, OutsideError};
use crate::buildfile::{Diagnostic, Span};
use crate::context::ContextSpec;
use crate::exec::ExecError;
use crate::exec::copy::{CopyError, Missing};
use crate::exec::run::{Failure, RunError};
use crate::http::shown;
use crate::plan::TreeRef;
use crate::proxy::{ProxyError, Refusal, Why};
use crate::sandbox::{Fault, SandboxError};
use crate::text::{causes, escaped};

impl BuildError {
    /// The line of the step that was not run, as it wants a network and none is given.
    pub fn wants_network(&self) -> Option<usize> {
        let Self::Exec(ExecError::Step { line, source, .. }) = self else { return None };
        let refused = |error: &RunError| matches!(error, RunError::NoNetwork);
        matches!(&**source, ExecError::Run(error) if refused(error)).then_some(*line)
    }

    /// The diagnostics that say it, where something of the Buildfile is what failed.
    pub fn diagnostics(&self, outside: &Outside) -> Option<Vec<Diagnostic>> {
        match self {
            Self::Buildfile(diagnostics) => Some(diagnostics.clone()),
            Self::Exec(ExecError::Step { place, source, .. }) => Some(vec![step(place, source, outside)]),
            Self::Outside(OutsideError::Step { place, source, .. }) => {
                let code = if source.is_offline() { "source-offline" } else { "source" };
                Some(vec![Diagnostic::error(code, span(place), causes(&**source))])
            }
            _ => None,
        }
    }
}

fn step(place: &Range<usize>, error: &ExecError, outside: &Outside) -> Diagnostic {
    let span = span(place);
    match error {
        ExecError::Copy(CopyError::NotFound(missing)) => missing_source(span, missing, outside),
        ExecError::Run(error) => run(span, error),
        error => Diagnostic::error("step", span, causes(error)),
    }
}

/// 128 and SIGSYS. The sandbox's filter ends calls of this kind so, and no other.
const KILLED_BY_FILTER: i32 = 128 + 31;
const BY_FILTER: &str = "the sandbox ends programs that make system calls of an architecture that it does not know: \
    on x86-64 it knows those of 32 bits, too, unless the clock stands still; elsewhere its own alone";

/// A step that could not be run, or whose program failed. The code says what would help.
fn run(span: Span, error: &RunError) -> Diagnostic {
    let code = match error {
        RunError::Failed(failure) if is_unlocked(&failure.refused) => "run-not-locked",
        RunError::Failed(failure) if is_local(failure) => "run-address",
        RunError::Failed(failure) if failure.offline => "run-offline",
        RunError::Failed(failure) if failure.one_id => "run-ids",
        RunError::Failed(failure) if failure.exit.out_of_memory => "run-memory",
        RunError::Failed(failure) if failure.exit.timed_out => "run-timeout",
        RunError::Failed(failure) if failure.kept => "run-failed",
        RunError::Sandbox(SandboxError::Fault(Fault::Clock { .. })) => "run-clock",
        RunError::Sandbox(SandboxError::Fault(Fault::ProgramNotFound { .. })) => "run-no-program",
        RunError::NoProgram(_) => "run-no-program-exec",
        RunError::Sandbox(SandboxError::Fault(fault)) if fault.lacks_ids() => "run-ids",
        RunError::NoSecret { .. } => "run-secret",
        RunError::NoSsh { .. } | RunError::NotASocket { .. } => "run-ssh",
        RunError::NotAllowed(_) => "run-not-allowed",
        RunError::NoLock => "run-no-lock",
        RunError::NoNetwork => "run-no-network",
        RunError::NotLocked(_) => "run-not-locked",
        RunError::Proxy(ProxyError::Changed { .. }) => "run-changed",
        RunError::Proxy(_) => "run-bytes",
        RunError::Foreign { .. } => "run-platform",
        _ => "run",
    };
    let mut diagnostic = Diagnostic::error(code, span, causes(error));
    match error {
        RunError::Failed(failure) => {
            if failure.exit.status.code() == KILLED_BY_FILTER {
                diagnostic = diagnostic.note(BY_FILTER);
            }
            if !failure.tail.is_empty() {
                diagnostic = diagnostic.note(format!("the end of its output:\n{}", failure.tail.join("\n")));
            }
            for refusal in failure.refused.iter().filter(|refusal| failure.headline() != Some(*refusal)) {
                diagnostic = diagnostic.note(refusal.to_string());
            }
            if let Some(log) = &failure.log {
                diagnostic = diagnostic.note(format!("all of it is in `{}`", log.display()));
            }
        }
        RunError::Sandbox(SandboxError::Unavailable { advice, .. }) => {
            diagnostic.notes.extend(advice.iter().cloned());
        }
        _ => {}
    }
    diagnostic
}

fn is_unlocked(refused: &[Refusal]) -> bool {
    refused.iter().any(|refusal| refusal.why == Why::NotLocked)
}

fn is_local(failure: &Failure) -> bool {
    failure.headline().is_some_and(|refusal| refusal.why == Why::Address)
}

/// A source of a copy that isn't there.
pub(super) fn missing_source(span: Span, missing: &Missing, outside: &Outside) -> Diagnostic {
    let mut error = Diagnostic::error("missing-source", span, missing.to_string());
    if let Some(near) = &missing.near {
        error = error.help(format!("did you mean `{}`?", escaped(near)));
    } else if missing.ignored.is_some() {
        error = error.help("a line `!…` after the pattern takes it back");
    }
    error.notes.extend(missing.link_note());
    match whereabouts(missing.from.tree(), outside) {
        Some(place) => error.note(format!("{} is {place}", missing.from)),
        None => error,
    }
}

/// What stands behind a context, in words.
fn whereabouts(tree: &TreeRef, outside: &Outside) -> Option<String> {
    let TreeRef::Context(name) = tree else { return None };
    Some(match outside.spec(name).ok()? {
        ContextSpec::Folder(path) => format!("the folder `{}`", path.display()),
        ContextSpec::Archive(path) => format!("the archive `{}`", path.display()),
        ContextSpec::Stdin => "the archive on standard input".to_owned(),
        ContextSpec::Url(url) => format!("`{}`", shown(url)),
        ContextSpec::Git(git) => format!("the repository `{}`", shown(&git.remote)),
        _ => return None,
    })
}

fn span(place: &Range<usize>) -> Span {
    Span::new(place.start, place.end)
}
