//! Waiting for a time of day, where the clock stands still.
//!
//! A program that wants to wait for a second asks for the time, adds one, and waits for that: the kernel, whose clock is
//! far beyond, would not let it wait at all. So the call waits by the monotonic clock instead, as long as it is from the
//! time that the program was told to the one that it waits for. The program finds its registers as they were.

use std::collections::BTreeMap;
use std::io;

use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use super::sys::{self, Registers};

/// Below the stack, and what functions may use there without saying so, is nothing that a thread still needs.
const BELOW_STACK: u64 = 256;

/// Threads that wait, with the arguments that they made their call with.
#[derive(Default)]
pub(super) struct Waiting(BTreeMap<i32, [u64; 4]>);

impl Waiting {
    /// Lets a thread go on that is about to wait until a time of day.
    pub(super) fn begin(&mut self, thread: Pid, mut registers: Registers, now: u64) -> io::Result<()> {
        let before = registers.arguments();
        let Some(changed) = monotonic(thread, &registers, now)? else { return sys::go_on(thread, 0) };
        registers.set_arguments(changed);
        registers.set(thread)?;
        self.0.insert(thread.as_raw_pid(), before);
        sys::go_on_until_return(thread)
    }

    /// Lets a thread go on that has waited.
    pub(super) fn end(&mut self, thread: Pid) -> io::Result<()> {
        if let Some(before) = self.0.remove(&thread.as_raw_pid()) {
            let mut registers = Registers::of(thread)?;
            registers.restore_arguments(before);
            registers.set(thread)?;
        }
        sys::go_on(thread, 0)
    }
}

/// The arguments for waiting as long by the monotonic clock; nothing, if the call can stay as it is.
fn monotonic(thread: Pid, registers: &Registers, now: u64) -> io::Result<Option<[u64; 4]>> {
    let mut arguments = registers.arguments();
    let is_futex = registers.call() == libc::SYS_futex;
    // The one command where the time is how long to wait.
    if is_futex && arguments[1] & 0x7f == 0 {
        return Ok(None);
    }
    let deadline = if is_futex { &mut arguments[3] } else { &mut arguments[2] };
    let Some(until) = read(thread, *deadline)?.and_then(|until| later(until, now)) else { return Ok(None) };
    let bytes = until.map(i64::to_ne_bytes).concat();
    let place = registers.stack().saturating_sub(BELOW_STACK) & !15;
    match sys::write_memory(thread, place, &bytes) {
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => return Ok(None),
        written => written?,
    }
    *deadline = place;
    if is_futex {
        arguments[1] &= !u64::from(libc::FUTEX_CLOCK_REALTIME.cast_unsigned());
    } else {
        arguments[0] = u64::from(libc::CLOCK_MONOTONIC.cast_unsigned());
    }
    Ok(Some(arguments))
}

/// A `timespec` of a thread's.
fn read(thread: Pid, from: u64) -> io::Result<Option<[i64; 2]>> {
    let mut bytes = [0; 16];
    match sys::read_memory(thread, from, &mut bytes) {
        Ok(16) => {
            let (words, _) = bytes.as_chunks();
            Ok(Some([i64::from_ne_bytes(words[0]), i64::from_ne_bytes(words[1])]))
        }
        Err(error) if error.raw_os_error() != Some(libc::EFAULT) => Err(error),
        _ => Ok(None),
    }
}

/// The time of the monotonic clock when `now` will be `until`. Nothing if that is no time, or is over.
fn later(until: [i64; 2], now: u64) -> Option<[i64; 2]> {
    const SECOND: i64 = 1_000_000_000;
    let seconds = until[0].checked_sub_unsigned(now).filter(|seconds| *seconds >= 0)?;
    if !(0..SECOND).contains(&until[1]) {
        return None;
    }
    let monotonic = clock_gettime(ClockId::Monotonic);
    let nanoseconds = monotonic.tv_nsec + until[1];
    let seconds = monotonic.tv_sec.checked_add(seconds)?.checked_add(nanoseconds / SECOND)?;
    Some([seconds, nanoseconds % SECOND])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_to_come_are_waited_for() {
        for over in [[99, 0], [100, -1], [100, 1_000_000_000], [-1, 0], [i64::MIN, 0], [i64::MAX, 0]] {
            assert_eq!(later(over, 100), None, "{over:?}");
        }
        let before = clock_gettime(ClockId::Monotonic);
        let until = later([107, 999_999_999], 100).unwrap();
        let whole =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        let left = whole(until[0], until[1]) - whole(before.tv_sec, before.tv_nsec);
        assert!((7_999_999_999..17_999_999_999).contains(&left) && until[1] < 1_000_000_000, "{left}");
    }
}
