//! The forms of values in the texts of an image's history, which are part of its digest.
//!
//! They are those of the language's main implementation, so that tools which read them keep working: Go's `%v` and
//! `%q` of lists, and its text of a duration.

use std::fmt::Write as _;

/// `[a b]`.
pub(in crate::buildfile) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    format!("[{}]", words.join(" "))
}

/// `["a" "b"]`.
pub(in crate::buildfile) fn quoted_list<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote(word.as_ref())).collect();
    list(&words)
}

/// A string as a Go literal.
pub(in crate::buildfile) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        quote_char(c, &mut out);
    }
    out.push('"');
    out
}

fn quote_char(c: char, out: &mut String) {
    match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if is_printable(c) => out.push(c),
        c => {
            let code = u32::from(c);
            let written = match code {
                0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                0x20..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            written.expect("writing to a string does not fail");
        }
    }
}

/// The standard library knows, but says so only by what it escapes; a leading letter keeps it from escaping
/// combining characters, which print.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut text = String::from("a");
    text.push(c);
    !text.escape_debug().to_string().contains("\\u{")
}

/// Nanoseconds as Go's `time.Duration` prints them: `1m30s`, `1.5ms`, `0s`.
pub(in crate::buildfile) fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let below_a_second = |unit: u64, name: &str| format!("{sign}{}{name}", fraction(total, unit));
    match total {
        0 => return "0s".to_owned(),
        1..1_000 => return below_a_second(1, "ns"),
        1_000..1_000_000 => return below_a_second(1_000, "µs"),
        1_000_000..1_000_000_000 => return below_a_second(1_000_000, "ms"),
        _ => {}
    }
    let second = 1_000_000_000;
    let (minutes, rest) = (total / (60 * second), total % (60 * second));
    let seconds = fraction(rest, second);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / unit` in decimal, without trailing zeros; `unit` is a power of ten.
fn fraction(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_does() {
        for (text, expected) in [
            ("a b", r#""a b""#),
            ("\"\\\n\t\x07\x0b", r#""\"\\\n\t\a\v""#),
            ("\x01\x7f", r#""\x01\x7f""#),
            ("é字😀", r#""é字😀""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{a0}\u{200b}\u{85}", r#""\u00a0\u200b\u0085""#),
            ("\u{fffd}", "\"\u{fffd}\""),
            ("\u{e0001}", r#""\U000e0001""#),
            ("'", r#""'""#),
        ] {
            assert_eq!(quote(text), expected);
        }
    }

    #[test]
    fn lists_have_no_commas() {
        assert_eq!(list(&["a", "b c"]), "[a b c]");
        assert_eq!(list::<&str>(&[]), "[]");
        assert_eq!(quoted_list(&["sh", "-c", "x"]), r#"["sh" "-c" "x"]"#);
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (30_000_000_000, "30s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (360_001_000_000_000, "100h0m1s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(duration(nanoseconds), expected);
        }
    }
}
