//! One kind of work on many things, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` on each item, in order, on up to `threads` threads. After an error no more is begun, and what has
/// begun is finished: so the error that is told is that of the first item that has one, whichever came first in time.
pub(crate) fn each<T: Sync, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let run = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(first, _)| index < *first) {
                    *failed = Some((index, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
}

/// As many threads as there are cores to run them.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_has_its_turn() {
        for threads in [0, 1, 4, 200] {
            let done = AtomicUsize::new(0);
            each(&[1; 100], threads, |n| {
                done.fetch_add(*n, Ordering::Relaxed);
                Ok::<_, ()>(())
            })
            .unwrap();
            assert_eq!(done.load(Ordering::Relaxed), 100);
        }
        assert_eq!(each(&[], 4, |(): &()| Err(())), Ok(()));
    }

    #[test]
    fn the_first_error_in_order_is_the_one_told() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [1, 8] {
            let begun = AtomicUsize::new(0);
            let result = each(&items, threads, |n| {
                begun.fetch_add(1, Ordering::Relaxed);
                // The first to fail is the last to say so.
                thread::sleep(std::time::Duration::from_millis(if *n == 3 { 50 } else { 1 }));
                if *n >= 3 { Err(*n) } else { Ok(()) }
            });
            assert_eq!(result, Err(3));
            assert!(begun.load(Ordering::Relaxed) < 50);
        }
    }
}
