//! What is done with each fault, and what it must come to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::scene::{Outcome, REPOSITORY, Scene, told, within};
use crate::support::registry::{Fault, Options};

/// What a fault must come to.
#[derive(Debug, Clone)]
pub(crate) enum End {
    /// The copy is right.
    Right,
    /// An error that says all of this, beside host and repository.
    Wrong(&'static [&'static str]),
    /// One of both, as both are right.
    Either,
}

/// A fault or several, and their end.
pub(crate) struct Case {
    pub(crate) faults: Vec<Fault>,
    pub(crate) end: End,
    pub(crate) options: Options,
}

pub(crate) fn case(fault: Fault, end: End) -> Case {
    Case { faults: vec![fault], end, options: Options::default() }
}

/// Runs all cases, a few at a time, and tells all that fail.
#[track_caller]
pub(crate) fn run_all(
    cases: Vec<Case>,
    layers: &'static [usize],
    run: fn(&Scene) -> Outcome,
    check: fn(&Scene, bool),
) {
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let cases: Vec<Mutex<Option<Case>>> = cases.into_iter().map(|case| Mutex::new(Some(case))).collect();
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = case.lock().unwrap().take().unwrap();
                    let what = format!("{:?} => {:?}", case.faults, case.end);
                    let work = || within(30, "a fault", move || one(case, layers, run, check));
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                        failures.lock().unwrap().push(format!("{what}\n    {}", message(&*panic)));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn one(case: Case, layers: &[usize], run: fn(&Scene) -> Outcome, check: fn(&Scene, bool)) {
    let scene = Scene::new(case.options, layers);
    for fault in case.faults {
        scene.registry.fault(fault);
    }
    let outcome = run(&scene);
    let lines = || scene.registry.requests().lines();
    assert!(scene.registry.faults_happened() > 0, "the fault did not happen\n{}", lines());
    match (&outcome, &case.end) {
        (Ok(digest), End::Right | End::Either) => assert_eq!(*digest, scene.artifact.digest()),
        (Ok(_), End::Wrong(_)) => panic!("no error\n{}", lines()),
        (Err(error), End::Right) => panic!("{}\n{}", told(error), lines()),
        (Err(error), End::Wrong(parts)) => says(&told(error), &scene.registry.host(), parts),
        (Err(error), End::Either) => says(&told(error), &scene.registry.host(), &[]),
    }
    check(&scene, outcome.is_ok());
}

/// The error says where, and nothing raw.
#[track_caller]
fn says(error: &str, host: &str, parts: &[&str]) {
    for part in [host, REPOSITORY].iter().chain(parts) {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.contains(char::is_control), "a control character is in: {error:?}");
    assert!(error.len() < 2000, "{} bytes of error: {error}", error.len());
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").replace('\n', "\n    ")
}
