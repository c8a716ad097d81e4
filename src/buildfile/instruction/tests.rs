//! How the instructions' own tests parse a line.

use super::*;
use crate::buildfile::{Severity, Source, parse};

/// An instruction out of its enum.
pub(crate) trait Extract: Sized {
    fn extract(instruction: Instruction) -> Option<Self>;
}

macro_rules! extract {
    ($($name:ident)*) => {
        $(impl Extract for $name {
            fn extract(instruction: Instruction) -> Option<Self> {
                match instruction {
                    Instruction::$name(instruction) => Some(instruction),
                    _ => None,
                }
            }
        })*
    };
}

extract! {
    Add Arg Cmd Copy Entrypoint Env Expose Healthcheck Label Maintainer Onbuild Run Shell Stopsignal User Volume
    Workdir
}

fn source(line: &str) -> Source {
    // The stage comes after, so that spans are those of the line.
    Source::new("Buildfile", line)
}

fn run(line: &str) -> (Option<Instruction>, Vec<Diagnostic>) {
    let trigger = crate::buildfile::parse_trigger(&source(line));
    (trigger.statement.map(|statement| statement.instruction), trigger.diagnostics)
}

/// The instruction of a line that has no errors.
pub(crate) fn parsed<T: Extract>(line: &str) -> T {
    let (instruction, diagnostics) = run(line);
    let instruction = instruction.unwrap_or_else(|| panic!("{line}: {diagnostics:?}"));
    T::extract(instruction).unwrap_or_else(|| panic!("{line}"))
}

/// The messages about a line.
pub(crate) fn messages(line: &str) -> Vec<String> {
    run(line).1.into_iter().map(|diagnostic| diagnostic.message).collect()
}

/// The errors of a line, which makes no instruction then.
pub(crate) fn errors(line: &str) -> Vec<String> {
    let (instruction, diagnostics) = run(line);
    assert!(instruction.is_none(), "{line}: {instruction:?}");
    assert!(diagnostics.iter().all(Diagnostic::is_error), "{line}");
    diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect()
}

#[test]
fn keywords_have_any_case_and_are_suggested() {
    let parsed = parse(&Source::new("f", "from a\nrUn b\nCPOY c d\nwhatever\n"));
    let messages: Vec<_> =
        parsed.diagnostics.iter().map(|found| (found.message.as_str(), found.help.as_deref())).collect();
    assert_eq!(
        messages,
        [
            ("unknown instruction: CPOY", Some("did you mean `COPY`?")),
            ("unknown instruction: whatever", None)
        ]
    );
    assert_eq!(parsed.diagnostics[0].severity, Severity::Error);
    assert_eq!(parsed.buildfile.stages[0].statements[0].instruction.keyword(), "RUN");
}

#[test]
fn every_form_begins_with_its_keyword() {
    assert_eq!(forms().count(), 18);
    for (keyword, help) in forms() {
        assert!(help.starts_with(keyword), "{help}");
    }
}
