//! Values in the forms that Go's standard library reads, as the language's flags take them.

use std::time::Duration;

/// `1 t T TRUE true True` and `0 f F FALSE false False`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A duration that is not negative: `1h30m`, `1.5s`, `100ms`, `0`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned == "0" {
        return Some(Duration::ZERO);
    }
    let mut total: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (nanoseconds, after) = component(rest)?;
        total = total.checked_add(nanoseconds)?;
        rest = after;
    }
    (!unsigned.is_empty() && total <= i64::MAX as u64).then(|| Duration::from_nanos(total))
}

/// One number with its unit, in nanoseconds, and what follows.
fn component(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|char: char| char == '.' || char.is_ascii_digit()).unwrap_or(rest.len());
    let unit = unit(&rest[..end])?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    Some((whole.checked_mul(unit)?.checked_add(part(fraction, unit))?, &rest[end..]))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The digits after a point, of a unit, cut off at the nanosecond. More than 13 of them say nothing.
fn part(fraction: &str, unit: u64) -> u64 {
    let digits = &fraction[..fraction.len().min(13)];
    let scale = 10_u128.pow(digits.len().try_into().unwrap_or(13));
    let value = digits.parse::<u128>().unwrap_or(0) * u128::from(unit) / scale;
    u64::try_from(value).unwrap_or(unit)
}

/// A size in bytes: `64m`, `1.5 GiB`, `100b`; units are powers of 1024.
pub(super) fn size(text: &str) -> Option<i64> {
    let last = text.rfind(|char: char| char.is_ascii_digit() || char == '.' || char == ' ')?;
    let suffix = text[last + 1..].to_ascii_lowercase();
    let number = if text[last..].starts_with(' ') { &text[..last] } else { &text[..=last] };
    // Rust reads words such as `inf` as numbers too.
    let plain = number.chars().all(|char| matches!(char, '0'..='9' | '.' | '+' | '-' | 'e' | 'E'));
    let number = number.parse::<f64>().ok().filter(|number| plain && *number >= 0.0)?;
    let factor = factor(&suffix)?;
    #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the largest")]
    Some((number * factor) as i64)
}

fn factor(suffix: &str) -> Option<f64> {
    let power = match suffix.chars().next() {
        None => return Some(1.0),
        Some('b') => return (suffix.len() == 1).then_some(1.0),
        Some(unit) => "kmgtpezy".find(unit)? + 1,
    };
    let power = i32::try_from(power).ok()?;
    matches!(&suffix[1..], "" | "b" | "ib").then(|| 1024_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("100ms", 100_000_000),
            ("1us1µs1μs", 3_000),
            ("+1ns", 1),
            ("0.0000000001h", 360),
            ("9223372036854775807ns", i64::MAX as u64),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in
            ["", "+", "5", "5 s", "s", ".s", "-1s", "1d", "1.2.3s", "9223372036854775808ns", "99999999999h"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100),
            ("100b", 100),
            ("1k", 1024),
            ("2KB", 2048),
            ("2KiB", 2048),
            ("1.5m", 1_572_864),
            ("1 g", 1 << 30),
            ("32.5 GiB", 34_896_609_280),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "m", "-1", "1kk", "1bb", "1kib2", "inf", "1x", "é", "1é"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(boolean("True"), Some(true));
        assert_eq!(boolean("f"), Some(false));
        assert_eq!(boolean("yes"), None);
    }
}
