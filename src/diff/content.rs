//! Two contents that are not the same: where, and in what.

use std::collections::BTreeSet;

use similar::TextDiff;

use super::archive::{self, Opened};
use super::cause::{self, Cause};
use super::files::{self, Place};
use super::node::hex;
use super::report::{ArchiveDiff, Both, ContentDiff, Lines, Same};
use super::{DiffError, Engine};
use crate::text::escaped_lines;
use crate::tree::{Content, ContentError, ImagePath};

/// Contents up to that size are looked at whole.
const WHOLE: u64 = 512 << 10;
/// Of larger ones: that much, from a little before the first difference.
const WINDOW: usize = 64 << 10;
const BEFORE: u64 = 4 << 10;

/// Texts beyond these are told by their first difference: comparing lines takes the product of what differs.
const MAX_TEXT: usize = 128 << 10;
const MAX_LINES: usize = 3000;
/// A unified diff is cut after so many lines, or bytes.
const MAX_UNIFIED: usize = 200;
const MAX_UNIFIED_BYTES: usize = 32 << 10;

/// As many bytes as are told from the first difference on.
const SHOWN: usize = 16;

/// Whether both are the same bytes, by fingerprints.
pub(super) fn is_same(a: &Content, b: &Content) -> Result<bool, ContentError> {
    match a.known_same(b) {
        Some(same) => Ok(same),
        None => Ok(a.fingerprint()? == b.fingerprint()?),
    }
}

/// In what two contents differ that do, and what may have caused it.
pub(super) fn compare(
    engine: &mut Engine<'_>,
    path: &ImagePath,
    (a, b): (&Content, &Content),
    place: &Place,
) -> Result<(ContentDiff, BTreeSet<Cause>), DiffError> {
    let seen = Window::of(a, b)?;
    let mut diff = ContentDiff {
        size: (a.size() != b.size()).then(|| Both::new(a.size(), b.size())),
        first_difference: seen.first,
        ..ContentDiff::default()
    };
    if let Some((archive, causes)) = archives(engine, path, (a, b), place)? {
        let is_told = archive.unopened.is_none() && (archive.same.is_some() || !archive.files.is_empty());
        let causes = if is_told { causes } else { cause::of_contents(path, &seen) };
        diff.bytes = (!is_told).then(|| seen.bytes());
        diff.archive = Some(archive);
        return Ok((diff, causes));
    }
    let causes = cause::of_contents(path, &seen);
    diff.lines = seen.texts().and_then(|(a, b)| lines(a, b, &mut engine.text_left));
    diff.bytes = diff.lines.is_none().then(|| seen.bytes());
    Ok((diff, causes))
}

/// What both hold around their first difference.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) first: u64,
    /// Where `a` and `b` begin.
    pub(super) offset: u64,
    pub(super) a: Vec<u8>,
    pub(super) b: Vec<u8>,
    /// They are all there is.
    pub(super) whole: bool,
}

impl Window {
    fn of(a: &Content, b: &Content) -> Result<Self, ContentError> {
        if let (Some(a), Some(b)) = (a.read_bounded(WHOLE)?, b.read_bounded(WHOLE)?) {
            let first = std::iter::zip(&a, &b).take_while(|(a, b)| a == b).count() as u64;
            return Ok(Self { first, offset: 0, a, b, whole: true });
        }
        let first = first_difference(a, b)?;
        let offset = first.saturating_sub(BEFORE);
        let part = |content| part(content, offset, WINDOW);
        Ok(Self { first, offset, a: part(a)?, b: part(b)?, whole: false })
    }

    /// Where in the window the difference begins.
    pub(super) fn at(&self) -> usize {
        usize::try_from(self.first - self.offset).unwrap_or(usize::MAX)
    }

    fn bytes(&self) -> Both<String> {
        let from = |bytes: &[u8]| {
            let rest = bytes.get(self.at()..).unwrap_or_default();
            hex(&rest[..rest.len().min(SHOWN)])
        };
        Both::new(from(&self.a), from(&self.b))
    }

    /// Both as text, if that is what they are, and all of it.
    pub(super) fn texts(&self) -> Option<(&str, &str)> {
        let text = |bytes| text(bytes).filter(|_| self.whole);
        text(&self.a).zip(text(&self.b))
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    // What programs write for other programs to read has bytes that no text has.
    let is_plain =
        |&byte: &u8| byte >= 0x20 && byte != 0x7f || matches!(byte, b'\n' | b'\t' | b'\r' | 0x0c | 0x1b);
    std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| is_plain(&byte)))
}

/// Reads both side by side, as far as they are the same.
fn first_difference(a: &Content, b: &Content) -> Result<u64, ContentError> {
    let (mut old, mut new) = (a.open()?, b.open()?);
    let mut at = 0;
    let (mut left, mut right) = (vec![0; 256 << 10], vec![0; 256 << 10]);
    loop {
        let n = old.left().min(new.left()).min(left.len() as u64);
        let Ok(n @ 1..) = usize::try_from(n) else { return Ok(at) };
        old.read_exact(&mut left[..n])?;
        new.read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            let same = std::iter::zip(&left[..n], &right[..n]).take_while(|(a, b)| a == b).count();
            return Ok(at + same as u64);
        }
        at += n as u64;
    }
}

/// `len` bytes from `offset` on, or what there is of them.
pub(super) fn part(content: &Content, offset: u64, len: usize) -> Result<Vec<u8>, ContentError> {
    let mut reading = content.open()?;
    let mut buffer = vec![0; 64 << 10];
    let mut skip = offset;
    while skip > 0 && reading.left() > 0 {
        let n = skip.min(reading.left()).min(buffer.len() as u64);
        reading.read_exact(&mut buffer[..usize::try_from(n).expect("at most the buffer")])?;
        skip -= n;
    }
    let mut found = vec![0; usize::try_from(reading.left()).unwrap_or(usize::MAX).min(len)];
    reading.read_exact(&mut found)?;
    Ok(found)
}

/// The lines that differ, unless that is too much to find out or to keep.
fn lines(a: &str, b: &str, left: &mut usize) -> Option<Lines> {
    let is_small = |text: &str| text.len() <= MAX_TEXT && text.lines().count() <= MAX_LINES;
    if !is_small(a) || !is_small(b) || *left == 0 {
        return None;
    }
    let diff = TextDiff::from_lines(a, b);
    let (mut added, mut removed) = (0, 0);
    for op in diff.ops().iter().filter(|op| op.tag() != similar::DiffTag::Equal) {
        removed += op.old_range().len();
        added += op.new_range().len();
    }
    let whole = diff.unified_diff().context_radius(2).to_string();
    let limit = MAX_UNIFIED_BYTES.min(*left);
    let mut unified = String::new();
    for line in whole.split_inclusive('\n').take(MAX_UNIFIED) {
        let line = escaped_lines(line);
        if unified.len() + line.len() > limit {
            break;
        }
        unified.push_str(&line);
    }
    let truncated = unified.lines().count() < whole.lines().count();
    *left -= unified.len();
    (!unified.is_empty()).then_some(Lines { added, removed, unified, truncated })
}

/// Both as archives, if that is what they are.
fn archives(
    engine: &mut Engine<'_>,
    path: &ImagePath,
    (a, b): (&Content, &Content),
    place: &Place,
) -> Result<Option<(ArchiveDiff, BTreeSet<Cause>)>, DiffError> {
    let (Some(kind), Some(other)) = (archive::kind(a)?, archive::kind(b)?) else { return Ok(None) };
    let unopened = |format: String, why: String| {
        let archive = ArchiveDiff { format, same: None, files: Vec::new(), unopened: Some(why) };
        Ok(Some((archive, BTreeSet::new())))
    };
    if kind != other {
        return unopened(format!("{kind} and {other}"), "they are of other kinds".into());
    }
    if place.depth >= archive::MAX_DEPTH {
        return unopened(
            kind.to_string(),
            format!("archives in archives are opened {} deep", archive::MAX_DEPTH),
        );
    }
    let mut open = |content| archive::open(content, kind, path, engine.scratch, &mut engine.unpack_left);
    let (old, new) = match (open(a), open(b)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(archive::OpenError::Scratch(error)), _) | (_, Err(archive::OpenError::Scratch(error))) => {
            return Err(DiffError::Scratch(error));
        }
        (Err(why), _) | (_, Err(why)) => return unopened(kind.to_string(), crate::text::shown(&why)),
    };
    let inside = Place { prefix: format!("{}!", place.path(path)), depth: place.depth + 1 };
    let files = files::trees(engine, &old.tree, &new.tree, &inside)?;
    // What explains some of it is no cause of the whole.
    let is_explained = files.iter().all(|file| !file.causes.is_empty());
    let all = files.iter().filter(|_| is_explained).flat_map(|file| file.causes.iter().copied());
    let mut causes: BTreeSet<Cause> = all.collect();
    let same = files.is_empty().then(|| same(&old, &new));
    if let Some(same) = same {
        causes.extend(match same {
            Same::Compression => Some(Cause::Compression),
            Same::Order => Some(Cause::Order),
            Same::Headers => None,
        });
        if same == Same::Compression && old.stamp != new.stamp {
            causes = [Cause::Timestamp].into();
        }
    }
    Ok(Some((ArchiveDiff { format: old.format, same, files, unopened: None }, causes)))
}

fn same(a: &Opened, b: &Opened) -> Same {
    if a.order != b.order {
        Same::Order
    } else if a.unpacked == b.unpacked {
        Same::Compression
    } else {
        Same::Headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[u8]) -> Content {
        Content::from_bytes(bytes)
    }

    #[test]
    fn the_first_difference_is_found_in_large_contents_as_in_small_ones() {
        let mut large = vec![7; 3 << 20];
        for at in [0, 1000, 300_000, (3 << 20) - 1] {
            let a = large.clone();
            large[at] = 8;
            let window = Window::of(&content(&a), &content(&large)).unwrap();
            assert_eq!(window.first, at as u64);
            assert_eq!((window.a[window.at()], window.b[window.at()]), (7, 8));
            large[at] = 7;
        }
        let shorter = Window::of(&content(&large), &content(&large[..1 << 20])).unwrap();
        assert_eq!(shorter.first, 1 << 20);
        assert_eq!(shorter.bytes().b, "");
        let small = Window::of(&content(b"abc"), &content(b"abd")).unwrap();
        assert_eq!((small.first, small.bytes()), (2, Both::new("63".into(), "64".into())));
    }

    #[test]
    fn what_is_no_text_has_no_lines() {
        let is_text = |bytes| text(bytes).is_some();
        assert!(is_text(b"a\tb\r\n\xc3\xa9") && is_text(b""));
        assert!(!is_text(b"a\0") && !is_text(b"\xff") && !is_text(b"\x7fELF"));
    }

    #[test]
    fn lines_are_escaped_cut_and_paid_for() {
        let mut left = 1000;
        let found = lines("a\nb\nc\n", "a\n\u{1b}[2J\u{202e}\nc\n", &mut left).unwrap();
        assert_eq!((found.added, found.removed, found.truncated), (1, 1, false));
        assert!(found.unified.contains("+\\u{1b}[2J\\u{202e}\n") && !found.unified.contains('\u{1b}'));
        assert_eq!(left, 1000 - found.unified.len());
        let many: String = (0..2000).map(|n| format!("{n}\n")).collect();
        let cut = lines(&many, "", &mut 10_000_000).unwrap();
        assert!(cut.truncated && cut.removed == 2000 && cut.unified.lines().count() == MAX_UNIFIED);
        assert!(lines("a\n", "b\n", &mut 0).is_none());
        assert!(lines(&"x\n".repeat(MAX_LINES + 1), "", &mut 1000).is_none());
    }
}
