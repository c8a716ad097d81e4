//! Running jobs that need each other's results, side by side where they don't.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The results so far, by job.
pub(super) type Results<Id, T> = BTreeMap<Id, Arc<T>>;

struct State<Id, T, E> {
    /// Jobs not begun, in order.
    waiting: Vec<Id>,
    done: Results<Id, T>,
    /// The first error in the jobs' order, whichever came first in time: so that a run fails the same way twice.
    failed: Option<(Id, E)>,
}

/// Runs `jobs` on up to `workers` threads, each after those that `needs` names for it. After an error, nothing
/// new is begun.
///
/// `jobs` is in an order in which each comes after those that it needs, so that the first that waits can always
/// run once all that are running have ended.
pub(super) fn run<Id, T, E>(
    jobs: Vec<Id>,
    workers: usize,
    needs: impl Fn(Id) -> Vec<Id> + Sync,
    work: impl Fn(Id, &Results<Id, T>) -> Result<T, E> + Sync,
) -> Result<Results<Id, T>, E>
where
    Id: Copy + Ord + Send,
    T: Send + Sync,
    E: Send,
{
    let workers = workers.clamp(1, jobs.len().max(1));
    let state = Mutex::new(State { waiting: jobs, done: BTreeMap::new(), failed: None });
    let changed = Condvar::new();
    let worker = || {
        while let Some((id, done)) = next(&state, &changed, &needs) {
            let result = work(id, &done);
            let mut state = lock(&state);
            match result {
                Ok(value) => drop(state.done.insert(id, Arc::new(value))),
                Err(error) if state.failed.as_ref().is_none_or(|(first, _)| id < *first) => {
                    state.failed = Some((id, error));
                }
                Err(_) => {}
            }
            changed.notify_all();
        }
    };
    thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(worker);
        }
        worker();
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failed {
        Some((_, error)) => Err(error),
        None => Ok(state.done),
    }
}

/// Takes the first job that can run, waiting for one; `None` when there is nothing more to begin.
fn next<Id: Copy + Ord, T, E>(
    state: &Mutex<State<Id, T, E>>,
    changed: &Condvar,
    needs: &impl Fn(Id) -> Vec<Id>,
) -> Option<(Id, Results<Id, T>)> {
    let mut state = lock(state);
    loop {
        if state.failed.is_some() || state.waiting.is_empty() {
            return None;
        }
        let ready = state.waiting.iter().position(|&id| needs(id).iter().all(|n| state.done.contains_key(n)));
        match ready {
            Some(index) => {
                let id = state.waiting.remove(index);
                return Some((id, state.done.clone()));
            }
            None => state = changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// A worker that panicked ends the process by the scope; its lock is no reason for another panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_sees_what_it_needs() {
        let needs = |id: usize| if id == 0 { vec![] } else { vec![id - 1, id / 2] };
        for workers in [1, 2, 7] {
            let results = run((0..50).collect(), workers, needs, |id, done: &Results<usize, usize>| {
                Ok::<_, ()>(needs(id).iter().map(|n| *done[n]).max().unwrap_or(0) + 1)
            });
            assert_eq!(*results.unwrap()[&49], 50);
        }
    }

    #[test]
    fn the_first_error_in_order_is_the_one_told() {
        for workers in [1, 4] {
            let result = run(
                (0..9).collect(),
                workers,
                |_| vec![],
                |id, _: &Results<usize, ()>| {
                    if id >= 3 { Err(id) } else { Ok(()) }
                },
            );
            assert_eq!(result.unwrap_err(), 3);
        }
    }

    #[test]
    fn no_jobs_no_results() {
        assert!(
            run(vec![], 4, |_: usize| vec![], |_, _: &Results<usize, ()>| Ok::<_, ()>(()))
                .unwrap()
                .is_empty()
        );
    }
}
