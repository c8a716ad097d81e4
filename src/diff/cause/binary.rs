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
    let mut causes = BTreeSet::new();
    if a.len() != b.len() {
        return words_at(seen, seen.at()).into_iter().collect();
    }
    if seen.whole && is_same_bytes(a, b) {
        return [Cause::Order].into();
    }
    for (start, end) in places(a, b) {
        causes.extend(words_at(seen, start).or_else(|| number_at(a, b, start, end)));
    }
    causes
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

/// Seconds since 1970 in four bytes, of either order: from 2001 to 2039, and not two years apart.
fn number_at(a: &[u8], b: &[u8], start: usize, end: usize) -> Option<Cause> {
    const FROM: u32 = 1_000_000_000;
    const TO: u32 = 2_200_000_000;
    const APART: u32 = 2 * 366 * 86_400;
    if end - start > 4 {
        return None;
    }
    (end.saturating_sub(4)..=start).find_map(|at| {
        let read =
            |bytes: &[u8], order: fn([u8; 4]) -> u32| bytes.get(at..at + 4)?.try_into().ok().map(order);
        [u32::from_le_bytes as fn([u8; 4]) -> u32, u32::from_be_bytes].into_iter().find_map(|order| {
            let (old, new) = (read(a, order)?, read(b, order)?);
            let is_time = |time: u32| (FROM..TO).contains(&time);
            (is_time(old) && is_time(new) && old.abs_diff(new) < APART).then_some(Cause::Timestamp)
        })
    })
}
