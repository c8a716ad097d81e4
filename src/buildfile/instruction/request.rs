//! What an instruction's parser is given, and the shapes of arguments that several instructions share.

use crate::buildfile::{
    diagnostic::Diagnostic,
    flags::{Flags, Known},
    lines::Text,
    source::Span,
    syntax::{Command, Heredoc, Pair, Word},
    words::{self, Json},
};

/// One instruction's line, taken apart as far as that is the same for all.
pub(crate) struct Request<'a> {
    /// The whole line.
    pub(in crate::buildfile) line: Text<'a>,
    /// As typed.
    pub(in crate::buildfile) keyword: Word,
    pub(in crate::buildfile) flags: Vec<Word>,
    /// All after the keyword and the flags, trimmed.
    pub(in crate::buildfile) arguments: Text<'a>,
    /// In the order of their operators; none if the arguments are a JSON array.
    pub(in crate::buildfile) heredocs: Vec<Heredoc>,
    pub(in crate::buildfile) escape: char,
    /// Set when arguments that look like a JSON array are not.
    pub(in crate::buildfile) malformed_json: Option<Span>,
    pub(in crate::buildfile) diagnostics: &'a mut Vec<Diagnostic>,
}

impl Request<'_> {
    /// Reports what is wrong; None, so that a parser can return it.
    pub(super) fn fail<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.diagnostics.push(diagnostic);
        None
    }

    pub(super) fn warn(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn checked<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.diagnostics.push(diagnostic)).ok()
    }

    /// The place of the arguments or, if there are none, of the keyword.
    pub(super) fn place(&self) -> Span {
        if self.arguments.is_empty() { self.keyword.span } else { self.arguments.span() }
    }

    pub(super) fn flags(&mut self, known: &Known) -> Option<Flags> {
        Flags::read(&std::mem::take(&mut self.flags), known, self.diagnostics)
    }

    /// All arguments as one word, of which there must be some.
    pub(super) fn one(&mut self, keyword: &str) -> Option<Word> {
        if self.arguments.is_empty() {
            let message = format!("{keyword} requires exactly one argument");
            return self.fail(Diagnostic::error("arguments", self.keyword.span, message));
        }
        Some(self.arguments.word())
    }

    /// At least one word between blanks.
    pub(super) fn words(&mut self, keyword: &str) -> Option<Vec<Word>> {
        let words = words::blanks(self.arguments);
        self.at_least_one(words, keyword)
    }

    /// A JSON array's strings, or the words between blanks. Perhaps none.
    pub(super) fn list(&mut self) -> Option<Vec<Word>> {
        match self.json()? {
            Some(words) => Some(words),
            None => Some(words::blanks(self.arguments)),
        }
    }

    /// At least one `name=value`.
    pub(super) fn pairs(&mut self, keyword: &str) -> Option<Vec<Pair>> {
        let pairs = words::pairs(self.arguments, keyword, self.escape);
        let pairs = self.checked(pairs)?;
        if let Some(pair) = pairs.iter().find(|pair| pair.name.text.is_empty()) {
            return self.fail(blank_name(keyword, pair.name.span.to(pair.value.span)));
        }
        self.at_least_one(pairs, keyword)
    }

    pub(super) fn command(&mut self) -> Option<Command> {
        self.command_in(self.arguments)
    }

    /// A JSON array's strings, or the text for a shell.
    pub(super) fn command_in(&mut self, text: Text<'_>) -> Option<Command> {
        match self.json_in(text)? {
            Some(words) => Some(Command::Exec(words)),
            None => Some(Command::Shell(text.word())),
        }
    }

    fn json(&mut self) -> Option<Option<Vec<Word>>> {
        self.json_in(self.arguments)
    }

    /// The strings of a JSON array, or none if it is something else; an array of other things is an error.
    fn json_in(&mut self, text: Text<'_>) -> Option<Option<Vec<Word>>> {
        match words::json(text) {
            Json::Strings(words) => Some(Some(words)),
            Json::Plain => Some(None),
            Json::Malformed => {
                self.malformed_json = Some(text.span());
                Some(None)
            }
            Json::Mixed(span) => {
                let message = "when using JSON array syntax, arrays must be comprised of strings only";
                self.fail(Diagnostic::error(words::MIXED, span, message))
            }
        }
    }

    pub(super) fn at_least_one<T>(&mut self, items: Vec<T>, keyword: &str) -> Option<Vec<T>> {
        if items.is_empty() {
            let message = format!("{keyword} requires at least one argument");
            return self.fail(Diagnostic::error("arguments", self.place(), message));
        }
        Some(items)
    }
}

pub(super) fn blank_name(keyword: &str, span: Span) -> Diagnostic {
    Diagnostic::error("blank-name", span, format!("{keyword} names can not be blank"))
}
