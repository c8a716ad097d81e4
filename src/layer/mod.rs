//! Layers: [`crate::tree::Changes`] → canonical tar → blob, and back.

use crate::oci::{Descriptor, DiffId};

/// A layer whose blob is in the store: only writers that finished, and readers that verified, make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub descriptor: Descriptor,
    pub diff_id: DiffId,
}
