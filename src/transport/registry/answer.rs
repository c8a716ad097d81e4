//! What came back.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::http::HeaderMap;

use super::auth::Authorization;
use crate::http::Url;

/// How long a document may be on its way. Each piece comes in time, so that a server which gives a byte at a time would
/// be listened to for days.
const LONGEST: Duration = Duration::from_secs(180);

/// What came back. The body has not been read, and nothing bounds it but the caller.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Where it came from in the end. Its query may be a secret.
    pub(super) url: Url,
    pub(super) body: Box<dyn Read + Send>,
    /// What was shown for it, which servers have been known to repeat.
    pub(super) shown: Option<Authorization>,
}

impl Answer {
    /// The value of a header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What `Location` says, as an absolute URL that [`super::call::To::Location`] takes. `None` if there is none,
    /// or none that can be understood.
    pub(super) fn location(&self) -> Option<Url> {
        self.url.join(self.header("location")?)
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body, if it has no more than `limit` bytes.
    pub(super) fn read(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.read_within(LONGEST, limit)
    }

    fn read_within(&mut self, time: Duration, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let until = Instant::now() + time;
        Timely { inner: &mut self.body, until }.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }
}

/// Gives up when it is late.
struct Timely<R> {
    inner: R,
    until: Instant,
}

impl<R: Read> Read for Timely<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not come to an end"));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, for ever.
    struct Drip;

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            buffer[..1].fill(b'x');
            Ok(1)
        }
    }

    #[test]
    fn a_body_that_drips_is_given_up() {
        let url = Url::parse("http://127.0.0.1/").unwrap();
        let mut answer =
            Answer { status: 200, headers: HeaderMap::new(), url, body: Box::new(Drip), shown: None };
        let error = answer.read_within(Duration::from_millis(20), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(answer.read(2).unwrap(), None);
    }
}
