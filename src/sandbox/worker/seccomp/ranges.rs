//! A filter by the calls' numbers alone, as ranges of them.
//!
//! The kernel checks and translates a filter anew for each step, and what is compiled call by call is ten times as long.

use std::collections::BTreeSet;

use seccompiler::{BpfProgram, SeccompAction, sock_filter};

const LOAD_NUMBER: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
const JUMP_IF_ABOVE: u16 = 0x25;
const JUMP_IF_NOT_BELOW: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Adds to a program, which has looked at the architecture, what gives one answer to these calls and another to all
/// others.
pub(super) fn append(
    program: &mut BpfProgram,
    calls: &BTreeSet<u32>,
    matching: SeccompAction,
    otherwise: SeccompAction,
) {
    let (matching, otherwise) = (answer(matching), answer(otherwise));
    program.push(LOAD_NUMBER);
    for (first, last) in ranges(calls) {
        // What is below this range is above the one before.
        program.extend([over_next(JUMP_IF_NOT_BELOW, first), otherwise.clone()]);
        program.extend([over_next(JUMP_IF_ABOVE, last), matching.clone()]);
    }
    program.push(otherwise);
}

fn answer(action: SeccompAction) -> sock_filter {
    sock_filter { code: RETURN, jt: 0, jf: 0, k: action.into() }
}

fn over_next(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 1, jf: 0, k }
}

/// The first and the last number of each range, in order.
fn ranges(calls: &BTreeSet<u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &call in calls {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(call) => *last = call,
            _ => ranges.push((call, call)),
        }
    }
    ranges
}

/// What the kernel makes of a program of the few instructions that filters have, for a call of that architecture.
#[cfg(test)]
pub(super) fn run(program: &[sock_filter], architecture: u32, number: u32) -> u32 {
    let (mut at, mut loaded) = (0, None);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        let value = || loaded.expect("something is loaded before it is compared");
        at += 1 + match code {
            0x20 => {
                loaded = Some(match k {
                    0 => number,
                    4 => architecture,
                    other => panic!("looks at {other}"),
                });
                0
            }
            0x05 => usize::try_from(k).unwrap(),
            0x15 => jump(value() == k),
            JUMP_IF_ABOVE => jump(value() > k),
            JUMP_IF_NOT_BELOW => jump(value() >= k),
            RETURN => return k,
            other => panic!("{other:#x} is none of the instructions"),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers(calls: &BTreeSet<u32>, number: u32) -> bool {
        let mut program = Vec::new();
        append(&mut program, calls, SeccompAction::Allow, SeccompAction::KillProcess);
        run(&program, 0, number) == u32::from(SeccompAction::Allow)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn these_calls_and_no_others(calls in prop::collection::btree_set(0..40u32, 0..30)) {
            for number in (0..50).chain([u32::MAX, 0x4000_0000]) {
                prop_assert_eq!(answers(&calls, number), calls.contains(&number), "{}", number);
            }
        }
    }

    #[test]
    fn the_bounds_of_all_numbers() {
        let calls = BTreeSet::from([0, 1, u32::MAX - 1, u32::MAX]);
        for number in [0, 1, 2, 1 << 31, u32::MAX - 2, u32::MAX - 1, u32::MAX] {
            assert_eq!(answers(&calls, number), calls.contains(&number), "{number}");
        }
    }
}
