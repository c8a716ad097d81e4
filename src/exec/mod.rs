//! Plan → layers: one function for each operation, and the step cache.
//!
//! The executor has never heard of an instruction. COPY and ADD are functions from trees to changes ([`copy`]);
//! changes become layers in one pass. Nothing here asks the network: [`Inputs`] has what the plan names.

mod cache;
pub mod copy;
mod known;
mod mkdir;
mod owner;
mod report;
mod resolve_path;
mod root;
pub mod run;
mod schedule;
mod stage;
mod unpack;
mod whole;

pub use known::{Files, Known, Part, Placing};
pub use mkdir::MkdirError;
pub use owner::{OwnerError, Unknown};
pub use report::{Event, How, Moving, Report, Reported, Silent, StepName};
pub use resolve_path::ResolveError;
pub use stage::Finished;
pub(crate) use stage::stages_read;

use std::ops::Range;
use std::sync::Arc;

use crate::image::Image;
use crate::layer::read::ReadError;
use crate::layer::{self, LayerError, ListingError};
use crate::oci::Pinned;
use crate::plan::{ContextName, Git, Plan, Step, Url};
use crate::store::{Store, StoreError};
use crate::tree::{ContentError, ImagePath, Tree};

/// What the fetch hop brought: everything outside that a plan names.
pub trait Inputs: Sync {
    /// The files of a build context, without what its ignore file takes away.
    fn context(&self, name: &ContextName) -> Result<Arc<Tree>, InputError>;

    /// What of a context's ignore file takes that path away: the pattern, and where it stands.
    fn ignored(&self, name: &ContextName, path: &ImagePath) -> Option<String>;

    /// A context's ignore file: what it is called, and a hash of what it says.
    fn ignore_file(&self, _: &ContextName) -> Option<(String, String)> {
        None
    }

    /// An image whose blobs are in the store.
    fn image(&self, pinned: &Pinned) -> Result<Arc<Image>, InputError>;

    /// A tree of the one file that the URL gives.
    fn url(&self, url: &Url) -> Result<Arc<Tree>, InputError>;

    /// The tree of the commit's files.
    fn git(&self, git: &Git) -> Result<Arc<Tree>, InputError>;
}

/// Why an input can't be had.
pub type InputError = Box<dyn std::error::Error + Send + Sync>;

/// How a plan is executed.
#[derive(Debug, Clone)]
pub struct Options {
    pub layer: layer::Options,
    /// Whether layers may come from the step cache.
    pub cache: bool,
    /// Whether the target's whole tree is wanted.
    pub tree: bool,
    /// What the Buildfile is called, for warnings.
    pub file: String,
    /// What steps that run programs get.
    pub run: run::RunOptions,
}

/// Why a plan could not be executed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// Where it happened: the line and the bytes in the Buildfile.
    #[error("line {line}")]
    Step { line: usize, place: Range<usize>, source: Box<Self> },
    #[error(transparent)]
    Diff(#[from] crate::diff::DiffError),
    #[error(transparent)]
    Run(Box<run::RunError>),
    #[error(transparent)]
    Copy(#[from] copy::CopyError),
    #[error(transparent)]
    Mkdir(#[from] MkdirError),
    #[error(transparent)]
    Archive(#[from] ReadError),
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Input(#[from] InputError),
}

impl From<run::RunError> for ExecError {
    fn from(error: run::RunError) -> Self {
        match error {
            run::RunError::Store(error) => Self::Store(error),
            run::RunError::Layer(error) => Self::Layer(error),
            run::RunError::Content(error) => Self::Content(error),
            error => Self::Run(Box::new(error)),
        }
    }
}

impl ExecError {
    fn of_step(self, step: &Step) -> Self {
        let pattern = match &self {
            Self::Copy(error) => error.pattern(),
            _ => None,
        };
        Self::Step { line: step.place.line, place: step.place_of(pattern), source: Box::new(self) }
    }
}

/// Builds what the plan's target needs.
pub fn execute(
    plan: &Plan,
    inputs: &dyn Inputs,
    store: &Arc<Store>,
    options: &Options,
    report: &dyn Report,
) -> Result<Finished, ExecError> {
    stage::Run::new(plan, inputs, store, options, report).target()
}
