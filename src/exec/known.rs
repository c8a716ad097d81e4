//! What a step is known by, in parts that people know: for saying afterwards why it was run again.
//!
//! It is told of each step beside [`super::Event::Finished`], and is no part of any key: a part that is missing here makes an
//! explanation worse, and no build wrong. Nothing here is computed that the step did not need; what would cost
//! something ([`Files::changes`]) waits for being asked.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::copy::Placed;
use super::report::{How, StepName};
use crate::layer::Layer;
use crate::plan::TreeRef;
use crate::tree::{Changes, Tree};

/// A step that is done, and what it is known by.
#[derive(Debug)]
pub struct Known<'a> {
    /// Number 0 is what a stage stands on, where that is a context of files.
    pub step: StepName<'a>,
    /// From 1.
    pub line: usize,
    /// The instruction with what variables stand for; of a program, which sees them itself, as it is.
    pub expanded: &'a str,
    pub how: How,
    /// Equal keys, equal steps. None where nothing is remembered of such a step.
    pub key: Option<&'a str>,
    /// What it made.
    pub layer: Option<&'a Layer>,
    pub parts: &'a [(Part, String)],
    pub files: &'a [Files<'a>],
}

/// Files that a step read from a tree.
pub struct Files<'a> {
    /// Equal keys, equal files. None where nobody has read them.
    pub key: Option<&'a str>,
    pub from: &'a TreeRef,
    /// That tree in words.
    pub what: String,
    pub tree: &'a Tree,
    /// What of it went where.
    pub placed: Cow<'a, [Placed]>,
    /// Where they went, with their attributes there.
    pub changes: Placing<'a>,
}

/// The nodes that files became.
pub enum Placing<'a> {
    Known(&'a Changes),
    /// They are put together when somebody asks.
    Late(&'a dyn Fn() -> Changes),
}

impl fmt::Debug for Placing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Placing")
    }
}

impl Placing<'_> {
    pub fn get(&self) -> Cow<'_, Changes> {
        match self {
            Self::Known(changes) => Cow::Borrowed(changes),
            Self::Late(changes) => Cow::Owned(changes()),
        }
    }
}

impl fmt::Debug for Files<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("key", &self.key).field("from", &self.from).finish_non_exhaustive()
    }
}

/// One of the things that a step is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    Command,
    /// The heredoc that is the program.
    Script,
    Variable(String),
    User,
    Workdir,
    Network,
    Security,
    /// By its target: what it is, but for its files.
    Mount(String),
    /// The layers that a program is run on.
    Below,
    Epoch,
    Clock,
    Cleaners,
    /// The time and the compression of the layer.
    Layer,
    /// What a URL gave.
    Url(String),
    /// The commit of a repository.
    Git(String),
    /// Whatever else the operation was told.
    Operation,
    /// What a locked network answered to a request, by its name in the lock: what is most telling of it, and a hash of
    /// all of it.
    Answer(String),
}
