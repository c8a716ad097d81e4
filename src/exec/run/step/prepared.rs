//! What one RUN is, before anything of the machine is looked at: what it is known by, and what its program is to see.

use std::sync::Arc;

use super::super::command;
use super::super::environment::Environment;
use super::super::error::RunError;
use super::super::key::Key;
use super::super::mounts::{Held, Mounts, Secrets, View};
use super::super::user::{Who, who};
use super::{Ask, Ran};
use crate::exec::known::{Known, Part};
use crate::exec::report::{Event, Report};
use crate::exec::{ExecError, Options, mkdir};
use crate::oci::DiffId;
use crate::plan::{Clock, Mkdir, Network, Owner, Run, Security};
use crate::proxy::{self, Outcome, Refusal, Session};
use crate::sandbox::{self, Step};
use crate::store::Store;
use crate::store::roots::Staged;
use crate::tree::{Changes, Tree};

/// What every step of a build sees of its own, so that none sees the machine's.
const HOSTNAME: &str = "lith";

/// The kind under which it is remembered whom a step runs as. A change to how that is looked up is another kind.
const WHO: &str = "who-1";

/// A step with its key.
pub(super) struct Prepared<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) mounts: Mounts<'a>,
    pub(super) network: Network,
    /// What answers it, if its network is locked.
    pub(super) session: Option<&'a Arc<Session>>,
    /// Of all but what a locked network answers.
    pub(super) key: String,
    who: Who,
    environment: Environment,
    /// Where the clock stands, if it does.
    clock: Option<u64>,
    parts: Vec<(Part, String)>,
}

/// What the requests of a run came to.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// The whole key; none if the same requests may be answered otherwise in the next run.
    pub(super) key: Option<String>,
    pub(super) refused: Vec<Refusal>,
    /// What the lock ought to have had.
    pub(super) missing: Option<Refusal>,
}

/// Whether a step has a network.
pub(in crate::exec) fn has_network(run: &Run, unsaid: Network) -> bool {
    is_open(network(run, unsaid))
}

fn network(run: &Run, unsaid: Network) -> Network {
    if run.network == Network::Unsaid { unsaid } else { run.network }
}

pub(super) fn is_open(network: Network) -> bool {
    matches!(network, Network::Default | Network::Host)
}

/// Whom the step runs as: the layers say it, so that it is looked up in each stack of them once.
fn known_who(ask: &Ask<'_>, store: &Store) -> Result<Who, ExecError> {
    let Some(top) = ask.layers.last() else { return Ok(who(&ask.run.user, &*ask.base.get()?)?) };
    let layers: Vec<&DiffId> = ask.layers.iter().map(|layer| &layer.diff_id).collect();
    let key = postcard::to_stdvec(&(layers, &ask.run.user)).expect("lith's own types can be written");
    let key = blake3::hash(&key).to_hex();
    if let Some(who) = store.memo(WHO, &key) {
        return Ok(who);
    }
    let who = who(&ask.run.user, &*ask.base.get()?)?;
    store.remember_with(WHO, &key, &who, vec![top.digest()])?;
    Ok(who)
}

impl<'a> Prepared<'a> {
    pub(super) fn new(ask: &'a Ask<'a>, options: &'a Options, store: &Store) -> Result<Self, ExecError> {
        let run = ask.run;
        let who = known_who(ask, store)?;
        let environment = Environment::new(run, &who.home, options.layer.epoch);
        let mounts = Mounts::find(run, ask.sources)?;
        let network = network(run, options.run.network);
        let session = match network {
            Network::Locked => Some(options.run.locked.as_ref().ok_or(RunError::NoLock)?),
            _ => None,
        };
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
        Ok(Self { ask, mounts, network, session, key, who, environment, clock, parts })
    }

    /// The key with what a locked network answers; none if that isn't known before the step is run.
    pub(super) fn whole_key(&self) -> Option<String> {
        match self.session {
            Some(session) => session.key(&self.key),
            None => Some(self.key.clone()),
        }
    }

    /// What the requests of a run came to.
    pub(super) fn answered(&self, outcome: Option<Outcome>) -> Result<Answered, RunError> {
        let (Some(outcome), Some(session)) = (outcome, self.session) else {
            return Ok(Answered { key: Some(self.key.clone()), ..Answered::default() });
        };
        if let Some(error) = outcome.broken {
            return Err(error.into());
        }
        let key = session.remember(&self.key, &outcome.asked)?;
        Ok(Answered {
            key: (!outcome.unrecorded).then_some(key),
            refused: outcome.refused,
            missing: outcome.missing.filter(|_| session.is_strict()),
        })
    }

    /// The working folder, if an earlier step has removed it: it is the user's then.
    pub(super) fn workdir(&self, base: &Tree) -> Result<Changes, ExecError> {
        let user = &self.who.user;
        let owner = Owner { user: user.uid.to_string(), group: Some(user.gid.to_string()) };
        let mkdir = Mkdir { path: self.ask.run.workdir.clone(), owner: Some(owner) };
        Ok(mkdir::changes(&mkdir, base)?.changes)
    }

    /// What the sandbox is asked for, but for the layers.
    pub(super) fn sandbox_step(
        &self,
        options: &Options,
        secrets: &Secrets,
        held: &mut Held,
        staged: &Staged,
    ) -> Step {
        let run = self.ask.run;
        let mut mounts = std::mem::take(&mut held.mounts);
        mounts.extend(command::file(&run.command));
        mounts.extend(secrets.files.iter().cloned());
        Step {
            lowers: Vec::new(),
            flat: false,
            upper: staged.fs(),
            scratch: staged.work(),
            args: command::args(&run.command),
            env: match self.network {
                Network::Locked => self.environment.locked().whole(&[], &secrets.variables),
                _ => self.environment.whole(&run.proxies, &secrets.variables),
            },
            cwd: run.workdir.clone().into_bytes(),
            user: self.who.user.clone(),
            hostname: HOSTNAME.into(),
            network: match self.network {
                Network::Default | Network::Host => sandbox::Network::Host,
                Network::None | Network::Unsaid => sandbox::Network::None,
                Network::Locked => sandbox::Network::Served { port: proxy::PORT },
            },
            insecure: run.security == Security::Insecure,
            mounts,
            limits: options.run.limits.clone(),
            clock: self.clock,
            terminal: false,
            varied: false,
        }
    }

    /// Tells what the step is known by.
    pub(super) fn tell(&self, ran: &Ran, report: &dyn Report) {
        let Ask { step, line, .. } = *self.ask;
        let views = self.mounts.views();
        let files: Vec<_> = views.iter().map(View::files).collect();
        let mut parts = self.parts.clone();
        let answers = self.session.map(|session| session.answers(&self.key)).unwrap_or_default();
        parts.extend(answers.into_iter().map(|(request, answer)| (Part::Answer(request), answer)));
        let known = Known {
            step,
            line,
            expanded: step.text,
            how: ran.how,
            key: Some(&self.key),
            layer: ran.layer.as_ref(),
            parts: &parts,
            files: &files,
        };
        report.report(Event::Known(&known));
    }
}
