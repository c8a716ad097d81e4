//! What a build tells of itself while it runs. How that looks is the command line's business.

use std::fmt;
use std::time::Duration;

use super::Known;
use crate::diff::FileDiff;
use crate::oci::Descriptor;
use crate::sandbox::Stream;
use crate::transport::{Arrival, Watch};

/// Takes events, from several threads at once.
pub trait Report: Sync {
    fn report(&self, event: Event<'_>);
}

/// A step, as people find it in their Buildfile.
#[derive(Debug, Clone, Copy)]
pub struct StepName<'a> {
    /// The stage's name, or its number.
    pub stage: &'a str,
    /// From 1.
    pub number: usize,
    pub of: usize,
    pub text: &'a str,
}

impl fmt::Display for StepName<'_> {
    /// How people find it: `build 2/5`, and of a stage without a name `stage-0 2/5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No stage is called by a number.
        let prefix = if self.stage.bytes().all(|byte| byte.is_ascii_digit()) { "stage-" } else { "" };
        write!(f, "{prefix}{} {}/{}", crate::text::shown(self.stage), self.number, self.of)
    }
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work on inputs: resolving, fetching, walking.
    Input {
        text: &'a str,
    },
    Started {
        step: StepName<'a>,
    },
    Finished {
        step: StepName<'a>,
        how: How,
        took: Duration,
    },
    /// What a step that is done is known by.
    Known(&'a Known<'a>),
    /// Why a step was not as in the build before, a reason each.
    Why {
        step: StepName<'a>,
        why: &'a [String],
    },
    /// What a step's program wrote: any bytes, in any pieces.
    Printed {
        step: StepName<'a>,
        stream: Stream,
        bytes: &'a [u8],
    },
    /// A step was run twice: what its two runs changed otherwise.
    Checked {
        step: StepName<'a>,
        reproducible: bool,
        files: &'a [FileDiff],
    },
    Warning {
        text: &'a str,
    },
    /// A blob moves between here and a registry.
    Blob {
        blob: &'a Descriptor,
        what: Moving,
    },
    /// An output was written.
    Output {
        text: &'a str,
    },
}

/// How a step was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It only edited the configuration.
    Config,
    /// Its layer was in the store.
    Cached,
    /// It made a layer of that many bytes.
    Built { size: u64 },
    /// It changed nothing, so that it has no layer.
    Unchanged,
    /// It changed the tree; no layer of it was asked for.
    Applied,
}

/// How far a blob has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moving {
    Began,
    /// So many bytes more.
    Moved(u64),
    Arrived(Arrival),
}

/// Reports of transfers as of all else.
#[derive(Clone, Copy)]
pub struct Reported<'a>(pub &'a dyn Report);

impl fmt::Debug for Reported<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reported")
    }
}

impl Watch for Reported<'_> {
    fn began(&self, blob: &Descriptor) {
        self.0.report(Event::Blob { blob, what: Moving::Began });
    }

    fn moved(&self, blob: &Descriptor, bytes: u64) {
        self.0.report(Event::Blob { blob, what: Moving::Moved(bytes) });
    }

    fn arrived(&self, blob: &Descriptor, how: Arrival) {
        self.0.report(Event::Blob { blob, what: Moving::Arrived(how) });
    }
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Report for Silent {
    fn report(&self, _: Event<'_>) {}
}
