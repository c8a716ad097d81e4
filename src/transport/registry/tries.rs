//! How often something that breaks is tried again.

use std::thread;
use std::time::Duration;

/// Without a byte of progress.
const BARREN: u32 = 5;
/// In all: a server that gives a byte at a time must come to an end, too.
const ALL: u32 = 200;
const FIRST_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 100 });

/// Counts tries, and waits longer before each.
#[derive(Debug, Default)]
pub(super) struct Tries {
    barren: u32,
    all: u32,
}

impl Tries {
    /// Something has come through.
    pub(super) fn progress(&mut self) {
        self.barren = 0;
    }

    /// Whether to try again; if so, it is time to.
    pub(super) fn again(&mut self) -> bool {
        self.barren += 1;
        self.all += 1;
        if self.barren > BARREN || self.all > ALL {
            return false;
        }
        // Doubled each time, and never the same for two who were broken off by the same event.
        let pause = FIRST_PAUSE * (1 << (self.barren - 1));
        thread::sleep(pause.mul_f64(0.5 + fastrand::f64()));
        true
    }
}
