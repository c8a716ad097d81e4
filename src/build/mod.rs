//! A build, from the first hop to the last: parse, lower, fetch, execute, assemble. The sinks of
//! [`crate::transport`] take it from there.

mod blobs;
mod check;
mod explain;
mod failure;
mod fetched;
mod images;
mod locking;
mod network;
mod opened;
mod outside;
mod provenance;
mod repositories;
mod source;
mod vendored;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use blobs::BuiltBlobs;
pub use check::check;
pub use locking::LockUseError;
pub use network::{moved_network, record_network};
pub use outside::{Contexts, Outside, OutsideError, git_environment};
pub use provenance::{ProvenanceError, provenance};
pub use source::{BuildFileChoice, NAMES, SourceError};
pub use vendored::vendor;

use crate::buildfile::{self, Buildfile, Diagnostic, LowerOptions, Source};
use crate::context::Modes;
use crate::exec::run::RunOptions;
use crate::exec::{self, ExecError, Finished, Report};
use crate::image::{self, Artifact, Image, Parts};
use crate::layer;
use crate::lock::{Lock, Memo, Policy};
use crate::oci::canonical::CanonicalError;
use crate::oci::{Digest, Epoch, Platform};
use crate::plan::{Clock, Plan, StageId};
use crate::proxy::Unknown;
use crate::store::Store;
use crate::transport::{Sink as _, StoreSink, TransportError};
use crate::tree::Tree;
use crate::why::Materials;

/// What is asked for, beside the Buildfile and its contexts.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub build_args: BTreeMap<String, String>,
    pub target: Option<String>,
    /// None is the default platform; several make an index.
    pub platforms: Vec<Platform>,
    pub labels: BTreeMap<String, String>,
    /// Of each manifest.
    pub annotations: BTreeMap<String, String>,
    /// Of the index.
    pub index_annotations: BTreeMap<String, String>,
    /// How the contexts' attributes are read; without one, as the Buildfile's `# modes=` says.
    pub modes: Option<Modes>,
    /// The time in the image; without one, what the Buildfile's `ARG SOURCE_DATE_EPOCH` says.
    pub epoch: Option<Epoch>,
    pub compression: crate::compression::Compression,
    pub threads: usize,
    /// Whether layers may come from the step cache.
    pub cache: bool,
    /// Whether an output needs the root file systems.
    pub trees: bool,
    /// Whether the image goes nowhere but into registries: its base's layers need not come here for that.
    pub pushed_only: bool,
    /// What steps that run programs get; without a clock, that of the Buildfile's `# clock=`.
    pub run: RunOptions,
    /// Whether it is reported why each step was built anew.
    pub explain: bool,
    /// Whether [`Built::materials`] are wanted.
    pub materials: bool,
}

/// What came of it. Every blob is in the store but, of what is only pushed, layers of the base:
/// [`Outside::blobs`] has all.
#[derive(Debug)]
pub struct Built {
    pub artifact: Artifact,
    /// The time in it.
    pub epoch: Epoch,
    /// The root file system for each platform, if they were asked for.
    pub trees: Vec<(Platform, Arc<Tree>)>,
    /// The wall clock that steps saw.
    pub clock: Clock,
    /// No step had a network: what came of it is a function of what is recorded.
    pub hermetic: bool,
    /// So many steps changed other things when they were run once more, if that was asked for.
    pub differing: usize,
    /// What steps have read of contexts, if it was asked for.
    pub materials: Materials,
    /// What it used of the lock, with what steps were answered: all that was resolved. None without a lock.
    pub used: Option<Lock>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The Buildfile is wrong; the diagnostics say where.
    #[error("the Buildfile has errors")]
    Buildfile(Vec<Diagnostic>),
    #[error("SOURCE_DATE_EPOCH: {0}")]
    Epoch(String),
    #[error(transparent)]
    Outside(#[from] OutsideError),
    #[error(transparent)]
    Lock(#[from] LockUseError),
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

/// Builds the image, or the index, that `source` describes. `warn` gets what the Buildfile could do better.
pub fn build(
    source: &Source,
    request: &Request,
    outside: &mut Outside,
    store: &Arc<Store>,
    report: &dyn Report,
    warn: &dyn Fn(&[Diagnostic]),
) -> Result<Built, BuildError> {
    let file = parse(source)?;
    outside.set_modes(&file, request.modes);
    let plans = plan(&file, request, Stages::Needed, outside, warn)?;
    outside.warn_of_unused(report);
    outside.warn_of_layouts(&plans, report);
    outside.tell_unpinned(report);
    for plan in &plans {
        outside.fetch(plan, request, source.name(), report)?;
    }
    let epoch = epoch(&file, request)?;
    let clock = clock(&file, request);
    let locked = outside.session(request, Unknown::Refused);
    let run = RunOptions { clock: Some(clock), locked: locked.clone(), ..request.run.clone() };
    let mut images = Vec::new();
    let mut trees = Vec::new();
    let (mut hermetic, mut differing) = (true, 0);
    let mut listeners = Vec::new();
    for plan in &plans {
        let listener = explain::open((plan, request, epoch), outside, source, report);
        let (image, finished) =
            execute(plan, (request, &run), epoch, outside, store, (source.name(), &listener))?;
        listeners.push((listener, image.manifest.digest()));
        let tree = finished.tree;
        hermetic &= finished.hermetic;
        differing += finished.differing;
        trees.extend(tree.map(|tree| (image.config.value.platform.clone(), tree)));
        images.push(image);
    }
    outside.warn(report);
    outside.save();
    let artifact = match <[Image; 1]>::try_from(images) {
        Ok([image]) if request.platforms.len() <= 1 => Artifact::Image(image),
        Ok([image]) => Artifact::index(vec![image], request.index_annotations.clone())?,
        Err(images) => Artifact::index(images, request.index_annotations.clone())?,
    };
    let mut sink = StoreSink::new(store, Vec::new());
    if request.pushed_only {
        sink.put_documents(&artifact)?;
    } else {
        sink.put(&artifact, &**store)?;
    }
    // Only now: whoever finds the file changed may take it for that of a build that succeeded.
    outside.save_lock(report)?;
    let answers = locked.map(|session| session.used()).unwrap_or_default();
    let used = outside.used(&file, &request.platforms, answers);
    let materials = explain::close(listeners, &artifact.digest(), outside);
    Ok(Built { artifact, epoch, trees, clock, hermetic, differing, materials, used })
}

/// Resolves all that the Buildfile names outside, in all its stages unless there is a target, by the lock that the
/// outside was given, and has that forget what nothing asks for. Nothing is built, and the file is not written.
pub fn resolve(
    source: &Source,
    request: &Request,
    outside: &mut Outside,
    report: &dyn Report,
    warn: &dyn Fn(&[Diagnostic]),
) -> Result<(), BuildError> {
    let file = parse(source)?;
    outside.set_modes(&file, request.modes);
    outside.with_lock(|memo| match memo.policy() {
        Policy::Add => memo.lock_mut().platforms.clear(),
        Policy::Refuse | Policy::Look => {}
    });
    plan(&file, request, Stages::All, outside, warn)?;
    outside.warn_of_unused(report);
    outside.tell_local(report);
    outside.with_lock(Memo::forget_unasked);
    Ok(())
}

/// What of the outside world a Buildfile names, as a lock knows it: the fingerprint, and the `# syntax=` directive.
pub fn locked_origin(source: &Source) -> Result<(Digest, Option<String>), BuildError> {
    Ok(locking::origin(&parse(source)?))
}

/// Which stages are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stages {
    Needed,
    /// Unless there is a target.
    All,
    /// The same, to be run.
    Run,
}

/// The plans for all platforms, and what they ask of the outside in the lock.
fn plan(
    file: &Buildfile,
    request: &Request,
    stages: Stages,
    outside: &Outside,
    warn: &dyn Fn(&[Diagnostic]),
) -> Result<Vec<Plan>, BuildError> {
    outside.check_profile()?;
    outside.bring_vendored()?;
    let mut plans = Vec::new();
    for platform in platforms(request) {
        plans.push(lower(file, request, stages, platform, outside, warn)?);
    }
    outside.settle_lock(file, stages == Stages::Needed, &request.platforms)?;
    Ok(plans)
}

fn parse(source: &Source) -> Result<Buildfile, BuildError> {
    let parsed = buildfile::parse(source);
    if parsed.has_errors() {
        return Err(BuildError::Buildfile(parsed.diagnostics));
    }
    Ok(parsed.buildfile)
}

/// One plan for each; the default platform's where none is asked for.
fn platforms(request: &Request) -> Vec<Option<Platform>> {
    if request.platforms.is_empty() {
        vec![None]
    } else {
        request.platforms.iter().cloned().map(Some).collect()
    }
}

fn lower(
    file: &Buildfile,
    request: &Request,
    stages: Stages,
    platform: Option<Platform>,
    outside: &Outside,
    warn: &dyn Fn(&[Diagnostic]),
) -> Result<Plan, BuildError> {
    let all_stages = stages != Stages::Needed;
    let options = LowerOptions { platform, all_stages, ..options(request) };
    let mut resolver = match stages {
        Stages::Needed | Stages::Run => outside.resolver(),
        Stages::All => outside.facts_resolver(),
    };
    let (plan, warnings) = buildfile::lower(file, &options, &mut resolver).map_err(BuildError::Buildfile)?;
    warn(&warnings);
    Ok(plan)
}

fn options(request: &Request) -> LowerOptions<'static> {
    LowerOptions {
        build_args: request.build_args.clone(),
        target: request.target.clone(),
        all_stages: false,
        platform: None,
        labels: request.labels.clone(),
        source_date_epoch: request.epoch,
        ignored: None,
    }
}

/// The stages of a plan that a request is about: those that its target needs, or all.
fn wanted(plan: &Plan, request: &Request) -> Vec<StageId> {
    match request.target {
        Some(_) => plan.needed(),
        None => (0..plan.stages.len()).map(StageId).collect(),
    }
}

fn exec_options(request: &Request, run: RunOptions, epoch: Epoch, file: &str) -> exec::Options {
    let layer = layer::Options { compression: request.compression, epoch, threads: request.threads };
    exec::Options { layer, cache: request.cache, tree: request.trees, file: file.to_owned(), run }
}

fn clock(file: &Buildfile, request: &Request) -> Clock {
    let said = file.directives.clock.map(|directive| directive.clock);
    request.run.clock.or(said).unwrap_or_default()
}

fn epoch(file: &Buildfile, request: &Request) -> Result<Epoch, BuildError> {
    match buildfile::source_date_epoch(file, &options(request)) {
        Some(text) => text.parse().map_err(BuildError::Epoch),
        None => Ok(request.epoch.unwrap_or_default()),
    }
}

fn execute(
    plan: &Plan,
    (request, run): (&Request, &RunOptions),
    epoch: Epoch,
    outside: &Outside,
    store: &Arc<Store>,
    (file, report): (&str, &dyn Report),
) -> Result<(Image, Finished), BuildError> {
    let options = exec_options(request, run.clone(), epoch, file);
    let finished = exec::execute(plan, outside, store, &options, report)?;
    let image = image::assemble(Parts {
        config: plan.stage(plan.target).config.clone(),
        layers: finished.layers.clone(),
        history: finished.history.clone(),
        annotations: request.annotations.clone(),
        epoch,
    })?;
    Ok((image, finished))
}
