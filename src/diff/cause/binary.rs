//! Contents that are no texts: what stands where they differ.

use std::collections::BTreeSet;

use super::words::of_word;
use super::{Cause, Window};

/// As many places as are looked at.
const MAX_PLACES: usize = 64;
/// Differences that near to each other are one.
const NEAR: usize = 4;

pub(super) fn of_bytes(seen: &Window) -> BTreeSet<Cause> {
    let (a, b) = (&seen.a, &seen.b);
    if a.len() != b.len() {
        return words_at(seen, seen.at()).into_iter().collect();
    }
    if seen.whole && is_same_bytes(a, b) {
        return [Cause::Order].into();
    }
    let places = places(a, b);
    let found: Vec<Cause> = places
        .iter()
        .filter_map(|&(start, end)| words_at(seen, start).or_else(|| number_at(seen, start, end)))
        .collect();
    // Among many places that nothing speaks for, one that looks like a time does so by chance.
    if 2 * found.len() >= places.len() { found.into_iter().collect() } else { BTreeSet::new() }
}

/// As many of each byte: something stands elsewhere.
fn is_same_bytes(a: &[u8], b: &[u8]) -> bool {
    let count = |bytes: &[u8]| {
        let mut counts = [0_usize; 256];
        bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        counts
    };
    count(a) == count(b)
}

/// Where they differ.
fn places(a: &[u8], b: &[u8]) -> Vec<(usize, usize)> {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for at in (0..a.len()).filter(|&at| a[at] != b[at]) {
        match places.last_mut() {
            Some((_, end)) if at - *end <= NEAR => *end = at + 1,
            _ => places.push((at, at + 1)),
        }
        if places.len() > MAX_PLACES {
            places.pop();
            break;
        }
    }
    places
}

/// By the printable words around a place.
fn words_at(seen: &Window, at: usize) -> Option<Cause> {
    let word = |bytes: &'_ [u8]| {
        let is_printable = |byte: &u8| byte.is_ascii_graphic();
        let before = bytes.get(..at)?.iter().rev().take(200).take_while(|byte| is_printable(byte)).count();
        let after = bytes.get(at..)?.iter().take(200).take_while(|byte| is_printable(byte)).count();
        let word = &bytes[at - before..at + after];
        (word.len() >= 4).then(|| String::from_utf8_lossy(word).into_owned())
    };
    of_word(&word(&seen.a)?, &word(&seen.b)?)
}

/// Seconds since 1970 in four aligned bytes, of either order: from 2020 to 2031, and not two years apart. A byte that
/// changed for another reason is taken for a time in one case of ten.
fn number_at(seen: &Window, start: usize, end: usize) -> Option<Cause> {
    const FROM: u32 = 1_577_836_800;
    const TO: u32 = 1_956_528_000;
    const APART: u32 = 2 * 366 * 86_400;
    let at = start - usize::try_from((seen.offset + start as u64) % 4).unwrap_or(0).min(start);
    if end > at + 4 {
        return None;
    }
    let read = |bytes: &[u8]| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (old, new) = (read(&seen.a)?, read(&seen.b)?);
    let is_time = |old: u32, new: u32| {
        let fits = |time: u32| (FROM..TO).contains(&time);
        fits(old) && fits(new) && old.abs_diff(new) < APART
    };
    (is_time(old, new) || is_time(old.swap_bytes(), new.swap_bytes())).then_some(Cause::Timestamp)
}
