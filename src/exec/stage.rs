//! Running the steps of a stage: each operation becomes changes, the changes a layer.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::cache::Made;
use super::copy::{self, Copied, CopyInputs, Placed};
use super::known::{Files, Known, Part, Placing};
use super::report::{Event, How, Report, StepName};
use super::run::{Ask, Runner, Source, Unpacked, has_network};
use super::schedule::{self, Results};
use super::whole::{self, Whole};
use super::{ExecError, Inputs, Options, cache, mkdir, unpack};
use crate::compression::Compression;
use crate::http::shown;
use crate::layer::{self, Layer};
use crate::oci::{Digest, History, Pinned};
use crate::plan::{self, Base, CopySource, Op, Plan, Stage, StageId, Step, TreeRef};
use crate::store::Store;
use crate::tree::{Changes, Content, ImagePath, Tree};

/// The target as it is after its last step.
#[derive(Debug)]
pub struct Finished {
    /// The whole root file system, if it was asked for.
    pub tree: Option<Arc<Tree>>,
    /// Base first.
    pub layers: Vec<Layer>,
    pub history: Vec<History>,
    /// No step had a network.
    pub hermetic: bool,
    /// So many steps changed other things when they were run once more, if that was asked for.
    pub differing: usize,
}

/// A stage after some of its steps, or all.
#[derive(Debug)]
struct State {
    /// The whole root file system, if anything reads it. Stages that stand on this one, or copy from it, make no copy
    /// of what they only read.
    whole: Option<Arc<Whole>>,
    /// Base first; without those of the stage that it stands on.
    layers: Vec<Layer>,
    history: Vec<History>,
    hermetic: bool,
    differing: usize,
    /// Its layers' folders, as far as they were needed.
    unpacked: Unpacked,
}

impl State {
    fn whole(&self) -> &Arc<Whole> {
        self.whole.as_ref().expect("a stage with operations has its tree read")
    }
}

/// What became of a step's changes.
struct Committed {
    how: How,
    key: Option<String>,
    layer: Option<Layer>,
}

pub(super) struct Run<'a> {
    pub(super) plan: &'a Plan,
    pub(super) inputs: &'a dyn Inputs,
    pub(super) store: &'a Arc<Store>,
    pub(super) options: &'a Options,
    pub(super) report: &'a dyn Report,
    /// The target and the stages that it stands on: the only ones whose layers go anywhere.
    exported: BTreeSet<StageId>,
    /// Those that programs are run on or see: whole root file systems, on the disk.
    ran: BTreeSet<StageId>,
    /// Those of whose changes layers are made: the exported ones, and those that programs are run on or see.
    layered: BTreeSet<StageId>,
    /// The stages whose tree is read, by their own steps or by others.
    read: BTreeSet<StageId>,
    /// Images that were copied from, as the next step is likely to copy from the same one.
    images: Mutex<BTreeMap<Digest, Arc<Tree>>>,
    runner: Runner<'a>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        inputs: &'a dyn Inputs,
        store: &'a Arc<Store>,
        options: &'a Options,
        report: &'a dyn Report,
    ) -> Self {
        let exported: BTreeSet<StageId> = plan.chain(plan.target).collect();
        let ran = stages_run(plan);
        let layered = exported.iter().copied().chain(ran.iter().copied()).collect();
        let read = stages_read(plan, options.tree);
        let images = Mutex::default();
        let runner = Runner::new(store, options, report);
        Self { plan, inputs, store, options, report, exported, ran, layered, read, images, runner }
    }

    /// Runs what the target needs, independent stages side by side.
    pub(super) fn target(&self) -> Result<Finished, ExecError> {
        let needs = |id| self.plan.stage(id).stages_used();
        let results = schedule::run(self.plan.needed(), self.options.layer.threads, needs, |id, done| {
            self.stage(id, done)
        })?;
        // Put together once, at the end: if each stage held all that it stands on, a long chain of stages would take
        // memory by the square of its length.
        let mut below: Vec<StageId> = self.plan.chain(self.plan.target).collect();
        below.reverse();
        let stages = || below.iter().map(|id| &results[id]);
        let whole = results[&self.plan.target].whole.as_ref().filter(|_| self.options.tree);
        Ok(Finished {
            tree: whole.map(|whole| whole.get()).transpose()?,
            layers: stages().flat_map(|stage| stage.layers.iter().cloned()).collect(),
            history: stages().flat_map(|stage| stage.history.iter().cloned()).collect(),
            hermetic: results.values().all(|stage| stage.hermetic),
            differing: results.values().map(|stage| stage.differing).sum(),
        })
    }

    /// What people call a stage.
    fn label(&self, id: StageId, stage: &Stage) -> String {
        stage.name.clone().unwrap_or_else(|| id.0.to_string())
    }

    fn stage(&self, id: StageId, done: &Results<StageId, State>) -> Result<State, ExecError> {
        let stage = self.plan.stage(id);
        let label = self.label(id, stage);
        let mut state = self.base(id, stage, done)?;
        for (index, step) in stage.steps.iter().enumerate() {
            let name = StepName { stage: &label, number: index + 1, of: stage.steps.len(), text: &step.text };
            self.report.report(Event::Started { step: name });
            let start = Instant::now();
            let how = self.step(id, step, name, &mut state, done).map_err(|error| error.of_step(step))?;
            self.report.report(Event::Finished { step: name, how, took: start.elapsed() });
        }
        Ok(state)
    }

    fn base(&self, id: StageId, stage: &Stage, done: &Results<StageId, State>) -> Result<State, ExecError> {
        let read = self.read.contains(&id);
        let mut state = State {
            whole: None,
            layers: Vec::new(),
            history: Vec::new(),
            hermetic: true,
            differing: 0,
            unpacked: Unpacked::default(),
        };
        match &stage.base {
            Base::Scratch => state.whole = read.then(|| Arc::new(Whole::new(self.store))),
            Base::Stage(base) => {
                let below = done[base].whole.as_ref().filter(|_| read);
                state.whole = below.map(|below| Arc::new(Whole::over(below)));
                state.unpacked = done[base].unpacked.clone();
            }
            Base::Image(pinned) => {
                let image = self.inputs.image(pinned)?;
                let open = if self.ran.contains(&id) { layer::open_whole } else { layer::open };
                state.whole = read.then(|| Arc::new(self.image_whole(&image.layers, open)));
                state.layers.clone_from(&image.layers);
                state.history.clone_from(&image.config.value.history);
            }
            Base::Files(name) => {
                let tree = self.inputs.context(name)?;
                let changes = Changes::from(&*tree);
                state.whole = read.then(|| Arc::new(Whole::new(self.store)));
                let how = self.commit(id, &changes, "FROM files", "files", &mut state)?;
                let from = TreeRef::Context(name.clone());
                let files = Files {
                    key: how.key.as_deref(),
                    what: self.origin(&from),
                    from: &from,
                    tree: &tree,
                    placed: vec![Placed { from: ImagePath::root(), to: ImagePath::root(), archive: false }]
                        .into(),
                    changes: Placing::Known(&changes),
                };
                let label = self.label(id, stage);
                let step = StepName { stage: &label, number: 0, of: stage.steps.len(), text: "FROM files" };
                self.tell(step, (0, "FROM files"), &how, &[], &[files]);
                self.lay(id, changes, &state);
            }
        }
        Ok(state)
    }

    /// The tree of an image that is copied from.
    fn copied_image(&self, pinned: &Pinned) -> Result<Arc<Tree>, ExecError> {
        let images = || self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = images().get(&pinned.digest) {
            return Ok(Arc::clone(tree));
        }
        let tree = self.image_whole(&self.inputs.image(pinned)?.layers, layer::open).get()?;
        Ok(Arc::clone(images().entry(pinned.digest.clone()).or_insert(tree)))
    }

    fn image_whole(&self, layers: &[Layer], open: whole::Open) -> Whole {
        let whole = Whole::new(self.store);
        layers.iter().for_each(|layer| whole.push(layer, open));
        whole
    }

    fn step(
        &self,
        id: StageId,
        step: &Step,
        name: StepName<'_>,
        state: &mut State,
        done: &Results<StageId, State>,
    ) -> Result<How, ExecError> {
        let Some(op) = &step.op else {
            state.history.push(self.history(&step.created_by, true));
            let how = Committed { how: How::Config, key: None, layer: None };
            self.tell(name, known_as(step), &how, &[], &[]);
            return Ok(How::Config);
        };
        match op {
            Op::Copy(copy) => {
                let from = self.tree(&copy.from, done)?;
                let others =
                    copy.sources.iter().map(|source| self.source(source)).collect::<Result<Vec<_>, _>>()?;
                let copied = self.copy(copy, step, &*state.whole().get()?, &from, &others)?;
                let shape = format!("{copy:?}");
                let how = self.commit(id, &copied.changes, &step.created_by, &shape, state)?;
                self.tell_copy(copy, &copied, &from, (name, step, &how));
                self.lay(id, copied.changes, state);
                Ok(how.how)
            }
            Op::Mkdir(mkdir) => {
                let made = mkdir::changes(mkdir, &*state.whole().get()?)?;
                self.warn(step, &made.unknown);
                let how = self.commit(id, &made.changes, &step.created_by, "", state)?;
                let parts = [(Part::Operation, format!("{mkdir:?}"))];
                self.tell(name, known_as(step), &how, &parts, &[]);
                self.lay(id, made.changes, state);
                Ok(how.how)
            }
            Op::Run(run) => self.run(id, run, (name, step), state, done),
        }
    }

    /// Tells what a step is known by.
    fn tell<'k>(
        &self,
        step: StepName<'k>,
        (line, expanded): (usize, &'k str),
        how: &'k Committed,
        parts: &'k [(Part, String)],
        files: &'k [Files<'k>],
    ) {
        let Committed { how, key, layer } = how;
        let (key, layer) = (key.as_deref(), layer.as_ref());
        let known = Known { step, line, expanded, how: *how, key, layer, parts, files };
        self.report.report(Event::Known(&known));
    }

    fn tell_copy(
        &self,
        copy: &plan::Copy,
        copied: &Copied,
        from: &Tree,
        (name, step, how): (StepName<'_>, &Step, &Committed),
    ) {
        let files = Files {
            key: how.key.as_deref(),
            from: &copy.from,
            what: self.origin(&copy.from),
            tree: from,
            placed: Cow::Borrowed(&copied.placed),
            changes: Placing::Known(&copied.changes),
        };
        self.tell(name, known_as(step), how, &self.copy_parts(copy), &[files]);
    }

    /// All that a copy is told, but for what is in its files.
    fn copy_parts(&self, copy: &plan::Copy) -> Vec<(Part, String)> {
        let mut parts =
            vec![(Part::Operation, format!("{:?}", plan::Copy { sources: Vec::new(), ..copy.clone() }))];
        for source in &copy.sources {
            match source {
                CopySource::Pattern(_) => {}
                CopySource::Inline { name, content } => {
                    parts.push((Part::Script, format!("{name} {}", blake3::hash(content).to_hex())));
                }
                CopySource::Url(url) => {
                    let pin = match &url.digest {
                        plan::Pin::Pinned(digest) => digest.to_string(),
                        plan::Pin::Unpinned => {
                            self.inputs.url(url).ok().and_then(|tree| only_file(&tree)).unwrap_or_default()
                        }
                    };
                    parts.push((Part::Url(shown(&url.url)), pin));
                }
                CopySource::Git(git) => {
                    let pin = match &git.commit {
                        plan::Pin::Pinned(commit) => commit.clone(),
                        plan::Pin::Unpinned => String::new(),
                    };
                    parts.push((Part::Git(shown(&git.remote)), pin));
                }
            }
        }
        parts
    }

    /// A tree in words.
    fn origin(&self, tree: &TreeRef) -> String {
        let name = tree.stage().and_then(|id| self.plan.stage(id).name.as_deref());
        copy::Origin::new(tree.clone(), name).to_string()
    }

    /// Adds what a step changed to its stage: to the layers and the record.
    fn commit(
        &self,
        id: StageId,
        changes: &Changes,
        created_by: &str,
        shape: &str,
        state: &mut State,
    ) -> Result<Committed, ExecError> {
        let how = if changes.is_empty() {
            Committed { how: How::Unchanged, key: None, layer: None }
        } else if self.layered.contains(&id) {
            let options = self.layer_options(id);
            let Made { layer, how, key } =
                cache::layer(self.store, changes, shape, &options, self.options.cache)?;
            state.layers.push(layer.clone());
            Committed { how, key, layer: Some(layer) }
        } else {
            Committed { how: How::Applied, key: None, layer: None }
        };
        state.history.push(self.history(created_by, changes.is_empty()));
        Ok(how)
    }

    /// Lays what a step changed over its stage's tree.
    fn lay(&self, id: StageId, mut changes: Changes, state: &State) {
        let Some(whole) = &state.whole else { return };
        // Only an output of the tree shows times, and programs see them: those that the layers have.
        if self.options.tree || self.layered.contains(&id) {
            let epoch = self.options.layer.epoch.mtime();
            changes.puts.values_mut().for_each(|node| node.mtime = epoch);
        }
        whole.lay(changes);
    }

    /// Runs a program; what it changed is in a layer already.
    fn run(
        &self,
        id: StageId,
        run: &plan::Run,
        (name, step): (StepName<'_>, &Step),
        state: &mut State,
        done: &Results<StageId, State>,
    ) -> Result<How, ExecError> {
        let sources = self.sources(run, done)?;
        let layers = self.layers(id, &state.layers, done);
        let base = Arc::clone(state.whole());
        let platform = &self.plan.stage(id).config.platform;
        let layer = self.layer_options(id);
        let line = step.place.line;
        let ask =
            Ask { run, step: name, line, platform, base: &base, layers: &layers, sources: &sources, layer };
        let ran = self.runner.run(&ask, &mut state.unpacked)?;
        state.differing += usize::from(!ran.reproducible);
        state.hermetic &= !has_network(run, self.options.run.network);
        state.history.push(self.history(&step.created_by, ran.layer.is_none()));
        let Some(layer) = ran.layer else { return Ok(ran.how) };
        match ran.changes {
            Some(changes) => base.lay(changes),
            None => base.push(&layer, layer::open),
        }
        state.layers.push(layer);
        if let Some(folder) = ran.folder {
            state.unpacked.push(folder, base.get()?);
        }
        Ok(ran.how)
    }

    /// The tree of each mount that shows one, with the layers that it is made of.
    fn sources(
        &self,
        run: &plan::Run,
        done: &Results<StageId, State>,
    ) -> Result<Vec<Option<Source>>, ExecError> {
        let source = |mount: &plan::Mount| {
            let Some(from) = mount.kind.tree() else { return Ok(None) };
            let tree = self.tree(from, done)?;
            let layers = match from {
                TreeRef::Stage(id) => Some(self.layers(*id, &done[id].layers, done)),
                TreeRef::Image(pinned) => Some(self.inputs.image(pinned)?.layers.clone()),
                TreeRef::Context(_) | TreeRef::Empty => None,
            };
            let what = self.origin(from);
            Ok(Some(Source { tree, layers, what }))
        };
        run.mounts.iter().map(source).collect()
    }

    /// The layers of a stage that has made `own` so far, with those that it stands on.
    fn layers(&self, id: StageId, own: &[Layer], done: &Results<StageId, State>) -> Vec<Layer> {
        let mut below: Vec<StageId> = self.plan.chain(id).skip(1).collect();
        below.reverse();
        let below = below.iter().flat_map(|id| done[id].layers.iter());
        below.chain(own).cloned().collect()
    }

    /// Those that nobody gets are not compressed.
    fn layer_options(&self, id: StageId) -> layer::Options {
        let exported = self.exported.contains(&id);
        let compression = if exported { self.options.layer.compression } else { Compression::NONE };
        layer::Options { compression, ..self.options.layer }
    }

    fn history(&self, created_by: &str, empty_layer: bool) -> History {
        History {
            created: Some(self.options.layer.epoch.rfc3339()),
            created_by: Some(created_by.to_owned()),
            empty_layer,
            ..History::default()
        }
    }

    fn copy(
        &self,
        copy: &plan::Copy,
        step: &Step,
        base: &Tree,
        from: &Tree,
        others: &[Option<Arc<Tree>>],
    ) -> Result<Copied, ExecError> {
        let unpack = |content: &Content| unpack::tree(self.store, content);
        let ignored = |path: &ImagePath| match &copy.from {
            TreeRef::Context(name) => self.inputs.ignored(name, path),
            TreeRef::Stage(_) | TreeRef::Image(_) | TreeRef::Empty => None,
        };
        let stage = copy.from.stage().and_then(|id| self.plan.stage(id).name.as_deref());
        let inputs = CopyInputs { from, stage, others, ignored: &ignored, unpack: &unpack };
        let copied = copy::changes::<ExecError>(copy, &inputs, base)?;
        self.warn(step, &copied.warnings);
        Ok(copied)
    }

    fn warn(&self, step: &Step, warnings: &[impl Display]) {
        for warning in warnings {
            let text = format!("{}:{}: {warning}", self.options.file, step.place.line);
            self.report.report(Event::Warning { text: &text });
        }
    }

    /// The tree behind a source that isn't a pattern.
    fn source(&self, source: &CopySource) -> Result<Option<Arc<Tree>>, ExecError> {
        Ok(match source {
            CopySource::Pattern(_) | CopySource::Inline { .. } => None,
            CopySource::Url(url) => Some(self.inputs.url(url)?),
            CopySource::Git(git) => Some(self.inputs.git(git)?),
        })
    }

    fn tree(&self, tree: &TreeRef, done: &Results<StageId, State>) -> Result<Arc<Tree>, ExecError> {
        Ok(match tree {
            TreeRef::Empty => Arc::default(),
            TreeRef::Context(name) => self.inputs.context(name)?,
            TreeRef::Image(pinned) => self.copied_image(pinned)?,
            TreeRef::Stage(id) => done[id].whole().get()?,
        })
    }
}

/// What the one file of a tree has in it.
fn only_file(tree: &Tree) -> Option<String> {
    let content = tree.iter().find_map(|(_, node)| node.content())?;
    Some(format!("{:?}", content.known_fingerprint()?))
}

/// The stages whose tree must be known: those with operations of their own, those that others copy from, and
/// all that they stand on.
pub(crate) fn stages_read(plan: &Plan, target_too: bool) -> BTreeSet<StageId> {
    let mut read: BTreeSet<StageId> = target_too.then_some(plan.target).into_iter().collect();
    for id in plan.needed() {
        let stage = plan.stage(id);
        if stage.steps.iter().any(|step| step.op.is_some()) {
            read.insert(id);
        }
        read.extend(stage.trees_used().filter_map(TreeRef::stage));
    }
    read.iter().flat_map(|&id| plan.chain(id)).collect()
}

/// The line of a step, and its text with what variables stand for.
fn known_as(step: &Step) -> (usize, &str) {
    (step.place.line, &step.created_by)
}

/// The stages that programs are run on, or see as mounts, and all that they stand on.
fn stages_run(plan: &Plan) -> BTreeSet<StageId> {
    let mut run = BTreeSet::new();
    for id in plan.needed() {
        for op in plan.stage(id).steps.iter().filter_map(|step| step.op.as_ref()) {
            if let Op::Run(_) = op {
                run.insert(id);
                run.extend(op.trees_used().into_iter().filter_map(TreeRef::stage));
            }
        }
    }
    run.iter().flat_map(|&id| plan.chain(id)).collect()
}
