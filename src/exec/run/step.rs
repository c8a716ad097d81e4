//! The way of one RUN: its key, and if that is not known, the program and what it changed.

mod check;
mod prepared;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::report::{Event, How, Report, Silent, StepName};
use super::super::whole::Whole;
use super::super::{ExecError, Options, cache};
use super::command;
use super::debug;
use super::error::{Failure, RunError, unapplied};
use super::foreign;
use super::masked::Masked;
use super::mounts::{Held, Secrets, Source};
use super::options::Entitlement;
use super::output::{Output, misses_ids, misses_network};
use super::workshop::{Lazy, Unpacked, Workshop};
use crate::layer::{self, Layer};
use crate::oci::Platform;
use crate::plan::{self, Network, Run, Security};
use crate::proxy::Proxy;
use crate::sandbox::rootfs::{self, Settle};
use crate::sandbox::{self, Exit, Fault, Hidden, Mode, SandboxError, Step};
use crate::store::Store;
use crate::store::roots::Staged;
use crate::tree::{Changes, ImagePath};
use check::Conditions;
use prepared::{Answered, Prepared, is_open};

pub(in crate::exec) use prepared::has_network;

/// Runs the steps of a build.
pub(in crate::exec) struct Runner<'a> {
    store: &'a Arc<Store>,
    options: &'a Options,
    report: &'a dyn Report,
    workshop: Lazy,
    /// It was said what doesn't work here.
    told: AtomicBool,
}

/// A step, and what it stands on.
pub(in crate::exec) struct Ask<'a> {
    pub(in crate::exec) run: &'a Run,
    pub(in crate::exec) step: StepName<'a>,
    pub(in crate::exec) line: usize,
    pub(in crate::exec) platform: &'a Platform,
    /// The stage so far, as a tree and as layers.
    pub(in crate::exec) base: &'a Whole,
    pub(in crate::exec) layers: &'a [Layer],
    /// The tree of each mount that has one.
    pub(in crate::exec) sources: &'a [Option<Source>],
    /// How the layer is to be written.
    pub(in crate::exec) layer: layer::Options,
}

/// What a step changed.
pub(in crate::exec) struct Ran {
    /// None where nobody has looked: they are the layer's.
    pub(in crate::exec) changes: Option<Changes>,
    /// None without changes.
    pub(in crate::exec) layer: Option<Layer>,
    pub(in crate::exec) how: How,
    /// The layer's unpacked folder, if it is at hand.
    pub(in crate::exec) folder: Option<PathBuf>,
    /// It was not found to change other things when it is run once more.
    pub(in crate::exec) reproducible: bool,
}

impl Ran {
    fn nothing(how: How) -> Self {
        Self { changes: None, layer: None, how, folder: None, reproducible: true }
    }
}

/// What a program left, collected.
struct Made {
    staged: Staged,
    changes: Changes,
    settle: Settle,
    rewritten: bool,
    /// The whole key, if the step is to be known by it.
    key: Option<String>,
}

impl<'a> Runner<'a> {
    pub(in crate::exec) fn new(store: &'a Arc<Store>, options: &'a Options, report: &'a dyn Report) -> Self {
        Self { store, options, report, workshop: Lazy::default(), told: AtomicBool::new(false) }
    }

    /// The changes that the step makes, from the cache or by running it; and where that was asked for, whether another
    /// run makes the same ones.
    pub(in crate::exec) fn run(&self, ask: &Ask<'_>, unpacked: &mut Unpacked) -> Result<Ran, ExecError> {
        let mut ran = self.first(ask, unpacked)?;
        if self.options.run.check {
            ran.reproducible = self.check(ask, &ran, unpacked)?;
        }
        Ok(ran)
    }

    fn first(&self, ask: &Ask<'_>, unpacked: &mut Unpacked) -> Result<Ran, ExecError> {
        self.check_allowed(ask.run)?;
        let prepared = Prepared::new(ask, self.options, self.store)?;
        let ran = self.settle(&prepared, unpacked)?;
        prepared.tell(&ran, self.report);
        Ok(ran)
    }

    /// The step as the store knows it, or run now.
    fn settle(&self, prepared: &Prepared<'_>, unpacked: &mut Unpacked) -> Result<Ran, ExecError> {
        let ask = prepared.ask;
        if let Some(ran) = self.recall(prepared, "run")? {
            return Ok(ran);
        }
        // Who waits for another that runs the same step takes what that one made, so that both have one digest.
        let _lock = self.store.lock_step(&prepared.key)?;
        if let Some(ran) = self.recall(prepared, "run")? {
            return Ok(ran);
        }
        let secrets = prepared.mounts.secrets(&self.options.run).map_err(ExecError::from)?;
        foreign::check(ask.platform)?;
        let workshop = self.workshop.get(self.store, self.options.run.sandbox.as_ref())?;
        self.tell_single(&workshop);
        let kind = if workshop.is_single() { "run-single" } else { "run" };
        if workshop.is_single()
            && let Some(ran) = self.recall(prepared, kind)?
        {
            return Ok(ran);
        }
        self.check_network(prepared)?;
        let (ran, key) = self.execute(prepared, &secrets, &workshop, unpacked)?;
        if let Some(key) = key {
            cache::remember_run(self.store, kind, &key, ran.layer.as_ref())?;
            if let Some(layer) = &ran.layer {
                cache::remember_compressed(self.store, layer, ask.layer.compression)?;
            }
        }
        workshop.sweep();
        Ok(ran)
    }

    /// Says once that this user has one id, before a step fails of it.
    fn tell_single(&self, workshop: &Workshop) {
        if let Mode::Single { why } = workshop.sandbox().mode()
            && !self.told.swap(true, Ordering::Relaxed)
        {
            let text = format!(
                "steps have root's id alone, so that `chown`, `USER` and groups fail or are not seen in them: {why}"
            );
            self.report.report(Event::Warning { text: &text });
        }
    }

    fn check_allowed(&self, run: &Run) -> Result<(), RunError> {
        let host = run.network == Network::Host;
        let insecure = run.security == Security::Insecure;
        let asked = [(host, Entitlement::NetworkHost), (insecure, Entitlement::SecurityInsecure)].into_iter();
        let missing = asked
            .filter(|(asked, entitlement)| *asked && !self.options.run.allow.contains(entitlement))
            .map(|(_, entitlement)| entitlement)
            .next();
        missing.map_or(Ok(()), |entitlement| Err(RunError::NotAllowed(entitlement)))
    }

    fn check_network(&self, prepared: &Prepared<'_>) -> Result<(), RunError> {
        let is_refused = is_open(prepared.network) && self.options.run.no_network;
        if is_refused { Err(RunError::NoNetwork) } else { Ok(()) }
    }

    fn recall(&self, prepared: &Prepared<'_>, kind: &str) -> Result<Option<Ran>, ExecError> {
        if !self.options.cache {
            return Ok(None);
        }
        let Some(key) = prepared.whole_key() else { return Ok(None) };
        let Some(known) = cache::recall_run(self.store, kind, &key) else { return Ok(None) };
        if let Some(session) = prepared.session {
            session.count(&prepared.key);
        }
        let cached = Ran::nothing(How::Cached);
        let Some(layer) = known else { return Ok(Some(cached)) };
        let compression = prepared.ask.layer.compression;
        if let Some(layer) = cache::recall_compressed(self.store, &layer, compression) {
            return Ok(Some(Ran { layer: Some(layer), ..cached }));
        }
        let changes = layer::open(self.store, &layer)?;
        // The same tar, compressed as it is wanted now.
        let cache::Made { layer, how, .. } =
            cache::layer(self.store, &changes, "run", &prepared.ask.layer, true)?;
        cache::remember_compressed(self.store, &layer, compression)?;
        Ok(Some(Ran { changes: Some(changes), layer: Some(layer), ..Ran::nothing(how) }))
    }

    fn execute(
        &self,
        prepared: &Prepared<'_>,
        secrets: &Secrets,
        workshop: &Workshop,
        unpacked: &mut Unpacked,
    ) -> Result<(Ran, Option<String>), ExecError> {
        let made = self.make(prepared, secrets, workshop, unpacked, Conditions::Usual)?;
        let (ask, epoch) = (prepared.ask, self.options.layer.epoch);
        let Made { staged, changes, settle, rewritten, key } = made;
        if changes.is_empty() {
            return Ok((Ran::nothing(How::Unchanged), key));
        }
        let cache::Made { layer, .. } =
            cache::layer(self.store, &changes, "run", &ask.layer, self.options.cache)?;
        // Whether the store had it or not: the step was run.
        let how = How::Built { size: layer.descriptor.size() };
        let changes = layer::open(self.store, &layer)?;
        let folder = match rewritten {
            true => None,
            false => workshop.adopt(staged, &settle, (&layer, &changes), &*ask.base.get()?, epoch)?,
        };
        Ok((Ran { changes: Some(changes), layer: Some(layer), folder, ..Ran::nothing(how) }, key))
    }

    /// Starts the program, and collects what it changed.
    fn make(
        &self,
        prepared: &Prepared<'_>,
        secrets: &Secrets,
        workshop: &Workshop,
        unpacked: &mut Unpacked,
        conditions: Conditions,
    ) -> Result<Made, ExecError> {
        let ask = prepared.ask;
        let epoch = self.options.layer.epoch;
        let base = ask.base.get()?;
        unpacked.extend(workshop, ask.layers, &base, epoch)?;
        let mut held = prepared.mounts.mount(workshop, self.store, &self.options.run, epoch)?;
        let workdir = prepared.workdir(&base)?;
        let staged = workshop.upper(unpacked, &base, &workdir, epoch)?;
        let flat = !workshop.sandbox().has_overlay();
        let lowers = if flat { Vec::new() } else { unpacked.folders() };
        let mut step =
            Step { lowers, flat, ..prepared.sandbox_step(self.options, secrets, &mut held, &staged) };
        if conditions == Conditions::Varied {
            step.varied = true;
            step.env.reverse();
        }
        let (staged, exit, key) = self.start(prepared, secrets, step, workshop, staged, held)?;
        let (changes, settle, rewritten) = self.changes(prepared, workshop, &staged, &exit)?;
        Ok(Made { staged, changes, settle, rewritten, key })
    }

    /// Runs the program; gives the folder back that it wrote to, how it ended, and its whole key, if it succeeded.
    fn start(
        &self,
        prepared: &Prepared<'_>,
        secrets: &Secrets,
        mut step: Step,
        workshop: &Workshop,
        staged: Staged,
        held: Held,
    ) -> Result<(Staged, Exit, Option<String>), RunError> {
        let (file, path) = self.store.step_log(&prepared.key[..16])?;
        let masked = Masked::new(secrets.all.iter());
        // What the second run says was said by the first.
        let report: &dyn Report = if step.varied { &Silent } else { self.report };
        let mut output = Output::new(report, prepared.ask.step, masked, file);
        let mut proxy = prepared.session.map(Proxy::new).transpose()?;
        step.mounts.extend(proxy.iter().flat_map(Proxy::files).map(readable));
        let mut serve = |listener| {
            if let Some(proxy) = &mut proxy {
                proxy.serve(listener);
            }
        };
        let mut take = |stream, bytes: &[u8]| output.take(stream, bytes);
        let exit = workshop.sandbox().run_served(&step, &mut take, &mut serve);
        let outcome = proxy.map(Proxy::finish);
        let (tail, logged) = output.finish();
        let exit = exit.map_err(|error| match (error, &prepared.ask.run.command) {
            (SandboxError::Fault(fault @ Fault::ProgramNotFound { .. }), plan::Command::Exec(_)) => {
                RunError::NoProgram(fault)
            }
            (error, _) => error.into(),
        })?;
        let Answered { key, refused, missing } = prepared.answered(outcome)?;
        if let Some(text) = unapplied(&exit.unapplied) {
            report.report(Event::Warning { text: &text });
        }
        if exit.success() {
            logged.map_err(|error| RunError::Log { path, error })?;
            if let Some(refusal) = missing {
                return Err(RunError::NotLocked(refusal));
            }
            for refusal in refused {
                let locked = if refusal.why.is_locked() { "; builds are told the same" } else { "" };
                let text =
                    format!("the step succeeded, though not with each of its requests: {refusal}{locked}");
                report.report(Event::Warning { text: &text });
            }
            return Ok((staged, exit, key));
        }
        let kept =
            debug::keep(self.store, workshop, &step, secrets, [staged].into_iter().chain(held.folders));
        if let Err(error) = &kept {
            log::warn!("keeping the state in which the step failed: {error}");
        }
        let offline =
            prepared.network != Network::Locked && !is_open(prepared.network) && misses_network(&tail);
        Err(Box::new(Failure {
            command: command::text(&prepared.ask.run.command),
            offline,
            one_id: workshop.is_single() && misses_ids(&tail),
            refused,
            exit,
            tail,
            log: Some(path),
            kept: kept.is_ok(),
        })
        .into())
    }

    fn changes(
        &self,
        prepared: &Prepared<'_>,
        workshop: &Workshop,
        staged: &Staged,
        exit: &Exit,
    ) -> Result<(Changes, Settle, bool), RunError> {
        let base = &*prepared.ask.base.get()?;
        let epoch = self.options.layer.epoch;
        let raw = workshop.collect(&staged.fs(), base, epoch)?;
        let ours = exit.mount_points.iter().filter_map(|path| ImagePath::new(path).ok());
        let reduced = rootfs::reduce(raw, base, workshop.ids(), &ours.collect())?;
        let (mut changes, mut settle) = (reduced.changes, reduced.settle);
        let cleaned = self.options.run.cleaners.clean(&mut changes, base, epoch)?;
        settle.remove.extend(cleaned.removed);
        Ok((changes, settle, cleaned.rewritten))
    }
}

/// A file for everybody to read.
fn readable((path, bytes): (String, Vec<u8>)) -> sandbox::Mount {
    sandbox::Mount::File { target: path.into_bytes(), bytes: Hidden(bytes), owner: (0, 0), mode: 0o644 }
}
