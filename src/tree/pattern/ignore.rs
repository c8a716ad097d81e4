//! Ignore lists: which paths of a context are left out.
//!
//! The rules are those of moby's `patternmatcher`, which builds of Dockerfiles go by, down to the oddities:
//! a folder's verdict is carried to what is in it pattern by pattern, so that `*`, `!a/b`, `a` keeps `a/b`.
//! Two things differ on purpose: where moby's translation into a regular expression lets that one's own
//! language through (`\d`, `[*]`), the pattern means what `filepath.Match` says; and `**` crosses a newline.

use super::glob::{Glob, GlobError, shown};
use super::parse::Dialect;

/// An ignore list. The last pattern that matches a path, or a folder above it, decides.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

/// One pattern of a list.
#[derive(Debug, Clone)]
pub struct Pattern {
    glob: Glob,
    re_includes: bool,
    text: String,
    line: Option<usize>,
}

/// Why a list can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    #[error("{}{source}", at(*.line))]
    Pattern { line: Option<usize>, source: GlobError },
    #[error("{}`!` names nothing to re-include", at(*.line))]
    Nothing { line: Option<usize> },
    #[error("line {line}: {len} bytes are more than a pattern may have, which is {MAX_LINE}")]
    TooLong { line: usize, len: usize },
}

/// moby's limit as well.
const MAX_LINE: usize = 64 << 10;

fn at(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

impl Ignore {
    /// Reads an ignore file: a pattern a line; `#` in the first column makes a comment; white space around a
    /// pattern, a leading slash and a BOM are dropped.
    pub fn parse(text: &[u8]) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, line) in text.split(|&b| b == b'\n').enumerate() {
            let number = index + 1;
            if line.len() >= MAX_LINE {
                return Err(IgnoreError::TooLong { line: number, len: line.len() });
            }
            if !line.starts_with(b"#") {
                patterns.extend(Pattern::parse(&unrooted(line), Some(number))?);
            }
        }
        Ok(Self { patterns })
    }

    /// Takes patterns as COPY's `--exclude` gives them; a leading slash means itself there, and matches nothing.
    pub fn from_patterns<T: AsRef<str>>(patterns: impl IntoIterator<Item = T>) -> Result<Self, IgnoreError> {
        let patterns =
            patterns.into_iter().filter_map(|p| Pattern::parse(p.as_ref().as_bytes(), None).transpose());
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a pattern begins with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.re_includes)
    }

    /// Whether the path (relative, normal) is left out. For many paths, a [`Cursor`] is faster.
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.cursor().excludes(path)
    }

    /// The pattern that leaves the path out, if one does.
    pub fn why(&self, path: &[u8]) -> Option<&Pattern> {
        self.cursor().decide(path).map(|index| &self.patterns[index])
    }

    /// Whether nothing below an excluded folder is re-included, so that a walk need not look into it.
    pub fn ends_at(&self, folder: &[u8]) -> bool {
        !self.patterns.iter().any(|pattern| pattern.re_includes && pattern.glob.may_match_below(folder))
    }

    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { ignore: self, above: Vec::new() }
    }

    /// The index of the pattern that leaves `path` out. `above` says which patterns matched the folder that
    /// holds it; in the result are those that match the path itself, or did so above.
    ///
    /// A pattern that could not change the verdict isn't looked at, and counts as one that didn't match: this is
    /// no mere saving, as what is below then doesn't inherit the match.
    fn step(&self, path: &[u8], above: Option<&Matched>) -> (Option<usize>, Matched) {
        let mut decided = None;
        let mut matched = Matched::none(self.patterns.len());
        for (index, pattern) in self.patterns.iter().enumerate() {
            let inherits = above.is_some_and(|above| above.has(index));
            if inherits || (pattern.re_includes == decided.is_some() && pattern.glob.matches(path)) {
                matched.set(index);
                decided = (!pattern.re_includes).then_some(index);
            }
        }
        (decided, matched)
    }
}

impl Pattern {
    /// What one entry of a list says; `None` if nothing.
    fn parse(text: &[u8], line: Option<usize>) -> Result<Option<Self>, IgnoreError> {
        let trimmed = trim(text);
        if trimmed.is_empty() {
            return Ok(None);
        }
        let clean = clean(trimmed);
        let (pattern, re_includes) = match clean.strip_prefix(b"!") {
            Some(b"") => return Err(IgnoreError::Nothing { line }),
            Some(pattern) => (pattern, true),
            None => (&clean[..], false),
        };
        let glob =
            Glob::parse(pattern, Dialect::Ignore).map_err(|source| IgnoreError::Pattern { line, source })?;
        Ok(Some(Self { glob, re_includes, text: shown(trimmed), line }))
    }

    /// The pattern, cleaned of white space, for messages.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its line in the ignore file, from 1.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

/// Asks an [`Ignore`] about one path after the other. It remembers what the folders above the last one matched,
/// so that a walk in order asks about each folder once.
#[derive(Debug)]
pub struct Cursor<'a> {
    ignore: &'a Ignore,
    above: Vec<(Vec<u8>, Matched)>,
}

impl Cursor<'_> {
    /// Whether the path (relative, normal) is left out. The root never is.
    pub fn excludes(&mut self, path: &[u8]) -> bool {
        self.decide(path).is_some()
    }

    fn decide(&mut self, path: &[u8]) -> Option<usize> {
        if path.is_empty() || self.ignore.is_empty() {
            return None;
        }
        while self.above.last().is_some_and(|(folder, _)| !is_below(path, folder)) {
            self.above.pop();
        }
        let known = self.above.last().map_or(0, |(folder, _)| folder.len() + 1);
        for slash in (known..path.len()).filter(|&i| path[i] == b'/') {
            let folder = &path[..slash];
            let (_, matched) = self.ignore.step(folder, self.above.last().map(|(_, matched)| matched));
            self.above.push((folder.to_vec(), matched));
        }
        self.ignore.step(path, self.above.last().map(|(_, matched)| matched)).0
    }
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
}

/// A set of patterns, by index. Most lists fit into one word.
#[derive(Debug, Clone)]
enum Matched {
    Few(u64),
    Many(Vec<u64>),
}

impl Matched {
    fn none(patterns: usize) -> Self {
        if patterns <= 64 { Self::Few(0) } else { Self::Many(vec![0; patterns.div_ceil(64)]) }
    }

    fn has(&self, index: usize) -> bool {
        let word = match self {
            Self::Few(word) => *word,
            Self::Many(words) => words[index / 64],
        };
        word >> (index % 64) & 1 != 0
    }

    fn set(&mut self, index: usize) {
        let word = match self {
            Self::Few(word) => word,
            Self::Many(words) => &mut words[index / 64],
        };
        *word |= 1 << (index % 64);
    }
}

/// A line of a file as a pattern of a list: a leading slash, also one after `!`, means the context's root.
fn unrooted(line: &[u8]) -> Vec<u8> {
    let line = trim(line);
    let (mark, pattern) = match line.strip_prefix(b"!") {
        Some(pattern) => (&b"!"[..], trim(pattern)),
        None => (&b""[..], line),
    };
    if pattern.is_empty() {
        return mark.to_vec();
    }
    let cleaned = clean(pattern);
    let pattern = if cleaned.len() > 1 { cleaned.strip_prefix(b"/").unwrap_or(&cleaned) } else { &cleaned };
    [mark, pattern].concat()
}

fn trim(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => text.trim_ascii(),
    }
}

/// What Go's `path.Clean` makes of it.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|&last| last != b"..") => _ = parts.pop(),
            b".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests;
