//! Compiling and matching one pattern.
//!
//! Time is at most linear in the path times the pattern, whatever the two hold: there is no backtracking that
//! a hostile pattern could make exponential.

use std::ops::Range;

use super::parse::{Dialect, parse};

/// A compiled pattern, which matches whole paths.
///
/// The syntax is that of Go's `filepath.Match`: `*` any number of characters and `?` one, but for `/`;
/// `[a-z]` and `[^a-z]` one of a class, which may be `/`; `\` takes the next character as it is. Beyond it,
/// `**` as a whole part stands for any number of parts, none included.
#[derive(Debug, Clone)]
pub struct Glob {
    tokens: Vec<Token>,
    /// The tokens without a literal at the start and one at the end, which are compared first.
    core: Range<usize>,
    /// One pass with two places to go back to is enough; see [`greedy`].
    regular: bool,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed pattern `{}`: {why}", .pattern.escape_debug())]
pub struct GlobError {
    pub pattern: String,
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Literal(Vec<u8>),
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Star,
    /// Nothing, or anything that ends in a slash.
    Deep,
    /// Anything.
    Rest,
}

impl Glob {
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        Self::parse(pattern.as_bytes(), Dialect::Parts)
    }

    pub(super) fn parse(pattern: &[u8], dialect: Dialect) -> Result<Self, GlobError> {
        let tokens = parse(pattern, dialect).map_err(|why| GlobError { pattern: shown(pattern), why })?;
        Ok(Self::compile(tokens))
    }

    fn compile(tokens: Vec<Token>) -> Self {
        let is_literal = |token: Option<&Token>| matches!(token, Some(Token::Literal(_)));
        let start = usize::from(is_literal(tokens.first()));
        let end = tokens.len() - usize::from(tokens.len() > start && is_literal(tokens.last()));
        let regular = tokens.iter().enumerate().all(|(i, token)| match token {
            Token::Class { .. } => !token.takes('/'),
            Token::Rest => i + 1 == tokens.len(),
            Token::Deep => match i.checked_sub(1).map(|i| &tokens[i]) {
                None | Some(Token::Deep) => true,
                Some(Token::Literal(text)) => text.ends_with(b"/"),
                Some(_) => false,
            },
            Token::Literal(_) | Token::Any | Token::Star => true,
        });
        Self { core: start..end, regular, tokens }
    }

    pub fn matches(&self, path: &[u8]) -> bool {
        let Some(rest) = path.strip_prefix(self.prefix()) else { return false };
        let Some(rest) = rest.strip_suffix(self.suffix()) else { return false };
        match &self.tokens[self.core.clone()] {
            [] => rest.is_empty(),
            [Token::Rest] => true,
            [Token::Deep] => rest.is_empty() || rest.ends_with(b"/"),
            core if self.regular => greedy(core, rest),
            core => Reach::start(rest.len()).through(core, rest).is_some_and(|reach| reach.0[rest.len()]),
        }
    }

    /// The one path that it matches, if it is plain text, without the backslashes.
    pub fn literal(&self) -> Option<&[u8]> {
        match &self.tokens[..] {
            [] => Some(b""),
            [Token::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it could match a path below `folder`. It may say so in vain, but never denies what is possible.
    pub fn may_match_below(&self, folder: &[u8]) -> bool {
        let inside = [folder, b"/"].concat();
        let mut reach = Reach::start(inside.len());
        for token in &self.tokens {
            if let Token::Literal(text) = token
                && reach.places().any(|at| text.len() > inside.len() - at && text.starts_with(&inside[at..]))
            {
                return true;
            }
            match reach.through(std::slice::from_ref(token), &inside) {
                None => return false,
                Some(next) if next.0[inside.len()] => return true,
                Some(next) => reach = next,
            }
        }
        false
    }

    fn prefix(&self) -> &[u8] {
        self.tokens.first().map_or(&[], Token::text)
    }

    fn suffix(&self) -> &[u8] {
        self.tokens.get(self.core.end).map_or(&[], Token::text)
    }
}

impl Token {
    fn text(&self) -> &[u8] {
        if let Self::Literal(text) = self { text } else { &[] }
    }

    /// For a class: whether `c` is one of its own.
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Class { negated, ranges } => ranges.iter().any(|&(lo, hi)| lo <= c && c <= hi) != *negated,
            _ => false,
        }
    }

    /// The bytes that a token of fixed length takes at the start of `text`.
    fn width(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Literal(literal) => text.starts_with(literal).then_some(literal.len()),
            Self::Any => decode(text).filter(|&(c, _)| c != '/').map(|(_, width)| width),
            Self::Class { .. } => decode(text).filter(|&(c, _)| self.takes(c)).map(|(_, width)| width),
            Self::Star | Self::Deep | Self::Rest => None,
        }
    }
}

/// Matches regular tokens: each `Deep` begins at the start of a part, so that the shortest stretch for it
/// leaves all choices to what follows. Then only the latest `Deep`, and the latest `Star` after it, need ever be
/// tried again: an earlier one that took more could only end where these can end as well.
fn greedy(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let (mut star, mut deep) = (None, None);
    loop {
        match tokens.get(token) {
            None if at == text.len() => return true,
            None => {}
            Some(Token::Rest) => return true,
            Some(Token::Star) => {
                token += 1;
                star = Some((token, at));
                continue;
            }
            Some(Token::Deep) => {
                token += 1;
                (star, deep) = (None, Some((token, at)));
                continue;
            }
            Some(fixed) => {
                if let Some(width) = fixed.width(&text[at..]) {
                    (token, at) = (token + 1, at + width);
                    continue;
                }
            }
        }
        if let Some((after, from)) = star
            && let Some((c, width)) = decode(&text[from..])
            && c != '/'
        {
            (token, at) = (after, from + width);
            star = Some((after, at));
        } else if let Some((after, from)) = deep
            && let Some(slash) = text[from..].iter().position(|&b| b == b'/')
        {
            (token, at) = (after, from + slash + 1);
            (star, deep) = (None, Some((after, at)));
        } else {
            return false;
        }
    }
}

/// The places in a text, its end included, that some tokens can end at.
struct Reach(Vec<bool>);

impl Reach {
    fn start(len: usize) -> Self {
        let mut places = vec![false; len + 1];
        places[0] = true;
        Self(places)
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, reached)| **reached).map(|(at, _)| at)
    }

    /// Where `tokens` can end, after having begun at one of these places; `None` for nowhere.
    fn through(mut self, tokens: &[Token], text: &[u8]) -> Option<Self> {
        for token in tokens {
            let first = self.places().next()?;
            let mut next = vec![false; self.0.len()];
            match token {
                Token::Rest => next[first..].fill(true),
                Token::Deep => {
                    next = self.0;
                    for at in first..text.len() {
                        next[at + 1] |= text[at] == b'/';
                    }
                }
                Token::Star => {
                    next = self.0;
                    let mut at = first;
                    while let Some((c, width)) = decode(&text[at..]) {
                        next[at + width] |= next[at] && c != '/';
                        at += width;
                    }
                }
                fixed => {
                    for at in self.places() {
                        if let Some(width) = fixed.width(&text[at..]) {
                            next[at + width] = true;
                        }
                    }
                }
            }
            self = Self(next);
        }
        self.places().next()?;
        Some(self)
    }
}

/// The first character and its length. A byte that is no part of one is a character by itself, as in Go.
pub(super) fn decode(text: &[u8]) -> Option<(char, usize)> {
    let width = match *text.first()? {
        ascii @ 0..0x80 => return Some((ascii.into(), 1)),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    let c = text.get(..width).and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| c.chars().next());
    Some(c.map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, width)))
}

/// What errors show of a pattern.
pub(super) fn shown(pattern: &[u8]) -> String {
    String::from_utf8_lossy(pattern).chars().take(160).collect()
}

#[cfg(test)]
mod tests;
