//! The text of a Buildfile and places in it.
//!
//! A [`Source`] is made of arbitrary bytes and always holds valid UTF-8; what was not is remembered by place, so
//! that the parser can accept it in comments and report it elsewhere. All spans of the syntax tree and of
//! diagnostics are byte offsets into [`Source::text`], and lie on character boundaries.

/// A range of bytes in a [`Source`], end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    /// Of what is in no place of the source: a command line's words, say.
    pub const NONE: Self = Self { start: usize::MAX, end: usize::MAX };

    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    #[must_use]
    pub fn len(self) -> usize {
        self.end - self.start
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    #[must_use]
    pub fn contains(self, offset: usize) -> bool {
        self.start <= offset && offset < self.end
    }
}

/// A line and a column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A named text with an index of its lines.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<usize>,
    /// Offsets of the replacement characters that stand for invalid bytes.
    invalid: Vec<usize>,
}

impl Source {
    /// Takes any bytes. Invalid UTF-8 becomes U+FFFD, and its places are kept; a byte-order mark is dropped.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let body = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let (text, invalid) = decode(body);
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, lines, invalid }
    }

    /// What diagnostics call this source, usually a path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a span. An offset beyond the end is taken as the end.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end.min(self.text.len())).unwrap_or_default()
    }

    /// Where an offset is. An offset beyond the end is taken as the end.
    #[must_use]
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let column = self.text.get(start..offset).map_or(1, |text| text.chars().count() + 1);
        Position { line, column }
    }

    /// The line of an offset, from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.position(offset).line
    }

    /// A line by its number, from 1, without its line end.
    pub(super) fn line_span(&self, line: usize) -> Span {
        let start = self.lines.get(line - 1).copied().unwrap_or(self.text.len());
        let end = self.lines.get(line).copied().unwrap_or(self.text.len());
        let text = self.text[start..end].trim_end_matches(['\r', '\n']);
        Span::new(start, start + text.len())
    }

    /// The span, its end moved back to a character's boundary.
    pub(super) fn floor(&self, span: Span) -> Span {
        Span::new(span.start, self.text.floor_char_boundary(span.end))
    }

    /// Offsets of invalid bytes, in order.
    pub(crate) fn invalid(&self) -> &[usize] {
        &self.invalid
    }
}

fn decode(bytes: &[u8]) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(bytes.len());
    let mut invalid = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            invalid.push(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (text, invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let source = Source::new("f", "é=1\nab\n\nc");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(2), Position { line: 1, column: 2 });
        assert_eq!(source.position(5), Position { line: 2, column: 1 });
        assert_eq!(source.position(8), Position { line: 3, column: 1 });
        assert_eq!(source.position(999), Position { line: 4, column: 2 });
        assert_eq!(Source::new("f", "").position(0), Position { line: 1, column: 1 });
    }

    #[test]
    fn invalid_bytes_are_kept_by_place() {
        let source = Source::new("f", b"a\xFFb\n\xC3".to_vec());
        assert_eq!(source.text(), "a\u{FFFD}b\n\u{FFFD}");
        assert_eq!(source.invalid(), [1, 6]);
    }

    #[test]
    fn a_byte_order_mark_is_dropped_once() {
        assert_eq!(Source::new("f", b"\xEF\xBB\xBFFROM".to_vec()).text(), "FROM");
        assert_eq!(Source::new("f", "\u{FEFF}\u{FEFF}").text(), "\u{FEFF}");
    }

    #[test]
    fn a_replacement_character_in_the_source_is_not_invalid() {
        assert!(Source::new("f", "\u{FFFD}").invalid().is_empty());
    }
}
