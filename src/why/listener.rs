//! Listening to a build: each step is compared with the build before as soon as it is done, and what is known of all of them
//! is written at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cause::{Cause, Told};
use super::compare::{Comparison, whole};
use super::keep::{self, Identity, Kept};
use super::manifest::{KIND, Manifest, source};
use super::mask;
use super::trace::{Asked, StageTrace, StepTrace, Trace, context, stages};
use crate::exec::{Event, Files, How, Inputs, Known, Part, Report, StepName};
use crate::oci::Digest;
use crate::plan::{ContextName, Plan, TreeRef};
use crate::store::{Store, StoreError};
use crate::tree::{ImagePath, Node};

/// The files of contexts that steps have read, with their attributes there.
pub type Materials = BTreeMap<ContextName, BTreeMap<ImagePath, Node>>;

/// Takes a build's events, and passes them on.
pub struct Listener<'a> {
    store: &'a Store,
    inputs: &'a dyn Inputs,
    report: &'a dyn Report,
    identity: Identity,
    asked: Asked,
    /// The arguments as they are, for leaving secrets out of texts.
    secrets: Vec<String>,
    options: Options,
    before: Vec<Kept>,
    state: Mutex<State>,
}

/// What a listener is to do beside keeping traces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Whether steps use the step cache.
    pub cache: bool,
    /// Whether the reasons are reported as the steps go by.
    pub explain: bool,
    /// Whether the files that steps read are collected.
    pub materials: bool,
}

#[derive(Default)]
struct State {
    stages: Vec<StageTrace>,
    told: Vec<Told>,
    materials: Materials,
}

impl std::fmt::Debug for Listener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl<'a> Listener<'a> {
    /// For a build of `plan`. `args` are the build arguments as they were given.
    pub fn new(
        (store, inputs, report): (&'a Store, &'a dyn Inputs, &'a dyn Report),
        plan: &Plan,
        identity: Identity,
        (args, settings): (&BTreeMap<String, String>, BTreeMap<String, String>),
        options: Options,
    ) -> Self {
        let before = keep::load(store, &identity);
        let secrets = mask::secrets(args.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let asked = Asked::new(args, settings);
        let state = Mutex::new(State { stages: stages(plan), ..State::default() });
        Self { store, inputs, report, identity, asked, secrets, options, before, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, known: &Known<'_>) {
        let variables = known.parts.iter().filter_map(|(part, value)| match part {
            Part::Variable(name) => Some((name.as_str(), value.as_str())),
            _ => None,
        });
        let mut secrets = self.secrets.clone();
        secrets.extend(mask::secrets(variables));
        let step = StepTrace::of(known, &secrets);
        self.keep_files(known);
        let mut state = self.state();
        if self.options.materials {
            known.files.iter().for_each(|files| collect(files, &mut state.materials));
        }
        let causes = self.causes(known, &step, &state.stages);
        if !causes.is_empty() {
            state.told.push(Told {
                stage: known.step.stage.to_owned(),
                number: step.number,
                of: known.step.of,
                text: step.text.clone(),
                rebuilt: is_rebuilt(known.how),
                causes,
            });
        }
        if let Some(stage) = state.stages.iter_mut().find(|stage| stage.name == known.step.stage) {
            stage.steps.push(step);
        }
    }

    fn causes(&self, known: &Known<'_>, step: &StepTrace, stages: &[StageTrace]) -> Vec<Cause> {
        let Some(last) = self.before.first() else {
            let is_built = matches!(known.how, How::Built { .. });
            return if is_built { vec![Cause::First] } else { Vec::new() };
        };
        let asked = Asked { ignore_files: self.ignore_files(known), ..self.asked.clone() };
        let left_out = |index: usize, path: &ImagePath| match known.files.get(index)?.from {
            TreeRef::Context(name) => self.inputs.ignored(name, path),
            TreeRef::Stage(_) | TreeRef::Image(_) | TreeRef::Empty => None,
        };
        let old = &last.trace;
        let comparison = Comparison { store: self.store, old, asked: &asked, stages };
        let mut causes = comparison.causes(known.step.stage, step, &left_out);
        if causes.is_empty() && matches!(known.how, How::Built { .. }) {
            causes.push(if self.options.cache { Cause::Gone } else { Cause::NoCache });
        }
        causes
    }

    /// Writes down the files of a step, if that wasn't done for the same ones before.
    fn keep_files(&self, known: &Known<'_>) {
        let needs = || known.layer.map(crate::layer::Layer::digest).into_iter().collect();
        for files in known.files {
            let Some(key) = files.key.filter(|key| !self.store.has_memo(KIND, key)) else { continue };
            let Some(manifest) = Manifest::of(files) else { continue };
            if let Err(error) = self.store.remember_with(KIND, key, &manifest, needs()) {
                log::debug!("keeping the list of a step's files: {error}");
            }
        }
    }

    fn ignore_files(&self, known: &Known<'_>) -> BTreeMap<String, (String, String)> {
        let contexts = known.files.iter().filter_map(|files| match files.from {
            TreeRef::Context(name) => Some(name),
            TreeRef::Stage(_) | TreeRef::Image(_) | TreeRef::Empty => None,
        });
        contexts.filter_map(|name| Some((context(name), self.inputs.ignore_file(name)?))).collect()
    }

    fn explain(&self, step: StepName<'_>) {
        let told = self
            .state()
            .told
            .iter()
            .rfind(|told| told.stage == step.stage && told.number == step.number)
            .cloned();
        let Some(told) = told.filter(|told| told.rebuilt) else { return };
        let why: Vec<String> = told.causes.iter().map(ToString::to_string).collect();
        self.report.report(Event::Why { step, why: &why });
    }

    /// What of the build as a whole is not as it was.
    pub fn whole(&self) -> Vec<Cause> {
        let state = self.state();
        self.before.first().map(|last| whole(&last.trace, &self.asked, &state.stages)).unwrap_or_default()
    }

    /// Writes the trace of a build that made that image. Gives the files that steps read.
    pub fn finish(
        self,
        image: Digest,
        artifact: Digest,
        used: &[ContextName],
    ) -> (Materials, Result<(), StoreError>) {
        let causes = self.whole();
        let Self { store, inputs, identity, mut asked, before, state, .. } = self;
        let State { mut stages, mut told, materials } =
            state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ignored = used.iter().filter_map(|name| Some((context(name), inputs.ignore_file(name)?)));
        asked.ignore_files = ignored.collect();
        stages.iter_mut().for_each(|stage| stage.steps.sort_by_key(|step| step.number));
        let order = |told: &Told| (stages.iter().position(|stage| stage.name == told.stage), told.number);
        told.sort_by_key(order);
        let trace = Trace { asked, image, artifact, stages };
        let kept = Kept {
            file: identity.file.clone(),
            target: identity.target.clone(),
            platform: identity.platform.clone(),
            trace,
            compared: !before.is_empty(),
            causes,
            told,
            again: false,
        };
        (materials, keep::save(store, &identity, before, kept))
    }
}

impl Report for Listener<'_> {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Known(known) => self.known(known),
            Event::Finished { step, .. } if self.options.explain => {
                self.report.report(event);
                self.explain(step);
            }
            event => self.report.report(event),
        }
    }
}

fn is_rebuilt(how: How) -> bool {
    matches!(how, How::Built { .. } | How::Applied | How::Unchanged)
}

/// Adds the files of a context that a step read.
fn collect(files: &Files<'_>, materials: &mut Materials) {
    let TreeRef::Context(name) = files.from else { return };
    let found = materials.entry(name.clone()).or_default();
    for path in files.changes.get().puts.keys() {
        let Some(source) = source(files, path) else { continue };
        if let Some(node) = files.tree.get(&source) {
            found.insert(source, node.clone());
        }
    }
}
