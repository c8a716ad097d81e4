//! Whether a body comes fast enough to be waited for. Each piece comes in time, so that a server which gives a byte at
//! a time would be listened to for ever.

use std::io;
use std::time::Duration;

/// So long a body is waited for before it is judged.
const WINDOW: Duration = Duration::from_secs(120);
/// What has to have come meanwhile: far below what any network gives.
const LEAST: u64 = 32 << 10;

/// What has come of a body, and how long it was waited for: what is done between is not the server's time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    came: u64,
}

impl Pace {
    /// So many bytes took so long.
    pub(super) fn took(&mut self, bytes: usize, time: Duration) -> io::Result<()> {
        self.waited += time;
        self.came += bytes as u64;
        if self.waited < WINDOW {
            return Ok(());
        }
        if self.came < LEAST {
            let why = format!("{} bytes in {} seconds are too few", self.came, self.waited.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drip_is_too_slow() {
        let mut pace = Pace::default();
        let each = Duration::from_secs(50);
        pace.took(1, each).unwrap();
        pace.took(1, each).unwrap();
        let error = pace.took(1, each).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "3 bytes in 150 seconds are too few");
    }

    #[test]
    fn a_slow_network_is_not() {
        let mut pace = Pace::default();
        for _ in 0..1000 {
            pace.took(1000, Duration::from_secs(2)).unwrap();
        }
        // What came long ago counts no more.
        assert!((0..100).any(|_| pace.took(1, Duration::from_secs(2)).is_err()));
    }
}
