//! How often to ask again, and how long to wait before.

use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use ureq::http::HeaderMap;

/// How much patience lith has with a registry that is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How often to ask, the first time included.
    pub tries: u32,
    /// After so long no further try begins.
    pub total: Duration,
    /// About what to wait before the second try; then twice as long, and so on.
    pub pause: Duration,
    /// How long a registry may take to answer a PUT: it may copy a large blob before it does.
    pub commit: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        let (total, pause, commit) = (120, Duration::from_millis(250), 15 * 60);
        Self { tries: 6, total: Duration::from_secs(total), pause, commit: Duration::from_secs(commit) }
    }
}

/// No registry is waited for longer at a time, whatever it says.
const LONGEST: Duration = Duration::from_secs(60);

/// However often there is progress: a server that gives a byte at a time must come to an end, too.
const MOST_TRIES: u32 = 200;

/// The tries of one request, or of a transfer that goes on from where it broke.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    retry: &'a Retry,
    begun: Instant,
    made: u32,
    all: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn new(retry: &'a Retry) -> Self {
        Self { retry, begun: Instant::now(), made: 0, all: 0 }
    }

    /// Something has come through: the tries are counted anew.
    pub(super) fn progress(&mut self) {
        self.made = 0;
    }

    /// How many have failed since anything came through.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// A try has failed. How long to wait for the next, `None` to give up. `asked` is what the registry wants.
    pub(super) fn failed(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let pause = self.pause(asked)?;
        (self.begun.elapsed() + pause <= self.retry.total).then_some(pause)
    }

    /// A try of a transfer has failed. Whether to make another; if so, it is time to. Its requests are bounded in time
    /// by themselves, and one of them may have taken minutes.
    pub(super) fn again(&mut self) -> bool {
        self.pause(None).map(thread::sleep).is_some()
    }

    fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.made += 1;
        self.all += 1;
        let doubled = self.retry.pause.saturating_mul(1 << (self.made - 1).min(16));
        let jittered = doubled.mul_f64(0.5 + fastrand::f64());
        let pause = match asked {
            // Not all at once after it.
            Some(asked) => asked.min(LONGEST) + self.retry.pause.mul_f64(fastrand::f64()),
            None => jittered.min(LONGEST),
        };
        (self.made < self.retry.tries && self.all < MOST_TRIES).then_some(pause)
    }
}

/// What `Retry-After` says, in either form. A date is compared with the server's own clock, if it tells it.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let after = value("retry-after")?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let (then, now) = (date(after)?, value("date").and_then(date).unwrap_or_else(Timestamp::now));
    let seconds = then.as_second().saturating_sub(now.as_second());
    Some(Duration::from_secs(seconds.max(0).unsigned_abs()))
}

/// Whether asking again may help.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (after, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            let found = retry_after(&headers(&[("retry-after", after), ("date", date)]));
            assert_eq!(found, expected.map(Duration::from_secs), "{after}");
        }
        assert_eq!(retry_after(&headers(&[("retry-after", date)])), Some(Duration::ZERO), "long ago");
        assert_eq!(retry_after(&headers(&[])), None);
    }

    #[test]
    fn patience_has_an_end() {
        let retry = Retry { tries: 4, pause: Duration::from_millis(100), ..Retry::default() };
        let mut tries = Tries::new(&retry);
        let pauses: Vec<_> = (0..4).map(|_| tries.failed(None)).collect();
        for (n, pause) in pauses[..3].iter().enumerate() {
            let doubled = Duration::from_millis(100 << n);
            assert!(pause.is_some_and(|p| p >= doubled / 2 && p <= doubled * 3 / 2), "{pause:?}");
        }
        assert_eq!(pauses[3], None);
        let long = Tries::new(&Retry::default()).failed(Some(Duration::from_secs(3600))).unwrap();
        assert!(long >= LONGEST && long < LONGEST * 2, "{long:?}");
        let short = Retry { total: Duration::from_secs(1), ..Retry::default() };
        assert_eq!(Tries::new(&short).failed(Some(Duration::from_secs(2))), None);
        let mut going = Tries::new(&retry);
        let lasting = (0..1000).take_while(|_| {
            going.progress();
            going.failed(None).is_some()
        });
        assert_eq!(lasting.count(), MOST_TRIES as usize - 1);
        let once = Retry { tries: 1, ..Retry::default() };
        assert_eq!(Tries::new(&once).failed(None), None);
    }
}
