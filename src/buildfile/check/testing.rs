//! For the tests of checks: a file's findings as short lines.

use super::check as run;
use crate::buildfile::{Diagnostic, LowerOptions, Source, parse};

fn found(text: &str, options: &LowerOptions<'_>) -> Vec<(Diagnostic, usize)> {
    let source = Source::new("Buildfile", text);
    let found = run(&parse(&source), options, None);
    found
        .into_iter()
        .map(|diagnostic| {
            let line = if diagnostic.span.is_none() { 0 } else { source.line(diagnostic.span.start) };
            (diagnostic, line)
        })
        .collect()
}

fn lines(found: Vec<(Diagnostic, usize)>) -> Vec<String> {
    found.into_iter().map(|(diagnostic, line)| format!("{} {line}", diagnostic.code)).collect()
}

fn texts(found: Vec<(Diagnostic, usize)>) -> Vec<String> {
    found.into_iter().map(|(diagnostic, _)| diagnostic.message).collect()
}

fn with<'a>(arguments: &[(&str, &str)]) -> LowerOptions<'a> {
    let build_args = arguments.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    LowerOptions { build_args, ..LowerOptions::default() }
}

/// `code line` of each.
pub(super) fn check(text: &str) -> Vec<String> {
    check_with(text, &[])
}

pub(super) fn messages(text: &str) -> Vec<String> {
    messages_with(text, &[])
}

/// With build arguments.
pub(super) fn check_with(text: &str, arguments: &[(&str, &str)]) -> Vec<String> {
    lines(found(text, &with(arguments)))
}

pub(super) fn messages_with(text: &str, arguments: &[(&str, &str)]) -> Vec<String> {
    texts(found(text, &with(arguments)))
}

/// With a context that leaves out one path.
pub(super) fn check_ignoring(text: &str, path: &str) -> Vec<String> {
    let ignored = |other: &str| other == path;
    lines(found(text, &LowerOptions { ignored: Some(&ignored), ..LowerOptions::default() }))
}

pub(super) fn messages_ignoring(text: &str, path: &str) -> Vec<String> {
    let ignored = |other: &str| other == path;
    texts(found(text, &LowerOptions { ignored: Some(&ignored), ..LowerOptions::default() }))
}
