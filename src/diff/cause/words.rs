//! Texts: which words stand in one where others stand in the other.

use std::collections::BTreeSet;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::Cause;

/// As many pairs of words as are looked at.
const MAX_PAIRS: usize = 64;
/// As many lines as are compared: that takes the product of what differs.
const MAX_LINES: usize = 2000;

pub(super) fn of_texts(a: &str, b: &str) -> BTreeSet<Cause> {
    let lines = |text: &str| text.lines().take(MAX_LINES + 1).map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (lines(a), lines(b));
    if let Some(causes) = reordered(&a, &b) {
        return causes;
    }
    if a.len() > MAX_LINES || b.len() > MAX_LINES {
        return BTreeSet::new();
    }
    let mut causes = BTreeSet::new();
    let mut pairs = 0;
    for op in capture_diff_slices(Algorithm::Myers, &a, &b) {
        let DiffOp::Replace { .. } = op else { continue };
        for (old, new) in std::iter::zip(&a[op.old_range()], &b[op.new_range()]) {
            if pairs < MAX_PAIRS {
                causes.extend(of_lines(old, new));
                pairs += 1;
            }
        }
    }
    causes
}

/// The same pieces in another order.
fn reordered<T: Ord + AsRef<str>>(a: &[T], b: &[T]) -> Option<BTreeSet<Cause>> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let sorted = |pieces: &[T]| {
        let mut pieces: Vec<String> = pieces.iter().map(|piece| piece.as_ref().to_owned()).collect();
        pieces.sort();
        pieces
    };
    if sorted(a) != sorted(b) {
        return None;
    }
    let mut causes = BTreeSet::from([Cause::Order]);
    // One as bytes come, the other as a dictionary has it.
    let by_bytes = |pieces: &[T]| pieces.is_sorted();
    let by_words = |pieces: &[T]| pieces.is_sorted_by_key(|piece| piece.as_ref().to_lowercase());
    if by_bytes(a) && by_words(b) || by_words(a) && by_bytes(b) {
        causes.insert(Cause::Locale);
    }
    Some(causes)
}

fn of_lines(a: &str, b: &str) -> BTreeSet<Cause> {
    let pieces = |line: &'_ str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (pieces(a), pieces(b));
    if let Some(causes) = reordered(&old, &new) {
        return causes;
    }
    if old.len() != new.len() {
        return BTreeSet::new();
    }
    let words = std::iter::zip(&old, &new).filter(|(a, b)| a != b);
    let mut causes: BTreeSet<Cause> = words.filter_map(|(a, b)| of_word(a, b)).collect();
    if causes.contains(&Cause::Timestamp) {
        // The day of a month, beside its name and the time.
        causes.remove(&Cause::Pid);
    }
    causes
}

/// Of two names of files.
pub(super) fn of_names(a: &str, b: &str) -> BTreeSet<Cause> {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('/').collect(), b.split('/').collect());
    if a.len() != b.len() {
        return BTreeSet::new();
    }
    std::iter::zip(a, b).filter(|(a, b)| a != b).filter_map(|(a, b)| of_word(a, b)).collect()
}

/// Of two words that stand in one place, without what they have in common.
pub(super) fn of_word(a: &str, b: &str) -> Option<Cause> {
    if is_calendar(a) && is_calendar(b) || is_date(a) && is_date(b) {
        return Some(Cause::Timestamp);
    }
    let (old, new) = different(a, b);
    if old.is_empty() || new.is_empty() {
        return None;
    }
    let both = |is: &dyn Fn(&str) -> bool| is(old) && is(new);
    if both(&is_date) || both(&is_seconds) {
        return Some(Cause::Timestamp);
    }
    // Of one digit: the number of a version, most likely.
    if both(&is_number) && old.len().max(new.len()) > 1 {
        return Some(Cause::Pid);
    }
    let temporary = |word: &str| word.contains("tmp") || word.contains("temp");
    if both(&is_random) || temporary(a) && temporary(b) && both(&|word| word.len() >= 6 && is_word(word)) {
        return Some(Cause::Random);
    }
    is_path(a).then_some(Cause::Path).filter(|_| is_path(b))
}

/// What two words do not share, by pieces: `x=12;` and `x=345;` are `12` and `345`.
fn different<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, ':' | '-' | '.'));
    let (mut old, mut new) = (a, b);
    while let Some(at) =
        old.find(is_end).filter(|at| new.get(..=*at) == old.get(..=*at) && new.find(is_end) == Some(*at))
    {
        let next = at + old[at..].chars().next().map_or(1, char::len_utf8);
        (old, new) = (&old[next..], &new[next..]);
    }
    while let (Some(x), Some(y)) = (old.rfind(is_end), new.rfind(is_end))
        && old[x..] == new[y..]
    {
        (old, new) = (&old[..x], &new[..y]);
    }
    let dot = |word: &str| word.rfind(['.', '-']).map_or(0, |at| at + 1);
    // `tmp.Xa81kQ`: the part after what both begin with.
    let (x, y) = (dot(old), dot(new));
    if x == y && x > 0 && old[..x] == new[..x] {
        return (&old[x..], &new[y..]);
    }
    (old, new)
}

fn digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Small numbers, as process ids are: at most 4194304.
fn is_number(word: &str) -> bool {
    digits(word) && word.len() <= 7
}

/// Seconds since 1970, or thousandths, millionths or billionths of them, from 2001 to 2096; nanoseconds of a clock;
/// digits of a date.
fn is_seconds(word: &str) -> bool {
    let whole =
        word.split_once('.').map_or(word, |(whole, fraction)| if digits(fraction) { whole } else { "" });
    if !digits(whole) {
        return false;
    }
    let begins = |from: &str, to: &str| whole >= from && whole < to;
    match whole.len() {
        9 => whole.len() == word.len(),
        10 | 13 | 16 | 19 => begins("1", "4"),
        8 | 12 | 14 => begins("1970", "2100") && whole[4..6] <= *"12" && whole[6..8] <= *"31",
        _ => false,
    }
}

/// Digits with what stands between the parts of a date or a time.
fn is_date(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<&str> =
        word.split([':', '-', '/', 'T', 'Z', '.', '+', ' ']).filter(|part| !part.is_empty()).collect();
    let colons = word.matches(':').count();
    let dashes = word.matches(['-', '/']).count();
    let is_year = |part: &&str| part.len() == 4 && (**part >= *"1970" && **part < *"2100");
    let short = |part: &&str| part.len() <= 2;
    parts.len() >= 2
        && parts.iter().all(|part| digits(part) && part.len() <= 9)
        && (colons >= 1 && parts.iter().filter(|part| short(part)).count() >= 2
            || dashes >= 2 && parts.iter().any(is_year))
}

/// A day of the week, a month, or a year.
fn is_calendar(word: &str) -> bool {
    const NAMES: [&str; 19] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul",
        "aug", "sep", "oct", "nov", "dec",
    ];
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    NAMES.iter().any(|name| word.starts_with(name)) && word.len() <= 9
}

/// A UUID, at least sixteen hexadecimal digits, or letters and digits as no language mixes them.
fn is_random(word: &str) -> bool {
    let hex = word.bytes().filter(|byte| *byte != b'-').all(|byte| byte.is_ascii_hexdigit());
    let length = word.bytes().filter(|byte| *byte != b'-').count();
    let has = |is: fn(&u8) -> bool| word.bytes().any(|byte| is(&byte));
    let mixed = has(u8::is_ascii_digit) && (has(u8::is_ascii_uppercase) || has(u8::is_ascii_lowercase));
    let base64 =
        word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_'));
    hex && length >= 16
        || base64 && mixed && length >= 16 && !word.contains('/')
        || is_word(word) && mixed && length == 6
}

/// Absolute, with a folder at least.
fn is_path(word: &str) -> bool {
    word.find('/').is_some_and(|at| word[at + 1..].contains('/'))
}
