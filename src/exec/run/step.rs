//! The way of one RUN: its key, and if that is not known, the program and what it changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::known::Part;
use super::super::report::{Event, How, Report, Silent, StepName};
use super::super::{ExecError, Options, cache, mkdir};
use super::command;
use super::debug;
use super::environment::Environment;
use super::error::{Failure, RunError, unapplied};
use super::foreign;
use super::key::Key;
use super::masked::Masked;
use super::mounts::{Held, Mounts, Secrets, Source, View};
use super::options::Entitlement;
use super::output::{Output, misses_ids, misses_network};
use super::user::{Who, who};
use super::workshop::{Lazy, Unpacked, Workshop};
use crate::diff;
use crate::layer::{self, Layer};
use crate::oci::Platform;
use crate::plan::{Clock, Mkdir, Network, Owner, Run, Security};
use crate::proxy::{self, Outcome, Proxy, Refusal, Session};
use crate::sandbox::rootfs::{self, Settle};
use crate::sandbox::{self, Exit, Hidden, Mode, Step};
use crate::store::Store;
use crate::store::roots::Staged;
use crate::tree::{Changes, ImagePath, Tree};

/// What every step of a build sees of its own, so that none sees the machine's.
const HOSTNAME: &str = "lith";

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
    pub(in crate::exec) base: &'a Arc<Tree>,
    pub(in crate::exec) layers: &'a [Layer],
    /// The tree of each mount that has one.
    pub(in crate::exec) sources: &'a [Option<Source>],
    /// How the layer is to be written.
    pub(in crate::exec) layer: layer::Options,
}

/// What a step changed.
pub(in crate::exec) struct Ran {
    pub(in crate::exec) changes: Changes,
    /// None without changes.
    pub(in crate::exec) layer: Option<Layer>,
    pub(in crate::exec) how: How,
    /// The layer's unpacked folder, if it is at hand.
    pub(in crate::exec) folder: Option<PathBuf>,
    /// It was not found to change other things when it is run once more.
    pub(in crate::exec) reproducible: bool,
}

/// What a step's program sees of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conditions {
    Usual,
    Varied,
}

/// What a program left, collected.
struct Made {
    staged: Staged,
    changes: Changes,
    settle: Settle,
    rewritten: bool,
    /// The whole key.
    key: String,
}

/// So long a second run waits, that a clock of whole seconds shows another time.
const LATER: Duration = Duration::from_millis(1100);

/// All that a step is, before anything of the machine is looked at.
struct Known<'a> {
    ask: &'a Ask<'a>,
    who: Who,
    environment: Environment,
    mounts: Mounts<'a>,
    network: Network,
    /// Where the clock stands, if it does.
    clock: Option<u64>,
    /// Of all but what a locked network answers.
    key: String,
    parts: Vec<(Part, String)>,
}

/// Whether a step has a network.
pub(in crate::exec) fn has_network(run: &Run, unsaid: Network) -> bool {
    is_open(network(run, unsaid))
}

fn network(run: &Run, unsaid: Network) -> Network {
    if run.network == Network::Unsaid { unsaid } else { run.network }
}

fn is_open(network: Network) -> bool {
    matches!(network, Network::Default | Network::Host)
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
        let known = self.known(ask)?;
        let ran = self.settle(&known, unpacked)?;
        self.tell(&known, &ran);
        Ok(ran)
    }

    /// Tells what the step is known by.
    fn tell(&self, known: &Known<'_>, ran: &Ran) {
        let Ask { step, line, .. } = *known.ask;
        let views = known.mounts.views();
        let files: Vec<_> = views.iter().map(View::files).collect();
        let known = super::super::Known {
            step,
            line,
            how: ran.how,
            key: Some(&known.key),
            layer: ran.layer.as_ref(),
            parts: &known.parts,
            files: &files,
        };
        self.report.report(Event::Known(&known));
    }

    /// The step as the store knows it, or run now.
    fn settle(&self, known: &Known<'_>, unpacked: &mut Unpacked) -> Result<Ran, ExecError> {
        let ask = known.ask;
        if let Some(ran) = self.recall(known, "run")? {
            return Ok(ran);
        }
        // Who waits for another that runs the same step takes what that one made, so that both have one digest.
        let _lock = self.store.lock_step(&known.key)?;
        if let Some(ran) = self.recall(known, "run")? {
            return Ok(ran);
        }
        let secrets = known.mounts.secrets(&self.options.run).map_err(ExecError::from)?;
        foreign::check(ask.platform)?;
        let workshop = self.workshop.get(self.store, self.options.run.sandbox.as_ref())?;
        self.tell_single(&workshop);
        let kind = if workshop.is_single() { "run-single" } else { "run" };
        if workshop.is_single()
            && let Some(ran) = self.recall(known, kind)?
        {
            return Ok(ran);
        }
        if is_open(known.network) && self.options.run.no_network {
            return Err(RunError::NoNetwork.into());
        }
        let (ran, key) = self.execute(known, &secrets, &workshop, unpacked)?;
        cache::remember_run(self.store, kind, &key, ran.layer.as_ref())?;
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

    fn known<'k>(&self, ask: &'k Ask<'k>) -> Result<Known<'k>, RunError> {
        let (run, options) = (ask.run, self.options);
        let who = who(&run.user, ask.base)?;
        let environment = Environment::new(run, &who.home, options.layer.epoch);
        let mounts = Mounts::find(run, ask.sources)?;
        let network = network(run, options.run.network);
        let clock = match options.run.clock {
            None | Some(Clock::Real) => None,
            Some(Clock::Epoch) => Some(options.layer.epoch.seconds()),
        };
        let args = command::args(&run.command);
        let script = command::file(&run.command);
        let key = Key {
            parent: ask.layers.iter().map(|layer| &layer.diff_id).collect(),
            args: &args,
            script: match &script {
                Some(sandbox::Mount::File { bytes, .. }) => Some(&bytes.0),
                _ => None,
            },
            env: environment.pairs().collect(),
            ids: (who.user.uid, who.user.gid, &who.user.groups),
            workdir: &run.workdir,
            network: is_open(network),
            insecure: run.security == Security::Insecure,
            mounts: mounts.keys()?,
            epoch: options.layer.epoch.seconds(),
            clock,
            cleaners: options.run.cleaners.names(),
        };
        let parts = key.parts();
        let key = key.hash();
        // Without an answer, it is another step than one that has no network at all.
        let key = match network {
            Network::Locked => blake3::hash(format!("locked {key}").as_bytes()).to_hex().to_string(),
            _ => key,
        };
        Ok(Known { ask, who, environment, mounts, network, clock, key, parts })
    }

    fn recall(&self, known: &Known<'_>, kind: &str) -> Result<Option<Ran>, ExecError> {
        if !self.options.cache {
            return Ok(None);
        }
        let key = match self.session(known)? {
            Some(session) => session.key(&known.key),
            None => Some(known.key.clone()),
        };
        let Some(layer) = key.and_then(|key| cache::recall_run(self.store, kind, &key)) else {
            return Ok(None);
        };
        if let Some(session) = self.session(known)? {
            session.count(&known.key);
        }
        let Some(layer) = layer else {
            let changes = Changes::default();
            return Ok(Some(Ran {
                changes,
                layer: None,
                how: How::Cached,
                folder: None,
                reproducible: true,
            }));
        };
        let changes = layer::open(self.store, &layer)?;
        // The same tar, compressed as it is wanted now.
        let cache::Made { layer, how, .. } =
            cache::layer(self.store, &changes, "run", &known.ask.layer, true)?;
        Ok(Some(Ran { changes, layer: Some(layer), how, folder: None, reproducible: true }))
    }

    /// What answers the step, if its network is locked.
    fn session(&self, known: &Known<'_>) -> Result<Option<&Arc<Session>>, RunError> {
        match (known.network, &self.options.run.locked) {
            (Network::Locked, None) => Err(RunError::NoLock),
            (Network::Locked, session) => Ok(session.as_ref()),
            _ => Ok(None),
        }
    }

    fn execute(
        &self,
        known: &Known<'_>,
        secrets: &Secrets,
        workshop: &Workshop,
        unpacked: &mut Unpacked,
    ) -> Result<(Ran, String), ExecError> {
        let made = self.make(known, secrets, workshop, unpacked, Conditions::Usual)?;
        let (ask, epoch) = (known.ask, self.options.layer.epoch);
        let Made { staged, changes, settle, rewritten, key } = made;
        if changes.is_empty() {
            let ran = Ran { changes, layer: None, how: How::Unchanged, folder: None, reproducible: true };
            return Ok((ran, key));
        }
        let cache::Made { layer, .. } =
            cache::layer(self.store, &changes, "run", &ask.layer, self.options.cache)?;
        // Whether the store had it or not: the step was run.
        let how = How::Built { size: layer.descriptor.size() };
        let changes = layer::open(self.store, &layer)?;
        let folder = match rewritten {
            true => None,
            false => workshop.adopt(staged, &settle, (&layer, &changes), ask.base, epoch)?,
        };
        Ok((Ran { changes, layer: Some(layer), how, folder, reproducible: true }, key))
    }

    /// Starts the program, and collects what it changed.
    fn make(
        &self,
        known: &Known<'_>,
        secrets: &Secrets,
        workshop: &Workshop,
        unpacked: &mut Unpacked,
        conditions: Conditions,
    ) -> Result<Made, ExecError> {
        let ask = known.ask;
        let epoch = self.options.layer.epoch;
        unpacked.extend(workshop, ask.layers, ask.base, epoch)?;
        let mut held = known.mounts.mount(workshop, self.store, &self.options.run, epoch)?;
        let workdir = self.workdir(known)?;
        let staged = workshop.upper(unpacked, ask.base, &workdir, epoch)?;
        let flat = !workshop.sandbox().has_overlay();
        let lowers = if flat { Vec::new() } else { unpacked.folders() };
        let mut step = Step { lowers, flat, ..self.step(known, secrets, &mut held, &staged) };
        if conditions == Conditions::Varied {
            step.varied = true;
            step.env.reverse();
        }
        let (staged, exit, key) = self.start(known, secrets, step, workshop, staged, held)?;
        let (changes, settle, rewritten) = self.changes(known, workshop, &staged, &exit)?;
        Ok(Made { staged, changes, settle, rewritten, key })
    }

    /// Runs the step once more, where all that it can see of the machine is other than usual. Whether it changed the
    /// same; what not is reported.
    fn check(&self, ask: &Ask<'_>, ran: &Ran, unpacked: &mut Unpacked) -> Result<bool, ExecError> {
        let known = self.known(ask)?;
        let _lock = self.store.lock_step(&known.key)?;
        let secrets = known.mounts.secrets(&self.options.run).map_err(ExecError::from)?;
        foreign::check(ask.platform)?;
        let workshop = self.workshop.get(self.store, self.options.run.sandbox.as_ref())?;
        std::thread::sleep(LATER);
        let made = self.make(&known, &secrets, &workshop, unpacked, Conditions::Varied)?;
        let changes = made.changes;
        let layer = match changes.is_empty() {
            true => None,
            false => Some(cache::layer(self.store, &changes, "run", &ask.layer, self.options.cache)?.layer),
        };
        drop(made.staged);
        workshop.sweep();
        let tar = |layer: Option<&Layer>| layer.map(|layer| layer.diff_id.clone());
        let reproducible = tar(layer.as_ref()) == tar(ran.layer.as_ref());
        let mut files = Vec::new();
        if !reproducible {
            let again = layer.map_or(Ok(changes), |layer| layer::open(self.store, &layer))?;
            let options = diff::Options { times: false, ..diff::Options::default() };
            let scratch = || self.store.temp_file().map_err(std::io::Error::other);
            files = diff::changes(&ran.changes, &again, options, &scratch)?;
        }
        self.report.report(Event::Checked { step: ask.step, reproducible, files: &files });
        Ok(reproducible)
    }

    /// The working folder, if an earlier step has removed it: it is the user's then.
    fn workdir(&self, known: &Known<'_>) -> Result<Changes, ExecError> {
        let user = &known.who.user;
        let owner = Owner { user: user.uid.to_string(), group: Some(user.gid.to_string()) };
        let mkdir = Mkdir { path: known.ask.run.workdir.clone(), owner: Some(owner) };
        Ok(mkdir::changes(&mkdir, known.ask.base)?.changes)
    }

    fn step(&self, known: &Known<'_>, secrets: &Secrets, held: &mut Held, staged: &Staged) -> Step {
        let run = known.ask.run;
        let mut mounts = std::mem::take(&mut held.mounts);
        mounts.extend(command::file(&run.command));
        mounts.extend(secrets.files.iter().cloned());
        Step {
            lowers: Vec::new(),
            flat: false,
            upper: staged.fs(),
            scratch: staged.work(),
            args: command::args(&run.command),
            env: match known.network {
                Network::Locked => known.environment.locked().whole(&[], &secrets.variables),
                _ => known.environment.whole(&run.proxies, &secrets.variables),
            },
            cwd: run.workdir.clone().into_bytes(),
            user: known.who.user.clone(),
            hostname: HOSTNAME.into(),
            network: match known.network {
                Network::Default | Network::Host => sandbox::Network::Host,
                Network::None | Network::Unsaid => sandbox::Network::None,
                Network::Locked => sandbox::Network::Served { port: proxy::PORT },
            },
            insecure: run.security == Security::Insecure,
            mounts,
            limits: self.options.run.limits.clone(),
            clock: known.clock,
            terminal: false,
            varied: false,
        }
    }

    /// Runs the program; gives the folder back that it wrote to, how it ended, and its whole key, if it succeeded.
    fn start(
        &self,
        known: &Known<'_>,
        secrets: &Secrets,
        mut step: Step,
        workshop: &Workshop,
        staged: Staged,
        held: Held,
    ) -> Result<(Staged, Exit, String), RunError> {
        let (file, path) = self.store.step_log(&known.key[..16])?;
        let masked = Masked::new(secrets.all.iter());
        // What the second run says was said by the first.
        let report: &dyn Report = if step.varied { &Silent } else { self.report };
        let mut output = Output::new(report, known.ask.step, masked, file);
        let session = self.session(known)?;
        let mut proxy = session.map(Proxy::new).transpose()?;
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
        let exit = exit?;
        let (key, refused) = self.answered(known, outcome)?;
        if let Some(text) = unapplied(&exit.unapplied) {
            self.report.report(Event::Warning { text: &text });
        }
        if exit.success() {
            logged.map_err(|error| RunError::Log { path, error })?;
            for refusal in refused {
                let text = format!("a request of the step that succeeded all the same: {refusal}");
                self.report.report(Event::Warning { text: &text });
            }
            return Ok((staged, exit, key));
        }
        let kept =
            debug::keep(self.store, workshop, &step, secrets, [staged].into_iter().chain(held.folders));
        if let Err(error) = &kept {
            log::warn!("keeping the state in which the step failed: {error}");
        }
        let offline = known.network != Network::Locked && !is_open(known.network) && misses_network(&tail);
        Err(Box::new(Failure {
            command: command::text(&known.ask.run.command),
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

    /// What a step's requests came to: its whole key, and what was refused.
    fn answered(
        &self,
        known: &Known<'_>,
        outcome: Option<Outcome>,
    ) -> Result<(String, Vec<Refusal>), RunError> {
        let (Some(outcome), Some(session)) = (outcome, self.session(known)?) else {
            return Ok((known.key.clone(), Vec::new()));
        };
        if let Some(error) = outcome.broken {
            return Err(error.into());
        }
        Ok((session.remember(&known.key, &outcome.asked)?, outcome.refused))
    }

    fn changes(
        &self,
        known: &Known<'_>,
        workshop: &Workshop,
        staged: &Staged,
        exit: &Exit,
    ) -> Result<(Changes, Settle, bool), RunError> {
        let base = known.ask.base;
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
