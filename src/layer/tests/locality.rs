//! One changed file changes the chunks around it alone.

use proptest::prelude::*;

use super::super::entries::entries;
use super::super::produce::{Chunks, produce};
use super::*;

#[derive(Default)]
struct Collected {
    buffer: Vec<u8>,
    chunks: Vec<Digest>,
    sizes: Vec<usize>,
}

impl Chunks for Collected {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    fn cut(&mut self) -> Result<(), LayerError> {
        self.chunks.push(Digest::of(&self.buffer));
        self.sizes.push(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }
}

fn chunks(changes: &Changes) -> Collected {
    let mut collected = Collected::default();
    drop(produce(&entries(changes).unwrap(), tar::Times::All(Epoch::ZERO), &mut collected).unwrap());
    collected
}

/// How many chunks of `a` are not among those that it begins or ends with in common with `b`.
fn moved(a: &[Digest], b: &[Digest]) -> usize {
    let same = |n: usize, pairs: &mut dyn Iterator<Item = (&Digest, &Digest)>| {
        pairs.take(n).take_while(|(x, y)| x == y).count()
    };
    let n = a.len().min(b.len());
    let front = same(n, &mut a.iter().zip(b));
    let back = same(n - front, &mut a.iter().rev().zip(b.iter().rev()));
    a.len() - front - back
}

/// Files of all sizes: many small, some of a chunk or more.
fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        30 => 0..20_000_usize,
        5 => 20_000..400_000_usize,
        1 => 400_000..3_500_000_usize,
    ];
    prop::collection::vec(size, 100..150)
}

fn build(sizes: &[usize]) -> Changes {
    changes(
        sizes.iter().enumerate().map(|(i, &size)| (format!("{i:03}"), file(vec![i.to_le_bytes()[0]; size]))),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn an_edit_is_local(sizes in sizes(), at in 0..100_usize, new in 0..3_500_000_usize) {
        let before = chunks(&build(&sizes));
        let added = {
            let mut changes = build(&sizes);
            changes.puts.insert(path(format!("{at:03}-")), file(vec![7; new]));
            changes
        };
        let changed = {
            let mut changes = build(&sizes);
            changes.puts.insert(path(format!("{at:03}")), file(vec![7; new]));
            changes
        };
        let removed = {
            let mut changes = build(&sizes);
            changes.puts.remove(&path(format!("{at:03}")));
            changes
        };
        for (what, edited) in [("added", added), ("changed", changed), ("removed", removed)] {
            let after = chunks(&edited);
            // The chunk that holds the entry, and the one before or after it where a cut between the two goes or
            // comes; of a large file, all of its own. A chunk that reaches its maximum may shift the few up to
            // the next cut, which the sizes here make rare but possible.
            let own = 4 * usize::from(sizes[at].max(new) >= 1 << 20);
            let filled = before.sizes.iter().chain(&after.sizes).filter(|&&size| size > 3 << 20).count();
            let allowed = 3 + own + 3 * filled;
            let moved = moved(&before.chunks, &after.chunks);
            prop_assert!(moved <= allowed, "{what}: {moved} of {} chunks moved", before.chunks.len());
        }
    }
}

#[test]
fn one_file_of_thousands() {
    let build = |skip: usize, content: &str| {
        let file = |i: usize| {
            (
                format!("src/{i:05}.c"),
                file(if i == 5000 { content.repeat(1000) } else { i.to_string().repeat(500) }),
            )
        };
        changes((0..10_000).filter(|&i| i != skip).map(file))
    };
    let before = chunks(&build(usize::MAX, "a"));
    assert!(before.chunks.len() > 15, "{} chunks", before.chunks.len());
    for edited in [build(usize::MAX, "b"), build(usize::MAX, "longer"), build(5000, "a")] {
        let after = chunks(&edited);
        let moved = moved(&before.chunks, &after.chunks);
        assert!((1..=2).contains(&moved), "{moved} of {} chunks moved", before.chunks.len());
    }
}

#[test]
fn no_chunk_is_larger_than_the_maximum() {
    let small = (0..3000).map(|i| (format!("x{i}"), file(vec![1; 9000])));
    let large = [("y".into(), file(vec![2; 9 << 20])), ("z".into(), file(vec![3; (1 << 20) - 1]))];
    let chunks = chunks(&changes(small.chain(large)));
    assert!(chunks.sizes.iter().all(|&size| size <= 4 << 20), "{:?}", chunks.sizes);
}
