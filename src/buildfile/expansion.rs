//! Shell-like words: quotes, escapes and variables.
//!
//! An [`Expander`] reads a raw word of the syntax tree, with the variables that are known at that point. It knows
//! `$v ${v} ${v:-w} ${v-w} ${v:+w} ${v+w} ${v:?w} ${v?w} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} ${v//p/r}`, where
//! w, p and r are words again. Which words are expanded at all is the lowering's to say.
//! Invariant: time and memory are bounded whatever the text and the values.

mod lexer;
mod pattern;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, ops::Range};

use super::{
    diagnostic::Diagnostic,
    syntax::{Heredoc, Word},
};

/// Gives the value of a variable, if it is set.
pub type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What a word became.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// As one word.
    pub text: String,
    /// Split at white space that was neither quoted nor escaped, also where it came from a variable. An empty word
    /// never comes of it.
    pub words: Vec<String>,
    /// Variables that were asked for and are set.
    pub set: BTreeSet<String>,
    /// Variables that were asked for and are not set, with a default or without.
    pub unset: BTreeSet<String>,
}

/// Why a word could not be expanded, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ExpansionError {
    pub kind: ExpansionErrorKind,
    /// Bytes of the word.
    pub range: Range<usize>,
}

impl ExpansionError {
    /// The error as a diagnostic at its place in a word of the source.
    #[must_use]
    pub fn at(&self, word: &Word) -> Diagnostic {
        let diagnostic = Diagnostic::error("expansion", word.place(self.range.clone()), self.to_string());
        match self.kind.help() {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpansionErrorKind {
    #[error("missing closing quote `{0}`")]
    Quote(char),
    #[error("missing `}}` of a substitution")]
    Brace,
    #[error("missing `/` between pattern and replacement")]
    Slash,
    #[error("bad substitution")]
    Substitution,
    #[error("unsupported modifier `{0}` in substitution")]
    Modifier(String),
    #[error("invalid pattern `{pattern}` in substitution: `\\` stands before {found}")]
    Pattern { pattern: String, found: String },
    /// `${name?message}` where the variable is unset or, with a colon, empty.
    #[error("`{name}`: {message}")]
    Required { name: String, message: String },
    #[error("substitutions are nested too deeply")]
    Depth,
    #[error("expansion is too long")]
    Length,
}

impl ExpansionErrorKind {
    fn help(&self) -> Option<&'static str> {
        match self {
            Self::Modifier(_) => {
                Some("the modifiers are `-` `+` `?`, each also after `:`, and `#` `##` `%` `%%` `/` `//`")
            }
            Self::Pattern { .. } => Some("only `*`, `?`, `\\`, `/` and `}` may be escaped in a pattern"),
            Self::Substitution => Some("a substitution begins with a variable's name, as in `${name}`"),
            Self::Quote(_)
            | Self::Brace
            | Self::Slash
            | Self::Required { .. }
            | Self::Depth
            | Self::Length => None,
        }
    }
}

/// Reads words of one dialect: which escape character, and what is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expander {
    escape: char,
    /// Quotes are read, and kept.
    keep_quotes: bool,
    /// Escape characters are read, and kept.
    keep_escapes: bool,
    /// Quotes are text like any other.
    plain_quotes: bool,
    /// Unset variables stay as they are typed.
    keep_unset: bool,
}

impl Expander {
    /// For words of instructions, with the escape character of the file's directives.
    #[must_use]
    pub fn new(escape: char) -> Self {
        Self { escape, keep_quotes: false, keep_escapes: false, plain_quotes: false, keep_unset: false }
    }

    /// For the content of an inline file: quotes mean nothing there, and the escape is always a backslash.
    #[must_use]
    pub fn heredoc() -> Self {
        Self { plain_quotes: true, ..Self::new('\\') }
    }

    /// Keeps quotes.
    #[must_use]
    pub fn keep_quotes(self) -> Self {
        Self { keep_quotes: true, ..self }
    }

    /// Keeps escape characters.
    #[must_use]
    pub fn keep_escapes(self) -> Self {
        Self { keep_escapes: true, ..self }
    }

    /// Leaves variables without a value as they are typed.
    #[must_use]
    pub fn keep_unset(self) -> Self {
        Self { keep_unset: true, ..self }
    }

    /// # Errors
    /// If the syntax is wrong, a required variable is missing, or the result would be too long.
    pub fn expand(self, text: &str, lookup: &Lookup<'_>) -> Result<Expansion, ExpansionError> {
        lexer::Lexer::new(self, text, lookup).run()
    }
}

impl Heredoc {
    /// The content as `COPY` and `ADD` write it: without leading tabs if `<<-` asks for it, and with variables
    /// expanded unless the delimiter is quoted.
    ///
    /// # Errors
    /// As [`Expander::expand`].
    pub fn expanded(&self, lookup: &Lookup<'_>) -> Result<Expansion, ExpansionError> {
        let text = self.text();
        if self.expand {
            return Expander::heredoc().expand(&text, lookup);
        }
        Ok(Expansion { text, ..Expansion::default() })
    }
}
