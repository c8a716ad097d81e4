//! One pass over a word.

use std::collections::BTreeSet;

use super::{Expander, Expansion, ExpansionError, ExpansionErrorKind, Lookup, pattern::Pattern};

/// Substitutions in substitutions; each level is a few frames of the stack.
const MAX_DEPTH: usize = 64;
/// Bytes that values may add. Variables that double with each line would otherwise fill the memory.
const MAX_LENGTH: usize = 4 << 20;

type Result<T> = std::result::Result<T, ExpansionError>;

pub(super) struct Lexer<'a> {
    dialect: Expander,
    text: &'a str,
    at: usize,
    /// Set anew for each nested word: patterns keep their escapes.
    keep_escapes: bool,
    depth: usize,
    added: usize,
    lookup: &'a Lookup<'a>,
    set: BTreeSet<String>,
    unset: BTreeSet<String>,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(dialect: Expander, text: &'a str, lookup: &'a Lookup<'a>) -> Self {
        Self {
            dialect,
            text,
            at: 0,
            keep_escapes: dialect.keep_escapes,
            depth: 0,
            added: 0,
            lookup,
            set: BTreeSet::new(),
            unset: BTreeSet::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Expansion> {
        let (text, words) = self.word(None)?;
        Ok(Expansion { text, words, set: self.set, unset: self.unset })
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn take(&mut self, char: char) -> bool {
        let found = self.peek() == Some(char);
        if found {
            self.at += char.len_utf8();
        }
        found
    }

    fn error<T>(&self, start: usize, kind: ExpansionErrorKind) -> Result<T> {
        Err(ExpansionError { kind, range: start..self.at })
    }

    /// Reads to the stop character, which is consumed, or to the end.
    fn word(&mut self, stop: Option<char>) -> Result<(String, Vec<String>)> {
        let start = self.at;
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(char) = self.peek() {
            if stop == Some(char) {
                self.next();
                return Ok((text, words.finish()));
            }
            match char {
                '$' => {
                    let value = self.dollar()?;
                    words.split(&value);
                    text.push_str(&value);
                }
                '\'' | '"' if !self.dialect.plain_quotes => {
                    let quoted = if char == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    words.push_str(&quoted);
                    text.push_str(&quoted);
                }
                '<' => {
                    let operator = self.redirection();
                    words.push_str(operator);
                    text.push_str(operator);
                }
                _ if char == self.dialect.escape => self.escaped(&mut text, &mut words),
                _ => {
                    self.next();
                    words.split_char(char);
                    text.push(char);
                }
            }
        }
        if stop.is_some() {
            return self.error(start, ExpansionErrorKind::Brace);
        }
        Ok((text, words.finish()))
    }

    /// A nested word: in it, the escape characters are kept or not whatever the dialect.
    fn nested(&mut self, stop: char, keep_escapes: bool, missing: ExpansionErrorKind) -> Result<String> {
        let start = self.at;
        if self.depth == MAX_DEPTH {
            return self.error(start, ExpansionErrorKind::Depth);
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.keep_escapes, keep_escapes);
        let word = self.word(Some(stop));
        self.keep_escapes = outer;
        self.depth -= 1;
        match word {
            Ok((text, _)) => Ok(text),
            Err(error) if matches!(error.kind, ExpansionErrorKind::Depth | ExpansionErrorKind::Length) => {
                Err(error)
            }
            Err(_) if self.peek().is_none() => self.error(start, missing),
            Err(error) => Err(error),
        }
    }

    fn escaped(&mut self, text: &mut String, words: &mut Words) {
        self.next();
        if self.keep_escapes {
            words.push(self.dialect.escape);
            text.push(self.dialect.escape);
        }
        if let Some(char) = self.next() {
            words.push(char);
            text.push(char);
        }
    }

    fn single_quoted(&mut self) -> Result<String> {
        let start = self.at;
        self.next();
        let Some(length) = self.text[self.at..].find('\'') else {
            self.at = self.text.len();
            return self.error(start, ExpansionErrorKind::Quote('\''));
        };
        let inner = self.at..self.at + length;
        self.at = inner.end + 1;
        Ok(self.text[if self.dialect.keep_quotes { start..self.at } else { inner }].to_owned())
    }

    fn double_quoted(&mut self) -> Result<String> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        if self.dialect.keep_quotes {
            text.push('"');
        }
        loop {
            match self.peek() {
                None => return self.error(start, ExpansionErrorKind::Quote('"')),
                Some('"') => break,
                Some('$') => text.push_str(&self.dollar()?),
                Some(char) if char == self.dialect.escape => self.escaped_in_quotes(&mut text),
                Some(char) => {
                    self.next();
                    text.push(char);
                }
            }
        }
        self.next();
        if self.dialect.keep_quotes {
            text.push('"');
        }
        Ok(text)
    }

    /// In double quotes an escape character is one only before a quote, a dollar or itself.
    fn escaped_in_quotes(&mut self, text: &mut String) {
        let escape = self.dialect.escape;
        self.next();
        if self.keep_escapes {
            text.push(escape);
        }
        match self.peek() {
            None => {}
            Some(char) if char == '"' || char == '$' || char == escape => {
                self.next();
                text.push(char);
            }
            Some(_) => text.push(escape),
        }
    }

    /// `<`, or `<<` with the blanks after it, which don't part words: a heredoc's delimiter may stand apart.
    fn redirection(&mut self) -> &'a str {
        let start = self.at;
        self.next();
        if self.take('<') {
            while self.peek().is_some_and(|char| matches!(char, ' ' | '\t' | '\r')) {
                self.next();
            }
        }
        &self.text[start..self.at]
    }

    fn dollar(&mut self) -> Result<String> {
        let start = self.at;
        self.next();
        let value = if self.take('{') { self.substitution(start)? } else { self.plain_variable(start) };
        self.added += value.len();
        if self.added > MAX_LENGTH {
            return self.error(start, ExpansionErrorKind::Length);
        }
        Ok(value)
    }

    fn plain_variable(&mut self, start: usize) -> String {
        let name = self.name();
        if name.is_empty() {
            return "$".to_owned();
        }
        match self.value(name) {
            Some(value) => value,
            None if self.dialect.keep_unset => self.text[start..self.at].to_owned(),
            None => String::new(),
        }
    }

    fn substitution(&mut self, start: usize) -> Result<String> {
        match self.peek() {
            None => return self.error(start, ExpansionErrorKind::Brace),
            Some('{' | '}' | ':') => {
                self.next();
                return self.error(start, ExpansionErrorKind::Substitution);
            }
            Some(_) => {}
        }
        let name = self.name();
        let operator = self.at;
        match self.next() {
            None => self.error(start, ExpansionErrorKind::Brace),
            Some('}') => Ok(match self.value(name) {
                None if self.dialect.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some('/') => self.replacement(start, name),
            Some(':') => match self.next() {
                None => self.error(start, ExpansionErrorKind::Brace),
                Some('#' | '%') => self.error(start, self.modifier(operator)),
                Some(modifier) => self.conditional(start, name, modifier, operator),
            },
            Some(modifier @ ('-' | '+' | '?')) => self.conditional(start, name, modifier, operator),
            Some(modifier @ ('#' | '%')) => self.trimmed(start, name, modifier),
            Some(_) => self.error(start, self.modifier(operator)),
        }
    }

    fn modifier(&self, operator: usize) -> ExpansionErrorKind {
        ExpansionErrorKind::Modifier(self.text[operator..self.at].to_owned())
    }

    /// `${v-w}`, `${v+w}`, `${v?w}`, and with a colon, which takes an empty value for none.
    fn conditional(&mut self, start: usize, name: &str, modifier: char, operator: usize) -> Result<String> {
        let unsupported = self.modifier(operator);
        let colon = self.text[operator..].starts_with(':');
        let word = self.nested('}', false, ExpansionErrorKind::Brace)?;
        let value = self.value(name);
        if value.is_none() && self.dialect.keep_unset {
            // A modifier that only a shell knows stays as well: this is how command lines are searched for heredocs.
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        if !matches!(modifier, '-' | '+' | '?') {
            return self.error(start, unsupported);
        }
        let unset = value.is_none();
        match (modifier, value.filter(|value| !colon || !value.is_empty())) {
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let state = if unset { "unset" } else { "empty" };
                let message = if word.is_empty() { format!("is not allowed to be {state}") } else { word };
                self.error(start, ExpansionErrorKind::Required { name: name.to_owned(), message })
            }
        }
    }

    /// `${v#p}` takes the shortest prefix that matches off, `##` the longest; `%` and `%%` a suffix.
    fn trimmed(&mut self, start: usize, name: &str, modifier: char) -> Result<String> {
        let word = self.nested('}', true, ExpansionErrorKind::Brace)?;
        let value = self.value(name);
        if value.is_none() && self.dialect.keep_unset {
            return Ok(format!("${{{name}{modifier}{word}}}"));
        }
        let (pattern, longest) = match word.strip_prefix(modifier) {
            Some(rest) => (rest, true),
            None => (word.as_str(), false),
        };
        let pattern = self.pattern(start, pattern)?;
        let value = value.unwrap_or_default();
        Ok(if modifier == '#' {
            pattern.trim_start(&value, longest)
        } else {
            pattern.trim_end(&value, longest)
        })
    }

    /// `${v/p/r}` replaces the first match, `${v//p/r}` all; the longest at each place.
    fn replacement(&mut self, start: usize, name: &str) -> Result<String> {
        let all = self.take('/');
        let pattern = self.nested('/', true, ExpansionErrorKind::Slash)?;
        let replacement = self.nested('}', true, ExpansionErrorKind::Brace)?;
        let value = self.value(name);
        if value.is_none() && self.dialect.keep_unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let pattern = self.pattern(start, &pattern)?;
        let Some(text) = pattern.replace(&value.unwrap_or_default(), &replacement, all, MAX_LENGTH) else {
            return self.error(start, ExpansionErrorKind::Length);
        };
        Ok(text)
    }

    fn pattern(&self, start: usize, text: &str) -> Result<Pattern> {
        Pattern::parse(text).map_err(|kind| ExpansionError { kind, range: start..self.at })
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        let names = if value.is_some() { &mut self.set } else { &mut self.unset };
        names.insert(name.to_owned());
        value
    }

    /// A variable's name: letters, digits and `_`; or digits only, or one of the shell's special parameters.
    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = match rest.chars().next() {
            Some(char) if char.is_numeric() => {
                rest.find(|char: char| !char.is_numeric()).unwrap_or(rest.len())
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len()),
        };
        self.at += length;
        &rest[..length]
    }
}

/// Parts of a text, split at white space that means something.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: String,
}

impl Words {
    fn push(&mut self, char: char) {
        self.current.push(char);
    }

    fn push_str(&mut self, text: &str) {
        self.current.push_str(text);
    }

    fn split_char(&mut self, char: char) {
        if !char.is_whitespace() {
            self.current.push(char);
        } else if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
    }

    fn split(&mut self, text: &str) {
        text.chars().for_each(|char| self.split_char(char));
    }

    fn finish(mut self) -> Vec<String> {
        self.split_char(' ');
        self.done
    }
}
