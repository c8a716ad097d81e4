//! The globs of `#`, `%` and `/`: `*` is any text within a line, `?` any character but a line end, `\` escapes.

use super::ExpansionErrorKind;

/// Matching costs the product of pattern and value.
const MAX_TOKENS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
}

#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, ExpansionErrorKind> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            tokens.push(match char {
                '*' => Token::Many,
                '?' => Token::One,
                '\\' => match chars.next() {
                    Some(char @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(char),
                    found => return Err(invalid(text, found)),
                },
                _ => Token::Char(char),
            });
        }
        // Stars in a row are one, and the cost of matching grows with each.
        tokens.dedup_by(|a, b| *a == Token::Many && *b == Token::Many);
        if tokens.len() > MAX_TOKENS {
            return Err(ExpansionErrorKind::Length);
        }
        Ok(Self(tokens))
    }

    pub(super) fn trim_start(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let cut = prefix(&self.0, &chars, longest).unwrap_or(0);
        chars[cut..].iter().collect()
    }

    pub(super) fn trim_end(&self, value: &str, longest: bool) -> String {
        let tokens: Vec<Token> = self.0.iter().rev().copied().collect();
        let mut chars: Vec<char> = value.chars().rev().collect();
        chars.drain(..prefix(&tokens, &chars, longest).unwrap_or(0));
        chars.iter().rev().collect()
    }

    /// None if the result is longer than the limit.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool, limit: usize) -> Option<String> {
        // A match stays in its line unless the pattern names a line end; line by line the time stays linear.
        if all && !self.0.contains(&Token::Char('\n')) {
            let mut lines = Vec::new();
            let mut left = limit;
            for line in value.split('\n') {
                let line = self.replace_in(line, replacement, true, left)?;
                left = left.saturating_sub(line.len());
                lines.push(line);
            }
            return Some(lines.join("\n"));
        }
        self.replace_in(value, replacement, all, limit)
    }

    fn replace_in(&self, value: &str, replacement: &str, all: bool, limit: usize) -> Option<String> {
        let chars: Vec<char> = value.chars().collect();
        let mut text = String::new();
        let mut copied = 0;
        let mut from = 0;
        while from <= chars.len() {
            let Some((start, end)) = find(&self.0, &chars, from) else { break };
            // An empty match right behind a match is none.
            if end > start || start > copied || from == 0 {
                text.extend(&chars[copied..start]);
                text.push_str(replacement);
                copied = end;
            }
            if text.len() > limit {
                return None;
            }
            if !all {
                break;
            }
            from = if end > start { end } else { end + 1 };
        }
        text.extend(&chars[copied..]);
        Some(text)
    }
}

fn invalid(pattern: &str, found: Option<char>) -> ExpansionErrorKind {
    let found = found.map_or_else(|| "its end".to_owned(), |char| format!("`{char}`"));
    ExpansionErrorKind::Pattern { pattern: pattern.to_owned(), found }
}

/// The length of the shortest or longest prefix that matches.
fn prefix(tokens: &[Token], chars: &[char], longest: bool) -> Option<usize> {
    let mut origins = vec![None; chars.len() + 1];
    origins[0] = Some(0);
    advance(tokens, chars, &mut origins);
    let mut ends = origins.iter().enumerate().filter_map(|(end, origin)| origin.map(|_| end));
    if longest { ends.next_back() } else { ends.next() }
}

/// The first match from a place on, and the longest of those that begin there.
fn find(tokens: &[Token], chars: &[char], from: usize) -> Option<(usize, usize)> {
    if !tokens.contains(&Token::Many) {
        let windows = (from..=chars.len().checked_sub(tokens.len())?).map(|at| (at, at + tokens.len()));
        return windows.into_iter().find(|(start, end)| same(tokens, &chars[*start..*end]));
    }
    let chars = &chars[from..];
    let mut origins: Vec<Option<usize>> = (0..=chars.len()).map(Some).collect();
    advance(tokens, chars, &mut origins);
    let start = origins.iter().flatten().min().copied()?;
    let end = origins.iter().rposition(|origin| *origin == Some(start))?;
    Some((from + start, from + end))
}

fn same(tokens: &[Token], chars: &[char]) -> bool {
    tokens.iter().zip(chars).all(|(token, char)| match token {
        Token::Char(wanted) => wanted == char,
        Token::One | Token::Many => *char != '\n',
    })
}

/// For each place, the leftmost origin from which the tokens lead there; from the same before the tokens.
fn advance(tokens: &[Token], chars: &[char], origins: &mut [Option<usize>]) {
    for token in tokens {
        if *token == Token::Many {
            for at in (0..chars.len()).filter(|at| chars[*at] != '\n') {
                origins[at + 1] = leftmost(origins[at], origins[at + 1]);
            }
            continue;
        }
        for at in (0..chars.len()).rev() {
            let fits = same(std::slice::from_ref(token), &chars[at..=at]);
            origins[at + 1] = if fits { origins[at] } else { None };
        }
        origins[0] = None;
    }
}

fn leftmost(a: Option<usize>, b: Option<usize>) -> Option<usize> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn prefixes_and_suffixes() {
        for (glob, value, shortest, longest) in [
            ("*", "abc", "abc", ""),
            ("*b", "abcbd", "cbd", "d"),
            ("?", "한국", "국", "국"),
            ("x", "abc", "abc", "abc"),
            ("", "abc", "abc", "abc"),
            (r"\*", "*a", "a", "a"),
            ("*x*y", "xxyy", "y", ""),
        ] {
            assert_eq!(pattern(glob).trim_start(value, false), shortest, "{glob}");
            assert_eq!(pattern(glob).trim_start(value, true), longest, "{glob}");
        }
        assert_eq!(pattern(".*").trim_end("a.tar.gz", false), "a.tar");
        assert_eq!(pattern(".*").trim_end("a.tar.gz", true), "a");
        assert_eq!(pattern(r"\**\*").trim_end("a***yy*", true), "a");
    }

    #[test]
    fn stars_stay_in_their_line() {
        assert_eq!(pattern("*b").trim_start("a\nb", true), "a\nb");
        assert_eq!(pattern("*").replace("a\nb", "x", true, 99).unwrap(), "x\nx");
    }

    #[test]
    fn replacements() {
        for (glob, value, first, all) in [
            ("a", "banana", "b_nana", "b_n_n_"),
            ("a*a", "banana!", "b_!", "b_!"),
            ("", "ab", "_ab", "_a_b_"),
            ("*", "ab", "_", "_"),
            ("?n", "banana", "b_ana", "b__a"),
            ("xyz", "ab", "ab", "ab"),
            ("*", "", "_", "_"),
        ] {
            assert_eq!(pattern(glob).replace(value, "_", false, 99).unwrap(), first, "{glob}");
            assert_eq!(pattern(glob).replace(value, "_", true, 99).unwrap(), all, "{glob}");
        }
        assert_eq!(pattern("").replace("aaaa", "xxxxxxxx", true, 20), None);
    }

    #[test]
    fn invalid_escapes() {
        for text in ["\\", "\\x", "\\\\\\"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let value = "a".repeat(20_000);
        let glob = "*a".repeat(200) + "b";
        assert_eq!(pattern(&glob).trim_start(&value, true), value);
        assert_eq!(pattern(&glob).replace(&value, "", true, usize::MAX).unwrap(), value);
        assert!(Pattern::parse(&"a".repeat(5000)).is_err());
    }
}
