//! Words of strangers: what may be shown of them, and what they may have meant; and an error with its causes as one text.
//!
//! Invariant: what [`escaped`], [`escaped_lines`] and [`shown`] give holds nothing that a terminal obeys, and
//! nothing that reads in another direction than it is written.

use std::error::Error;
use std::fmt::Display;

/// More of a stranger's words helps nobody.
const MAX_SHOWN: usize = 300;

/// As one line: line feeds and tabs are escaped too.
pub fn escaped(text: &str) -> String {
    text.chars().flat_map(escaped_char).collect()
}

/// As lines: line feeds and tabs stay.
pub fn escaped_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => lines.push(c),
            c => lines.extend(escaped_char(c)),
        }
    }
    lines
}

/// The beginning of it, as one line.
pub fn shown(text: &(impl Display + ?Sized)) -> String {
    shown_up_to(MAX_SHOWN, &text.to_string())
}

/// As [`shown`], of so many characters.
pub fn shown_up_to(limit: usize, text: &str) -> String {
    text.chars().take(limit).flat_map(escaped_char).collect()
}

/// The message and its causes on one line; a cause that its effect has told already is left out.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The first field of one record of comma-separated values (RFC 4180), and its length as typed, up to a comma or the end.
/// In double quotes it may hold commas, and quotes doubled.
pub(crate) fn field(record: &str) -> Option<(String, usize)> {
    let Some(mut rest) = record.strip_prefix('"') else {
        let end = record.find(',').unwrap_or(record.len());
        return Some((record[..end].to_owned(), end));
    };
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('"')?;
        value.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => {
                return (after.is_empty() || after.starts_with(','))
                    .then(|| (value, record.len() - after.len()));
            }
        }
    }
}

/// Control characters, ends of lines and changes of direction (Unicode's Bidi_Control), as what Rust writes for them.
fn escaped_char(c: char) -> impl Iterator<Item = char> {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    let escape = c.is_control() || turns || breaks;
    c.escape_default().filter(move |_| escape).chain((!escape).then_some(c))
}

/// The candidate with the fewest edits, at most two, whatever the case; in the case that was typed. None if one is
/// the same, for then the name is not what is wrong.
#[must_use]
pub fn closest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = typed.to_lowercase();
    let found = fewest_edits(typed, candidates, |candidate| distance(&lower, &candidate.to_lowercase()));
    found.map(|candidate| in_case_of(typed, candidate))
}

/// Like [`closest`], where capitals count: for names of variables.
#[must_use]
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    fewest_edits(typed, candidates, |candidate| distance(typed, candidate))
}

fn fewest_edits<'a>(
    typed: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    edits: impl Fn(&str) -> usize,
) -> Option<&'a str> {
    // Longer words can't be close to any name; the distance costs their square.
    if typed.chars().count() > 64 {
        return None;
    }
    let ranked = candidates.into_iter().map(|candidate| (edits(candidate), candidate));
    let (edits, candidate) = ranked.min_by_key(|(edits, _)| *edits)?;
    (1..=2).contains(&edits).then_some(candidate)
}

fn in_case_of(typed: &str, candidate: &str) -> String {
    if typed == typed.to_lowercase() {
        candidate.to_lowercase()
    } else if typed == typed.to_uppercase() {
        candidate.to_uppercase()
    } else {
        candidate.to_owned()
    }
}

/// Levenshtein's distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substitution = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_turns_or_breaks_a_line_is_escaped() {
        for c in ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{2069}'] {
            assert_eq!(escaped(&c.to_string()), c.escape_unicode().to_string());
        }
        assert_eq!(escaped("\u{200d}\u{5d0}"), "\u{200d}\u{5d0}");
    }

    #[test]
    fn nothing_speaks_to_the_terminal() {
        let text = "é \x1b[2J\u{9b}1m\r\n\t\u{202e}\"\\";
        assert_eq!(escaped(text), "é \\u{1b}[2J\\u{9b}1m\\r\\n\\t\\u{202e}\"\\");
        assert_eq!(escaped_lines(text), "é \\u{1b}[2J\\u{9b}1m\\r\n\t\\u{202e}\"\\");
        assert_eq!(shown(&"x".repeat(1000)).len(), MAX_SHOWN);
        assert_eq!(shown("a\nb"), "a\\nb");
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("copy", "copy"), 0);
        assert_eq!(distance("é", "e"), 1);
    }

    #[test]
    fn suggestions_keep_the_case_typed() {
        assert_eq!(closest("COPPY", ["ADD", "COPY"]).as_deref(), Some("COPY"));
        assert_eq!(closest("coppy", ["ADD", "COPY"]).as_deref(), Some("copy"));
        assert_eq!(closest("form", ["FROM"]).as_deref(), Some("from"));
        assert_eq!(closest("INSTALL", ["ADD", "COPY"]), None);
        assert_eq!(closest("copy", ["COPPY", "COPY"]), None);
        assert_eq!(closest(&"x".repeat(1 << 20), ["COPY"]), None);
    }

    #[test]
    fn capitals_count_for_the_nearest() {
        assert_eq!(nearest("VERSON", ["version", "VERSION"]), Some("VERSION"));
        assert_eq!(nearest("version", ["VERSION"]), None);
    }
}
