//! How often something that breaks in the middle is tried again. What a single request has of tries is another
//! count (`retry`).

use std::thread;
use std::time::Duration;

use super::Retry;

/// In all: a server that gives a byte at a time must come to an end, too.
const ALL: u32 = 200;

/// Counts tries, and waits longer before each.
#[derive(Debug)]
pub(super) struct Tries {
    /// Without a byte of progress.
    most: u32,
    pause: Duration,
    barren: u32,
    all: u32,
}

impl Tries {
    pub(super) fn new(retry: &Retry) -> Self {
        Self { most: retry.tries, pause: retry.pause, barren: 0, all: 0 }
    }

    /// Something has come through.
    pub(super) fn progress(&mut self) {
        self.barren = 0;
    }

    /// Whether to try again; if so, it is time to.
    pub(super) fn again(&mut self) -> bool {
        self.barren += 1;
        self.all += 1;
        if self.barren >= self.most || self.all > ALL {
            return false;
        }
        // Doubled each time, and never the same for two who were broken off by the same event.
        let pause = self.pause.saturating_mul(1 << (self.barren - 1).min(16));
        thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
        true
    }
}
