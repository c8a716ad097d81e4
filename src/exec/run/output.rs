//! What a step writes, on its way to the people, the log and the error.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};

use super::super::report::{Event, Report, StepName};
use super::masked::Masked;
use crate::sandbox::Stream;
use crate::text::shown_up_to;

/// So many lines of so many characters stand in an error.
const TAIL: usize = 20;
const LINE: usize = 400;

/// More than any log that somebody reads.
const MAX_LOG: u64 = 64 << 20;

/// Takes the output of one step.
pub(super) struct Output<'a> {
    report: &'a dyn Report,
    step: StepName<'a>,
    masked: Masked,
    log: File,
    written: u64,
    failed: Option<io::Error>,
    tail: Tail,
}

impl<'a> Output<'a> {
    pub(super) fn new(report: &'a dyn Report, step: StepName<'a>, masked: Masked, log: File) -> Self {
        Self { report, step, masked, log, written: 0, failed: None, tail: Tail::default() }
    }

    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let bytes = self.masked.feed(stream, bytes);
        self.pass(stream, &bytes);
    }

    /// The last lines, and whether the log could be written.
    pub(super) fn finish(mut self) -> (Vec<String>, Result<(), io::Error>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let bytes = self.masked.finish(stream);
            self.pass(stream, &bytes);
        }
        (self.tail.lines(), self.failed.map_or(Ok(()), Err))
    }

    fn pass(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.failed.is_none() && self.written < MAX_LOG {
            self.failed = self.log.write_all(bytes).err();
            self.written += bytes.len() as u64;
        }
        self.tail.take(bytes);
        self.report.report(Event::Printed { step: self.step, stream, bytes });
    }
}

/// The last lines of what was written, to both streams as it came.
#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<Vec<u8>>,
    line: Vec<u8>,
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => self.end(),
                // More than that is not shown, whatever it is.
                _ if self.line.len() >= 4 * LINE && byte != b'\r' => {}
                _ => self.line.push(byte),
            }
        }
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.lines.push_back(line);
        if self.lines.len() > TAIL {
            self.lines.pop_front();
        }
    }

    fn lines(mut self) -> Vec<String> {
        if !self.line.is_empty() {
            self.end();
        }
        let lines: Vec<String> = self.lines.iter().map(|line| line_shown(line)).collect();
        let start = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
        lines[start..].to_vec()
    }
}

/// A line as a terminal would leave it, of what can be shown: after a carriage return, what came after it.
pub fn line_shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.rsplit(|&b| b == b'\r').find(|part| !part.is_empty()).unwrap_or_default();
    shown_up_to(LINE, &String::from_utf8_lossy(&without_escapes(last)).replace('\t', "    "))
}

/// Without the sequences that colour text and move the cursor (ECMA-48): they are for a terminal of the program's own.
fn without_escapes(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (0x1b, [b'[', sequence @ ..]) => {
                let end = sequence.iter().position(|b| (0x40..=0x7e).contains(b));
                end.map_or(&[][..], |end| &sequence[end + 1..])
            }
            (0x1b, [b']', sequence @ ..]) => {
                let end = sequence.iter().position(|b| matches!(b, 0x07 | 0x1b));
                end.map_or(&[][..], |end| {
                    sequence[end + 1..].strip_prefix(b"\\").unwrap_or(&sequence[end + 1..])
                })
            }
            (0x1b, [_, after @ ..]) => after,
            _ => {
                out.push(byte);
                after
            }
        };
    }
    out
}

/// Whether it reads as if a program had missed the network.
pub(super) fn misses_network(tail: &[String]) -> bool {
    const WORDS: [&str; 12] = [
        "could not resolve",
        "couldn't resolve",
        "temporary failure in name resolution",
        "temporary failure resolving",
        "name or service not known",
        "no address associated with",
        "network is unreachable",
        "network unreachable",
        "bad address",
        "no such host",
        "dial tcp",
        "failed to establish a new connection",
    ];
    says(tail, &WORDS)
}

/// Whether it reads as if a program had missed other users.
pub(super) fn misses_ids(tail: &[String]) -> bool {
    // What the kernel answers for an id that it doesn't know, and for one that may not be taken.
    says(tail, &["invalid argument", "operation not permitted", "setgroups", "chown"])
}

fn says(tail: &[String], words: &[&str]) -> bool {
    tail.iter().any(|line| {
        let line = line.to_lowercase();
        words.iter().any(|word| line.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_a_terminal_would_leave() {
        for (line, expected) in [
            (&b"plain"[..], "plain"),
            (b"10%\r50%\r100%\r", "100%"),
            (b"50%\r100%", "100%"),
            (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;u\x1b\\y", "red xy"),
            (b"\x1b[2J\x1b[", ""),
            (b"a\tb", "a    b"),
            (b"\x07bell \xff", "\\u{7}bell \u{fffd}"),
            (b"", ""),
        ] {
            assert_eq!(line_shown(line), expected, "{line:?}");
        }
        assert_eq!(line_shown(&[b'x'; 100_000]).len(), LINE);
    }

    #[test]
    fn the_tail_is_the_end() {
        let mut tail = Tail::default();
        tail.take(b"\n\n");
        for number in 0..100 {
            tail.take(format!("line {number}\n").as_bytes());
        }
        tail.take(b"last");
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL);
        assert_eq!((lines[0].as_str(), lines[TAIL - 1].as_str()), ("line 81", "last"));
        assert!(Tail::default().lines().is_empty());
    }

    #[test]
    fn what_sounds_like_a_missing_network() {
        let misses = |line: &str| misses_network(&[line.to_owned()]);
        assert!(misses("curl: (6) Could not resolve host: example.org"));
        assert!(misses("wget: bad address 'example.org'"));
        assert!(misses("  Temporary failure resolving 'deb.debian.org'"));
        assert!(!misses("error: no such file"));
    }

    #[test]
    fn what_sounds_like_missing_users() {
        let misses = |line: &str| misses_ids(&[line.to_owned()]);
        assert!(misses("E: setgroups 65534 failed - setgroups (1: Operation not permitted)"));
        assert!(misses("install: cannot change owner and permissions of '/srv/work': Invalid argument"));
        assert!(!misses("error: no such file"));
    }
}
