//! Which of two lists belong together: what is the same, in order, and between that one by one.

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Pairs of indexes; what has no partner stands alone.
pub(super) fn align<K: Ord + Eq + std::hash::Hash>(a: &[K], b: &[K]) -> Vec<(Option<usize>, Option<usize>)> {
    let mut pairs = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, a, b) {
        let (old, new) = (op.old_range(), op.new_range());
        let paired = match op {
            DiffOp::Equal { .. } | DiffOp::Replace { .. } => old.len().min(new.len()),
            DiffOp::Delete { .. } | DiffOp::Insert { .. } => 0,
        };
        pairs.extend((0..paired).map(|i| (Some(old.start + i), Some(new.start + i))));
        pairs.extend((old.start + paired..old.end).map(|i| (Some(i), None)));
        pairs.extend((new.start + paired..new.end).map(|i| (None, Some(i))));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_is_paired() {
        let (both, a, b) = (|i, j| (Some(i), Some(j)), |i| (Some(i), None), |j| (None, Some(j)));
        assert_eq!(align(&[1, 2, 3], &[1, 9, 3]), [both(0, 0), both(1, 1), both(2, 2)]);
        assert_eq!(align(&[1, 3], &[1, 2, 3]), [both(0, 0), b(1), both(1, 2)]);
        assert_eq!(align(&[1, 2, 3], &[1]), [both(0, 0), a(1), a(2)]);
        assert_eq!(align::<u8>(&[], &[]), []);
    }
}
