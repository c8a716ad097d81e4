//! From a pattern's text to its tokens.

use super::glob::{Token, decode};

/// How `**` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As a whole part it is any number of parts; within one it is a `*`.
    Parts,
    /// As moby's ignore files have it: anywhere, with a slash after it swallowed, it is any number of whole
    /// parts, at the end anything; at the start of a pattern that is plain text from there on, `**text` asks
    /// for that ending alone.
    Ignore,
}

/// The tokens, with no two literals side by side; or what is wrong.
pub(super) fn parse(pattern: &[u8], dialect: Dialect) -> Result<Vec<Token>, &'static str> {
    let mut parser = Parser { pattern, at: 0, dialect, tokens: Vec::new() };
    while parser.at < pattern.len() {
        parser.token()?;
    }
    let mut tokens = parser.tokens;
    if let (Dialect::Ignore, [first @ Token::Deep, Token::Literal(_)]) = (dialect, &mut tokens[..])
        && !pattern.starts_with(b"**/")
        && !pattern[2..].iter().any(|b| b"*\\]".contains(b))
    {
        *first = Token::Rest;
    }
    Ok(tokens)
}

struct Parser<'a> {
    pattern: &'a [u8],
    at: usize,
    dialect: Dialect,
    tokens: Vec<Token>,
}

impl Parser<'_> {
    fn token(&mut self) -> Result<(), &'static str> {
        let rest = &self.pattern[self.at..];
        self.at += 1;
        match rest[0] {
            b'*' if rest.starts_with(b"**") && self.is_deep(rest) => self.double_star(rest),
            b'*' if self.tokens.last() == Some(&Token::Star) => {}
            b'*' => self.tokens.push(Token::Star),
            b'?' => self.tokens.push(Token::Any),
            b'[' => {
                let class = self.class()?;
                self.tokens.push(class);
            }
            b'\\' => {
                let escaped = *rest.get(1).ok_or("nothing follows the last `\\`")?;
                self.at += 1;
                self.literal(escaped);
            }
            byte => self.literal(byte),
        }
        Ok(())
    }

    fn is_deep(&self, rest: &[u8]) -> bool {
        let starts = self.at == 1 || self.pattern[self.at - 2] == b'/';
        let ends = matches!(rest.get(2), None | Some(b'/'));
        self.dialect == Dialect::Ignore || (starts && ends)
    }

    fn double_star(&mut self, rest: &[u8]) {
        let swallowed = if rest.starts_with(b"**/") { 3 } else { 2 };
        self.at += swallowed - 1;
        let token = if rest.len() == swallowed { Token::Rest } else { Token::Deep };
        // Two in a row say no more than one, and would make the matching quadratic.
        if self.tokens.last() != Some(&token) {
            self.tokens.push(token);
        }
    }

    fn literal(&mut self, byte: u8) {
        match self.tokens.last_mut() {
            Some(Token::Literal(text)) => text.push(byte),
            _ => self.tokens.push(Token::Literal(vec![byte])),
        }
    }

    fn class(&mut self) -> Result<Token, &'static str> {
        let negated = self.eat(b'^');
        let mut ranges = Vec::new();
        loop {
            if !ranges.is_empty() && self.eat(b']') {
                return Ok(Token::Class { negated, ranges });
            }
            let lo = self.class_char()?;
            let hi = if self.eat(b'-') { self.class_char()? } else { lo };
            if lo > hi {
                return Err("a range in `[…]` is the wrong way round");
            }
            ranges.push((lo, hi));
        }
    }

    fn class_char(&mut self) -> Result<char, &'static str> {
        if self.eat(b'\\') {
        } else if matches!(self.pattern.get(self.at), Some(b'-' | b']')) {
            return Err("`-` and `]` in `[…]` are written `\\-` and `\\]`");
        }
        match decode(&self.pattern[self.at..]) {
            None => Err("a `[` is not closed"),
            Some((char::REPLACEMENT_CHARACTER, 1)) => Err("a class of characters has to be UTF-8"),
            Some((c, width)) => {
                self.at += width;
                Ok(c)
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.pattern.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }
}
