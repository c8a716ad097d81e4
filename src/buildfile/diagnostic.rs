//! Errors and warnings about a build file: facts with places, collected rather than thrown, so that one run
//! reports them all. How they look is in [`render`](super::render).

use super::source::Span;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Warning,
    Error,
}

impl Severity {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// The name of a check (`StageNameCasing`) or the kind of a syntax error (`unknown-instruction`).
    pub code: &'static str,
    /// What is wrong, in one line: backticks around literals, no final period.
    pub message: String,
    pub span: Span,
    /// What to say at the place; empty: only mark it.
    pub label: Box<str>,
    /// What to do about it.
    pub help: Option<Box<str>>,
    pub notes: Vec<String>,
}

impl Diagnostic {
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message.into())
    }

    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message.into())
    }

    fn new(severity: Severity, code: &'static str, span: Span, message: String) -> Self {
        Self { severity, code, message, span, label: Box::default(), help: None, notes: Vec::new() }
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<Box<str>>) -> Self {
        self.label = label.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<Box<str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds `did you mean …` if one of the candidates is close to what was typed.
    #[must_use]
    pub fn suggest<'a>(self, typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(typed, candidates) {
            Some(candidate) => self.help(format!("did you mean `{candidate}`?")),
            None => self,
        }
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The candidate with the fewest edits, at most two, whatever the case; in the case that was typed. None if one is
/// the same, for then the name is not what is wrong.
#[must_use]
pub fn closest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Longer words can't be close to any name; the distance costs their square.
    if typed.chars().count() > 64 {
        return None;
    }
    let lower = typed.to_lowercase();
    let mut best = None;
    for candidate in candidates {
        let edits = distance(&lower, &candidate.to_lowercase());
        if edits == 0 {
            return None;
        }
        if edits <= 2 && best.is_none_or(|(fewest, _)| edits < fewest) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| in_case_of(typed, candidate))
}

/// Like [`closest`], where capitals count: for names of variables.
pub(super) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.chars().count() > 64 {
        return None;
    }
    let mut best = None;
    for candidate in candidates {
        let edits = distance(typed, candidate);
        if edits == 0 {
            return None;
        }
        if edits <= 2 && best.is_none_or(|(fewest, _)| edits < fewest) {
            best = Some((edits, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn in_case_of(typed: &str, candidate: &str) -> String {
    if typed == typed.to_lowercase() {
        candidate.to_lowercase()
    } else if typed == typed.to_uppercase() {
        candidate.to_uppercase()
    } else {
        candidate.to_owned()
    }
}

/// Levenshtein's distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substitution = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("copy", "copy"), 0);
        assert_eq!(distance("é", "e"), 1);
    }

    #[test]
    fn suggestions_keep_the_case_typed() {
        assert_eq!(closest("COPPY", ["ADD", "COPY"]).as_deref(), Some("COPY"));
        assert_eq!(closest("coppy", ["ADD", "COPY"]).as_deref(), Some("copy"));
        assert_eq!(closest("form", ["FROM"]).as_deref(), Some("from"));
        assert_eq!(closest("INSTALL", ["ADD", "COPY"]), None);
        assert_eq!(closest("copy", ["COPY"]), None);
        assert_eq!(closest(&"x".repeat(1 << 20), ["COPY"]), None);
    }
}
