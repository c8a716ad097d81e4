//! `RUN --mount`: first as typed, then, its values expanded, as meant.
//!
//! A value may hold variables, the type's as well, so a mount is understood only when its step is lowered; the
//! parser splits it and checks what can be known before.

use crate::buildfile::syntax::Word;

/// `--mount=key=value,…` as typed. [`MountFlag::resolve`] makes a [`Mount`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// The whole value.
    pub word: Word,
    pub fields: Vec<Field>,
}

/// `key=value`, or `key` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub key: Word,
    /// Expanded.
    pub value: Option<Word>,
}

/// A mount with all values known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub kind: MountKind,
    /// A stage, an image or a named context; empty: the build context, for a cache an empty folder.
    pub from: String,
    pub source: String,
    /// May be empty: for a secret and ssh that means the default place.
    pub target: String,
    pub read_only: bool,
    /// Bytes; tmpfs only.
    pub size: Option<i64>,
    /// `id`; empty if not given.
    pub id: String,
    /// Caches only.
    pub sharing: Option<Sharing>,
    /// Secrets and ssh only.
    pub required: bool,
    /// The environment variable for a secret; empty: named like the secret.
    pub env: Option<String>,
    /// `mode`, `uid`, `gid`: caches, secrets and ssh only.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// `type=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum MountKind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// `sharing=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    #[default]
    Shared,
    Private,
    Locked,
}
