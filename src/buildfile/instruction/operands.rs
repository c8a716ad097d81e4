//! What `COPY` and `ADD` have in common: sources, inline files and a destination.

use super::Request;
use crate::buildfile::{
    diagnostic::Diagnostic,
    heredoc,
    syntax::{Heredoc, Word},
};

/// Sources and destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operands {
    /// Paths, patterns, and for `ADD` URLs; expanded.
    pub sources: Vec<Word>,
    /// Inline files; they come after the sources, whatever the order on the line.
    pub files: Vec<Heredoc>,
    /// Expanded.
    pub destination: Word,
}

impl Operands {
    pub(super) fn parse(request: &mut Request<'_>, keyword: &str) -> Option<Self> {
        let mut words = request.list()?;
        if words.len() < 2 {
            return request.fail(no_destination(request, keyword));
        }
        let destination = words.pop()?;
        if is_heredoc(&destination) {
            let message = format!("{keyword} cannot accept a heredoc as a destination");
            return request.fail(Diagnostic::error("arguments", destination.span, message));
        }
        let mut operands = Self { sources: Vec::new(), files: Vec::new(), destination };
        for word in words {
            match file(&word, &request.heredocs) {
                Some(file) => operands.files.push(file),
                None => operands.sources.push(word),
            }
        }
        Some(operands)
    }
}

fn is_heredoc(word: &Word) -> bool {
    matches!(heredoc::operator(&word.text), Ok(Some(_)))
}

/// The file that a word stands for. Of several with one name, all get the content of the last; in a JSON array
/// there is no content.
fn file(word: &Word, heredocs: &[Heredoc]) -> Option<Heredoc> {
    let operator = heredoc::operator(&word.text).ok().flatten()?;
    let found = heredocs.iter().rev().find(|heredoc| heredoc.name == operator.name);
    Some(Heredoc {
        span: word.span,
        file_descriptor: operator.file_descriptor,
        expand: operator.expand,
        chomp: operator.chomp,
        content: found.map(|heredoc| heredoc.content.clone()).unwrap_or_default(),
        name: operator.name,
    })
}

fn no_destination(request: &Request<'_>, keyword: &str) -> Diagnostic {
    let message = format!("{keyword} requires at least two arguments");
    Diagnostic::error("arguments", request.place(), message)
        .help(format!("write it as `{keyword} source… destination`"))
}
