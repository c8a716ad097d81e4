//! Why two contents differ, as far as that can be guessed: by the words that stand where they differ, by what is known
//! of formats and paths, and by what is the same in another order. The rules are told in docs/diff.md.
//!
//! A guess is made where something speaks for it; where nothing does, none is.

mod binary;
mod words;

use std::collections::BTreeSet;

use serde::Serialize;

use super::content::Window;
use crate::tree::ImagePath;

/// What usually makes a step's result differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// A clock.
    Timestamp,
    /// The path of a folder that was built in.
    Path,
    /// The order in which a folder was read, threads came, or a hash map was walked.
    Order,
    /// A process id, or another small number that counts.
    Pid,
    /// A random id, a key, or the name of a temporary file.
    Random,
    /// The same, compressed otherwise.
    Compression,
    /// The order or the words of a language.
    Locale,
    /// The mask that new files get.
    Umask,
}

impl Cause {
    /// As it stands in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Path => "build path",
            Self::Order => "order",
            Self::Pid => "process id or counter",
            Self::Random => "random id",
            Self::Compression => "compression",
            Self::Locale => "locale",
            Self::Umask => "umask",
        }
    }
}

/// By the modes alone: one has fewer bits than the other, all of them for group and others to lose.
pub(super) fn of_modes(a: u16, b: u16) -> Option<Cause> {
    let (common, changed) = (a & b, a ^ b);
    let is_masked = changed & !0o077 == 0 && (common == a || common == b);
    is_masked.then_some(Cause::Umask)
}

/// Of two names or targets.
pub(super) fn of_words(a: &[u8], b: &[u8]) -> BTreeSet<Cause> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    words::of_names(&text(a), &text(b))
}

/// Of what two contents hold around their first difference.
pub(super) fn of_contents(path: &ImagePath, seen: &Window) -> BTreeSet<Cause> {
    if let Some(cause) = known(path, seen) {
        return [cause].into();
    }
    match seen.texts() {
        Some((a, b)) => words::of_texts(a, b),
        None => binary::of_bytes(seen),
    }
}

/// By what the file is.
fn known(path: &ImagePath, seen: &Window) -> Option<Cause> {
    let name = path.name();
    let path = path.as_bytes();
    if path.ends_with(b"etc/machine-id")
        || path.ends_with(b"var/lib/dbus/machine-id")
        || name == b"random-seed"
    {
        return Some(Cause::Random);
    }
    // The day of the last change of a password (shadow(5)).
    if path.ends_with(b"etc/shadow") || path.ends_with(b"etc/shadow-") {
        let days = |bytes| String::from_utf8_lossy(bytes).lines().map(without_day).collect::<Vec<_>>();
        return (days(&seen.a) == days(&seen.b)).then_some(Cause::Timestamp);
    }
    // Inodes and times of the libraries that ldconfig has seen.
    if name == b"aux-cache" {
        return Some(Cause::Timestamp);
    }
    let is_header = |magic: &[u8]| seen.offset == 0 && seen.a.starts_with(magic) && seen.b.starts_with(magic);
    let same_from = |at: usize| seen.a.get(at..) == seen.b.get(at..);
    if is_header(b"\x1f\x8b") && (4..8).contains(&seen.first) && same_from(8) {
        return Some(Cause::Timestamp);
    }
    // A compiled Python module has the time of its source (PEP 552), after its magic number.
    let is_pyc = name.ends_with(b".pyc") && seen.a.get(2..4) == Some(b"\r\n");
    (is_pyc && (8..12).contains(&seen.first) && same_from(12)).then_some(Cause::Timestamp)
}

fn without_day(line: &str) -> String {
    line.split(':')
        .enumerate()
        .filter(|(index, _)| *index != 2)
        .map(|(_, field)| field)
        .collect::<Vec<_>>()
        .join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(path: &str, a: &[u8], b: &[u8]) -> Vec<Cause> {
        let first = std::iter::zip(a, b).take_while(|(a, b)| a == b).count() as u64;
        let seen = Window { first, offset: 0, a: a.to_vec(), b: b.to_vec(), whole: true };
        of_contents(&ImagePath::new(path.as_bytes()).unwrap(), &seen).into_iter().collect()
    }

    #[test]
    fn texts() {
        use Cause::*;
        for (a, b, expected) in [
            ("built 2024-01-02T03:04:05Z\n", "built 2026-11-23T12:25:33Z\n", vec![Timestamp]),
            ("Mon Nov 23 12:25:33 UTC 2026\n", "Tue Dec  1 01:02:03 UTC 2026\n", vec![Timestamp]),
            ("t=1700000000\n", "t=1700000012\n", vec![Timestamp]),
            ("t=1700000000.123\n", "t=1700000012.7\n", vec![Timestamp]),
            ("123456789\n", "004321987\n", vec![Timestamp]),
            ("20261123122533\n", "20261123122540\n", vec![Timestamp]),
            ("cc -I/tmp/build-a/src\n", "cc -I/home/me/src\n", vec![Path]),
            ("12\n", "4711\n", vec![Pid]),
            ("pid 12\n", "pid 13\n", vec![Pid]),
            ("b\na\n", "a\nb\n", vec![Order]),
            ("files: b a c\n", "files: a b c\n", vec![Order]),
            ("B\nC\na\n", "a\nB\nC\n", vec![Order, Locale]),
            (
                "id 6fa459ea-ee8a-3ca4-894e-db77e160355e\n",
                "id 16fd2706-8baf-433b-82eb-8c7fada847da\n",
                vec![Random],
            ),
            ("0123456789abcdef0123\n", "fedcba98765432100123\n", vec![Random]),
            ("/tmp/tmp.Xa81kQ\n", "/tmp/tmp.b7Fh2z\n", vec![Random]),
            ("hello\n", "goodbye\n", vec![]),
            ("a\n", "a\nb\n", vec![]),
            ("version 1.2\n", "version x\n", vec![]),
        ] {
            assert_eq!(causes("f", a.as_bytes(), b.as_bytes()), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn known_files() {
        let gz = |time: &[u8]| [b"\x1f\x8b\x08\0", time, b"\0\xffrest"].concat();
        assert_eq!(causes("f", &gz(b"\x01\0\0\0"), &gz(b"\0\0\x01\0")), [Cause::Timestamp]);
        let pyc = |time: &[u8]| [b"\xa7\x0d\r\n\0\0\0\0", time, b"code"].concat();
        assert_eq!(causes("x/f.pyc", &pyc(b"\x01\0\0\0"), &pyc(b"\x07\0\0\0")), [Cause::Timestamp]);
        assert_eq!(causes("etc/machine-id", b"a", b"b"), [Cause::Random]);
        let shadow = |day: &str| format!("root:*:19000:0:::\nme:!:{day}:0:::\n");
        assert_eq!(
            causes("etc/shadow", shadow("20000").as_bytes(), shadow("20001").as_bytes()),
            [Cause::Timestamp]
        );
    }

    #[test]
    fn bytes() {
        let with = |value: &[u8]| [&b"\x7fELF\0\0\0\0"[..], value, &b"\0\0\0\0tail"[..]].concat();
        let time = |seconds: u32| with(&seconds.to_le_bytes());
        assert_eq!(causes("f", &time(1_790_000_000), &time(1_790_003_600)), [Cause::Timestamp]);
        assert_eq!(causes("f", &with(b"/tmp/a/x.c"), &with(b"/var/b/x.c")), [Cause::Path]);
        assert_eq!(causes("f", &with(b"\x01\x02"), &with(b"\x02\x01")), [Cause::Order]);
        assert_eq!(causes("f", &with(b"12:25:33"), &with(b"13:26:34")), [Cause::Timestamp]);
        assert_eq!(causes("f", &with(b"\x01"), &with(b"\x09")), []);
    }

    #[test]
    fn a_umask_takes_away_from_others_only() {
        for (a, b, is) in
            [(0o644, 0o664, true), (0o755, 0o700, true), (0o644, 0o755, false), (0o640, 0o604, false)]
        {
            assert_eq!(of_modes(a, b).is_some(), is, "{a:o} {b:o}");
        }
        assert_eq!(of_modes(0o755, 0o4755), None);
    }
}
