//! `RUN --device`.

/// `--device=name[,required]`. Not expanded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    pub name: String,
    pub required: bool,
}
