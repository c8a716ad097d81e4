//! A step's output without the secrets that it was given.
//!
//! It is what people see and what the log keeps. A secret that the program writes in another form (encoded, in
//! pieces) is not known; and what it writes into its layer is its own matter.

use crate::sandbox::{Hidden, Stream};

/// What stands in their place.
const MASK: &[u8] = b"***";

/// Shorter ones would be found everywhere.
const MIN: usize = 4;

/// Takes secrets out of two streams.
#[derive(Debug, Default)]
pub(super) struct Masked {
    secrets: Vec<Hidden>,
    /// What may be the beginning of a secret, for each stream.
    held: [Vec<u8>; 2],
}

impl Masked {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a Hidden>) -> Self {
        let trimmed = secrets.map(|secret| Hidden(secret.0.trim_ascii().to_vec()));
        let mut secrets: Vec<Hidden> = trimmed.filter(|secret| secret.0.len() >= MIN).collect();
        // One that another begins with must not win.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        Self { secrets, held: Default::default() }
    }

    /// What of the stream may be shown, now that this came.
    pub(super) fn feed(&mut self, stream: Stream, bytes: &[u8]) -> Vec<u8> {
        let held = &mut self.held[stream as usize];
        let mut input = std::mem::take(held);
        input.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(input.len());
        let mut at = 0;
        while at < input.len() {
            let rest = &input[at..];
            let begun = |secret: &&Hidden| secret.0.starts_with(&rest[..rest.len().min(secret.0.len())]);
            match self.secrets.iter().find(begun) {
                Some(secret) if rest.len() >= secret.0.len() => {
                    out.extend_from_slice(MASK);
                    at += secret.0.len();
                }
                Some(_) => {
                    *held = rest.to_vec();
                    return out;
                }
                None => {
                    out.push(rest[0]);
                    at += 1;
                }
            }
        }
        out
    }

    /// What was held back at the end of a stream. If it begins a secret, it isn't one.
    pub(super) fn finish(&mut self, stream: Stream) -> Vec<u8> {
        std::mem::take(&mut self.held[stream as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], pieces: &[&str]) -> String {
        let secrets: Vec<Hidden> = secrets.iter().map(|text| Hidden(text.as_bytes().to_vec())).collect();
        let mut masked = Masked::new(secrets.iter());
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(masked.feed(Stream::Stdout, piece.as_bytes()));
            assert!(
                masked.feed(Stream::Stderr, b"hun").is_empty()
                    || !secrets.iter().any(|s| s.0.starts_with(b"hun"))
            );
            masked.finish(Stream::Stderr);
        }
        out.extend(masked.finish(Stream::Stdout));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_do_not_come_through() {
        assert_eq!(masked(&["hunter2\n"], &["a hunter2 b"]), "a *** b");
        assert_eq!(masked(&["hunter2"], &["a hun", "te", "r2hunter2", " b hunt"]), "a ****** b hunt");
        assert_eq!(masked(&["hunter2", "hunter"], &["hunter2 hunter3"]), "*** ***3");
        assert_eq!(masked(&["abc", ""], &["abc"]), "abc");
        assert_eq!(masked(&["aaab"], &["aaaab"]), "a***");
        assert_eq!(masked(&[], &["plain"]), "plain");
    }
}
