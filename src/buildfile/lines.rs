//! Logical lines: what stands on one line once continuations are joined.
//!
//! Comments and blank lines inside a continuation are dropped. A line keeps the map from its text to the source,
//! so that each part of it has a place; [`Text`] is such a part.

use std::ops::Range;

use super::{
    source::{Source, Span},
    syntax::{Comment, Word},
};

/// A logical line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Joined, without white space before; white space after is kept.
    text: String,
    /// Where in the text, and where in the source, each physical line's part begins.
    pieces: Vec<(usize, usize)>,
    pub(super) span: Span,
    /// The comments above.
    pub(super) comments: Vec<Comment>,
    /// Comments inside the continuation.
    pub(super) dropped: Vec<Span>,
    /// Blank lines inside the continuation.
    pub(super) blank: Vec<Span>,
}

impl Line {
    pub(super) fn text(&self) -> Text<'_> {
        Text { line: self, start: 0, end: self.text.len() }
    }

    fn push(&mut self, text: &str, at: usize) {
        self.pieces.push((self.text.len(), at));
        self.text.push_str(text);
    }

    fn place(&self, offset: usize) -> usize {
        let piece = self.pieces.partition_point(|(start, _)| *start <= offset);
        // Before the first piece there is nothing.
        piece
            .checked_sub(1)
            .and_then(|piece| self.pieces.get(piece))
            .map_or(self.span.start, |(start, at)| at + offset - start)
    }
}

/// A part of a logical line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    line: &'a Line,
    start: usize,
    end: usize,
}

impl<'a> Text<'a> {
    pub(super) fn as_str(self) -> &'a str {
        &self.line.text[self.start..self.end]
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// A part of this part.
    pub(super) fn sub(self, range: Range<usize>) -> Self {
        Self { line: self.line, start: self.start + range.start, end: self.start + range.end }
    }

    /// All from an offset on.
    pub(super) fn from(self, start: usize) -> Self {
        self.sub(start..self.end - self.start)
    }

    pub(super) fn trim(self) -> Self {
        let text = self.as_str();
        let start = text.len() - text.trim_start().len();
        self.sub(start..start + text.trim().len())
    }

    pub(super) fn span(self) -> Span {
        if self.is_empty() {
            let at = self.line.place(self.start).min(self.line.span.end);
            return Span::new(at, at);
        }
        Span::new(self.line.place(self.start), self.line.place(self.end - 1) + 1)
    }

    pub(super) fn word(self) -> Word {
        Word::new(self.as_str(), self.span())
    }
}

/// Reads a source's logical lines and, between them, heredocs' bodies.
pub(super) struct Reader<'a> {
    source: &'a Source,
    escape: char,
    at: usize,
}

/// A physical line.
#[derive(Clone, Copy)]
struct Physical<'a> {
    start: usize,
    /// Without line end.
    text: &'a str,
    /// Where the next one starts.
    next: usize,
}

impl Physical<'_> {
    fn is_comment(self) -> bool {
        self.text.trim_start().starts_with('#')
    }

    fn is_blank(self) -> bool {
        self.text.trim_start().is_empty()
    }

    fn span(self) -> Span {
        Span::new(self.start, self.start + self.text.len())
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, escape: char, start: usize) -> Self {
        Self { source, escape, at: start }
    }

    fn next(&mut self) -> Option<Physical<'a>> {
        let rest = self.source.text().get(self.at..).filter(|rest| !rest.is_empty())?;
        let line = rest.split_inclusive('\n').next()?;
        let start = self.at;
        self.at += line.len();
        Some(Physical { start, text: line.trim_end_matches(['\r', '\n']), next: self.at })
    }

    /// The next logical line that isn't empty, with the comments above it.
    pub(super) fn line(&mut self) -> Option<Line> {
        let mut comments = Vec::new();
        loop {
            let first = self.next()?;
            if first.is_comment() {
                collect(&mut comments, first);
            } else if !first.is_blank() {
                return Some(self.join(first, comments));
            }
        }
    }

    fn join(&mut self, first: Physical<'a>, comments: Vec<Comment>) -> Line {
        let text = first.text.trim_start();
        let start = first.start + first.text.len() - text.len();
        let mut line = Line { comments, span: first.span(), ..Line::default() };
        line.span.start = start;
        let mut open = self.append(&mut line, text, start);
        while open {
            let Some(physical) = self.next() else { break };
            if physical.is_comment() {
                line.dropped.push(physical.span());
            } else if physical.is_blank() {
                line.blank.push(Span::new(physical.start, physical.next));
            } else {
                line.span.end = physical.span().end;
                open = self.append(&mut line, physical.text, physical.start);
            }
        }
        line
    }

    /// Appends a physical line; true if it is continued: its last character but blanks is an escape character that
    /// doesn't follow another.
    fn append(&self, line: &mut Line, text: &str, at: usize) -> bool {
        let continued = text
            .trim_end_matches([' ', '\t'])
            .strip_suffix(self.escape)
            .filter(|before| !before.ends_with(self.escape));
        line.push(continued.unwrap_or(text), at);
        continued.is_some()
    }

    /// The lines up to the one that is the delimiter, perhaps after tabs. None if the source ends before; all of it
    /// is read then.
    pub(super) fn heredoc(&mut self, delimiter: &str, tabs: bool) -> Option<Word> {
        let start = self.at;
        while let Some(physical) = self.next() {
            let text = if tabs { physical.text.trim_start_matches('\t') } else { physical.text };
            if text == delimiter {
                let span = Span::new(start, physical.start);
                return Some(Word::new(self.source.slice(span), span));
            }
        }
        None
    }

    /// The end of what was read, without the last line end.
    pub(super) fn end(&self) -> usize {
        self.source.text()[..self.at].trim_end_matches(['\r', '\n']).len()
    }
}

/// An empty comment forgets those before it.
fn collect(comments: &mut Vec<Comment>, line: Physical<'_>) {
    let text = line.text.trim_start();
    let text = text.strip_prefix('#').unwrap_or(text).trim();
    if text.is_empty() {
        comments.clear();
        return;
    }
    let end = line.start + line.text.trim_end().len();
    comments.push(Comment { text: text.to_owned(), span: Span::new(line.start, end) });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, escape: char) -> Vec<String> {
        let source = Source::new("f", text);
        let mut reader = Reader::new(&source, escape, 0);
        std::iter::from_fn(|| reader.line()).map(|line| line.text).collect()
    }

    #[test]
    fn continuations() {
        for (text, expected) in [
            ("a \\\nb", vec!["a b"]),
            ("a \\  \t\r\n  b\r\nc", vec!["a   b", "c"]),
            ("a \\\\\nb", vec!["a \\\\", "b"]),
            ("a \\\\\\\nb", vec!["a \\\\\\", "b"]),
            ("a \\\n# comment\n\n \t\nb", vec!["a b"]),
            ("a \\\n  # comment \\\n  b \\", vec!["a   b "]),
            ("\\\na", vec!["a"]),
            ("a \\x\nb", vec!["a \\x", "b"]),
            ("a`\nb", vec!["a`", "b"]),
            ("  a\n\n  \nb", vec!["a", "b"]),
            ("\\", vec![""]),
        ] {
            assert_eq!(lines(text, '\\'), expected, "{text:?}");
        }
        assert_eq!(lines("a\\\nb `\nc", '`'), ["a\\", "b c"]);
    }

    #[test]
    fn parts_know_their_place() {
        let text = "  RUN a \\\n# c\n   bcd e";
        let source = Source::new("f", text);
        let line = Reader::new(&source, '\\', 0).line().unwrap();
        assert_eq!(line.text, "RUN a    bcd e");
        let place = |part: &str| {
            let at = line.text.find(part).unwrap();
            source.slice(line.text().sub(at..at + part.len()).span())
        };
        assert_eq!(place("RUN"), "RUN");
        assert_eq!(place("bcd"), "bcd");
        assert_eq!(place("e"), "e");
        assert_eq!(place("a  "), "a \\\n# c\n ");
        assert_eq!(line.text().from(14).span(), Span::new(text.len(), text.len()));
        assert_eq!(line.dropped.len(), 1);
    }

    #[test]
    fn comments_above() {
        let source = Source::new("f", "# one\n#\n# two\n\n  # three  \nA\n# four\nB");
        let mut reader = Reader::new(&source, '\\', 0);
        let texts = |line: Line| line.comments.into_iter().map(|comment| comment.text).collect::<Vec<_>>();
        assert_eq!(texts(reader.line().unwrap()), ["two", "three"]);
        assert_eq!(texts(reader.line().unwrap()), ["four"]);
    }

    #[test]
    fn heredocs() {
        let source = Source::new("f", "RUN <<A\n\tone\r\n\tA\nA\ntwo\n\t\tB\nrest");
        let mut reader = Reader::new(&source, '\\', 0);
        reader.line();
        assert_eq!(reader.heredoc("A", false).unwrap().text, "\tone\r\n\tA\n");
        assert_eq!(reader.heredoc("B", true).unwrap().text, "two\n");
        assert_eq!(reader.heredoc("C", true), None);
        assert!(reader.line().is_none());
    }
}
