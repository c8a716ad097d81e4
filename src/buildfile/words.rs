//! Ways to split an instruction's text: by blanks, by shell-like words, as pairs, as a JSON array.
//!
//! Nothing is expanded here, and quotes stay, but for those of a JSON array.

use super::{
    diagnostic::Diagnostic,
    lines::Text,
    source::Span,
    syntax::{Pair, Word},
};

const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// The first word and the rest, which is None if there is only one word.
pub(super) fn first(text: Text<'_>) -> (Text<'_>, Option<Text<'_>>) {
    let text = text.trim();
    let Some(end) = text.as_str().find(BLANKS) else { return (text, None) };
    let rest = text.as_str()[end..].trim_start_matches(BLANKS);
    (text.sub(0..end), Some(text.from(text.as_str().len() - rest.len())))
}

/// Words between blanks; quotes mean nothing.
pub(super) fn blanks(text: Text<'_>) -> Vec<Word> {
    split(text, |rest| rest.find(BLANKS).unwrap_or(rest.len()), &BLANKS)
}

fn split<'a>(text: Text<'a>, length: impl Fn(&'a str) -> usize, separators: &[char]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = length(rest.as_str());
        words.push(rest.sub(0..end).word());
        let after = &rest.as_str()[end..];
        rest = rest.from(rest.as_str().len() - after.trim_start_matches(separators).len());
    }
    words
}

/// Words between white space that is neither quoted nor escaped, as typed. An escape character at the very end is
/// dropped.
pub(super) fn quoted(text: Text<'_>, escape: char) -> Vec<Text<'_>> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (length, next) = quoted_length(rest.as_str(), escape);
        if length > 0 {
            words.push(rest.sub(0..length));
        }
        rest = rest.from(next).trim();
    }
    words
}

/// The length of the word at the start, and where to go on.
fn quoted_length(text: &str, escape: char) -> (usize, usize) {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if quote.is_none() && char.is_whitespace() {
            return (at, at);
        }
        if char == escape && quote != Some('\'') {
            if chars.next().is_none() {
                return (at, text.len());
            }
        } else if quote == Some(char) {
            quote = None;
        } else if quote.is_none() && matches!(char, '\'' | '"') {
            quote = Some(char);
        }
    }
    (text.len(), text.len())
}

/// `name=value…`, or the old form `name value`, which takes all the rest as the value.
pub(super) fn pairs(text: Text<'_>, keyword: &str, escape: char) -> Result<Vec<Pair>, Diagnostic> {
    let words = quoted(text, escape);
    if words.first().is_some_and(|word| !word.as_str().contains('=')) {
        let (name, Some(value)) = first(text) else {
            let message = format!("{keyword} must have two arguments");
            return Err(Diagnostic::error(PAIRS, text.span(), message)
                .label("has no value")
                .help(format!("write it as `{keyword} {}=value`", text.as_str())));
        };
        return Ok(vec![Pair { name: name.word(), value: value.word(), legacy: true }]);
    }
    words.into_iter().map(pair).collect()
}

fn pair(text: Text<'_>) -> Result<Pair, Diagnostic> {
    match definition(text) {
        (name, Some(value)) => Ok(Pair { name, value, legacy: false }),
        (name, None) => {
            let message = format!("can't find `=` in `{}`", name.text);
            let help = "it must be of the form `name=value`; a value with spaces needs quotes";
            Err(Diagnostic::error(PAIRS, name.span, message).help(help))
        }
    }
}

/// The code of an error in `name=value`.
pub(super) const PAIRS: &str = "name-value";

/// `name` or `name=value`.
pub(super) fn definition(text: Text<'_>) -> (Word, Option<Word>) {
    match text.as_str().find('=') {
        Some(at) => (text.sub(0..at).word(), Some(text.from(at + 1).word())),
        None => (text.word(), None),
    }
}

/// `name` or `name=value` in a word whose quotes are gone.
pub(super) fn assignment(word: &Word) -> (Word, Option<Word>) {
    let Some(at) = word.text.find('=') else { return (word.clone(), None) };
    let part = |range: std::ops::Range<usize>| Word::new(&word.text[range.clone()], word.place(range));
    (part(0..at), Some(part(at + 1..word.text.len())))
}

/// What a text is as a JSON array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// It doesn't begin like one.
    Plain,
    /// It begins like one, but isn't JSON.
    Malformed,
    /// An array, but not of strings only.
    Mixed(Span),
    Strings(Vec<Word>),
}

/// The code of an error in an array's type.
pub(super) const MIXED: &str = "json-strings";

pub(super) fn json(text: Text<'_>) -> Json {
    let text = text.trim();
    if !text.as_str().starts_with('[') {
        return Json::Plain;
    }
    let array = Array { text, at: 1 };
    if let Some(words) = array.strings() {
        return Json::Strings(words);
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text.as_str()) {
        Ok(_) => Json::Mixed(text.span()),
        Err(_) => Json::Malformed,
    }
}

/// Reads a JSON array of strings, to know the strings' places. Like Go, it takes half a surrogate pair for U+FFFD.
struct Array<'a> {
    text: Text<'a>,
    at: usize,
}

impl Array<'_> {
    fn strings(mut self) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        if self.next()? == b']' {
            return self.ends().then_some(words);
        }
        self.at -= 1;
        loop {
            if self.next()? != b'"' {
                return None;
            }
            words.push(self.string()?);
            match self.next()? {
                b',' => {}
                b']' => return self.ends().then_some(words),
                _ => return None,
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.text.as_str().as_bytes()[self.at..]
    }

    /// The next byte that isn't white space.
    fn next(&mut self) -> Option<u8> {
        let skipped =
            self.bytes().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        let byte = *self.bytes().get(skipped)?;
        self.at += skipped + 1;
        Some(byte)
    }

    fn ends(&mut self) -> bool {
        self.next().is_none()
    }

    fn string(&mut self) -> Option<Word> {
        let start = self.at;
        let mut value = String::new();
        loop {
            let char = self.text.as_str()[self.at..].chars().next()?;
            self.at += char.len_utf8();
            match char {
                '"' => return Some(Word::new(value, self.text.sub(start..self.at - 1).span())),
                '\\' => value.push(self.escape()?),
                '\0'..='\u{1f}' => return None,
                _ => value.push(char),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = *self.bytes().first()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.unit()?;
        if let Some(char) = char::from_u32(first) {
            return Some(char);
        }
        let start = self.at;
        if self.bytes().starts_with(b"\\u") {
            self.at += 2;
            let second = self.unit()?;
            if first < 0xdc00 && (0xdc00..0xe000).contains(&second) {
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
        }
        self.at = start;
        Some(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Option<u32> {
        let mut value = 0;
        for byte in self.bytes().get(..4)? {
            value = value * 16 + char::from(*byte).to_digit(16)?;
        }
        self.at += 4;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::{lines::Reader, source::Source};

    fn on<T>(text: &str, read: impl FnOnce(Text<'_>) -> T) -> T {
        let source = Source::new("f", text);
        let line = Reader::new(&source, '\\', 0).line().unwrap();
        read(line.text())
    }

    fn texts(words: Vec<Word>) -> Vec<String> {
        words.into_iter().map(|word| word.text).collect()
    }

    fn parts(parts: Vec<Text<'_>>) -> Vec<String> {
        parts.into_iter().map(|part| part.as_str().to_owned()).collect()
    }

    #[test]
    fn first_words() {
        let split = |text: &str| {
            on(text, |text| {
                let (first, rest) = first(text);
                (first.as_str().to_owned(), rest.map(|rest| rest.as_str().to_owned()))
            })
        };
        assert_eq!(split("RUN \t a  b "), ("RUN".into(), Some("a  b".into())));
        assert_eq!(split("RUN "), ("RUN".into(), None));
    }

    #[test]
    fn quoted_words() {
        for (text, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#"a="b c" d='e f'g"#, vec![r#"a="b c""#, "d='e f'g"]),
            (r"a\ b c\", vec![r"a\ b", "c"]),
            (r#"a\"b c"#, vec![r#"a\"b"#, "c"]),
            (r#""a\" b" c"#, vec![r#""a\" b""#, "c"]),
            (r"'a\' b", vec![r"'a\'", "b"]),
            (r#""open a b"#, vec![r#""open a b"#]),
            (r#""" a"#, vec![r#""""#, "a"]),
        ] {
            assert_eq!(on(text, |text| parts(quoted(text, '\\'))), expected, "{text}");
        }
        assert_eq!(on(r"a` b c\ d", |text| parts(quoted(text, '`'))), ["a` b", r"c\", "d"]);
    }

    #[test]
    fn pairs_new_and_old() {
        let read = |text: &str| {
            on(text, |text| pairs(text, "ENV", '\\')).map(|pairs| {
                pairs
                    .into_iter()
                    .map(|pair| (pair.name.text, pair.value.text, pair.legacy))
                    .collect::<Vec<_>>()
            })
        };
        let pair = |name: &str, value: &str, legacy| (name.to_owned(), value.to_owned(), legacy);
        assert_eq!(
            read("a=1 b=\"2 3\" c=").unwrap(),
            [pair("a", "1", false), pair("b", "\"2 3\"", false), pair("c", "", false)]
        );
        assert_eq!(read("a=b=c").unwrap(), [pair("a", "b=c", false)]);
        assert_eq!(read("a  1 b=2 'x").unwrap(), [pair("a", "1 b=2 'x", true)]);
        assert_eq!(read("\"a b\" c").unwrap(), [pair("\"a", "b\" c", true)]);
        assert_eq!(read("a").unwrap_err().message, "ENV must have two arguments");
        assert_eq!(read("a=1 b").unwrap_err().message, "can't find `=` in `b`");
    }

    #[test]
    fn json_arrays() {
        let read = |text: &str| on(text, json);
        let strings = |text: &str| match read(text) {
            Json::Strings(words) => texts(words),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(strings("[]"), [""; 0]);
        assert_eq!(strings(r#" [ "a" ,"b c"] "#), ["a", "b c"]);
        assert_eq!(
            strings(r#"["\"\\\/\b\f\n\r\t", "\u00e9\ud83d\ude80"]"#),
            ["\"\\/\u{8}\u{c}\n\r\t", "é🚀"]
        );
        assert_eq!(
            strings(r#"["\ud800", "\ud800\u0041", "\udc00\ud800"]"#),
            ["\u{fffd}", "\u{fffd}A", "\u{fffd}\u{fffd}"]
        );
        for text in [r#"["a", 1]"#, "[1]", "[null]", r#"["a", ["b"]]"#, r#"[{"a": "b"}]"#] {
            assert!(matches!(read(text), Json::Mixed(_)), "{text}");
        }
        for text in [
            "['a']",
            r#"["a""#,
            r#"["a",]"#,
            r#"["a"] b"#,
            "[",
            r#"["\x"]"#,
            r#"["a" "b"]"#,
            "[ \"$x\" = y ]",
            "[\"a\tb\"]",
            r#"["\u12"]"#,
        ] {
            assert_eq!(read(text), Json::Malformed, "{text}");
        }
        assert_eq!(read("a [\"b\"]"), Json::Plain);
        assert_eq!(read(&"[".repeat(100_000)), Json::Malformed);
    }

    #[test]
    fn words_of_an_array_have_places() {
        on(r#"["a", "b\n"]"#, |text| {
            let Json::Strings(words) = json(text) else { panic!() };
            assert_eq!(words[0].span, Span::new(2, 3));
            assert_eq!(words[1].span, Span::new(7, 10));
        });
    }
}
