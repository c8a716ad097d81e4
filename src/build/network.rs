//! Locked steps and the lock: who answers them in a build, and how their network is recorded.

use std::sync::Arc;

use super::outside::Outside;
use super::{BuildError, Request, Stages, clock, epoch, exec_options, parse, plan, wanted};
use crate::buildfile::Source;
use crate::exec::run::{Entitlement, RunOptions};
use crate::exec::{self, Report};
use crate::lock::Policy;
use crate::plan::{Network, Op, Plan, StageId};
use crate::proxy::{Moved, Options, ProxyError, Session, Unknown};
use crate::store::Store;

impl Outside {
    /// Who answers the locked steps of a build; nobody, without a lock.
    pub(super) fn session(&self, request: &Request, unknown: Unknown) -> Option<Arc<Session>> {
        let entries = self.with_lock(|memo| memo.lock().network.clone())?;
        let options = Options {
            http: self.contexts.http.clone(),
            unknown,
            strict: unknown == Unknown::Refused
                && self.with_lock(|memo| memo.policy()) == Some(Policy::Refuse),
            offline: self.contexts.offline,
            vendor: self.vendor.clone(),
            loopback: request.run.allow.contains(&Entitlement::NetworkLoopback),
        };
        Some(Arc::new(Session::new(&self.store, entries, options)))
    }
}

/// Asks the world whether it still answers as the lock says that locked steps were answered.
pub fn moved_network(outside: &Outside, request: &Request) -> Moved {
    outside.session(request, Unknown::Refused).map(|session| session.moved()).unwrap_or_default()
}

/// Runs the locked steps of all stages, or of those that the target needs, with what these stand on; and has the lock that
/// the outside was given know what they asked for, and nothing else. What it knew already is not asked again.
pub fn record_network(
    source: &Source,
    request: &Request,
    outside: &mut Outside,
    store: &Arc<Store>,
    report: &dyn Report,
) -> Result<(), BuildError> {
    if outside.with_lock(|memo| memo.policy()) != Some(Policy::Add) {
        return Ok(());
    }
    let file = parse(source)?;
    outside.set_modes(&file, request.modes);
    let mut used = None;
    // What the lock tells of images is enough to see that there are none.
    let plans = plan(&file, request, Stages::All, outside, &|_| {})?;
    if plans.iter().any(|plan| !locked_stages(plan, request).is_empty()) {
        let plans = plan(&file, request, Stages::Run, outside, &|_| {})?;
        let session = outside.session(request, Unknown::Recorded).expect("there is a lock");
        let (epoch, clock) = (epoch(&file, request)?, clock(&file, request));
        for whole in &plans {
            for target in locked_stages(whole, request) {
                let plan = Plan { target, ..whole.clone() };
                outside.fetch(&plan, request, source.name(), report)?;
                let locked = Some(Arc::clone(&session));
                let run = RunOptions { clock: Some(clock), locked, ..request.run.clone() };
                let options = exec_options(request, run, epoch, source.name());
                let options = exec::Options { tree: false, ..options };
                exec::execute(&plan, outside, store, &options, report)?;
            }
        }
        outside.save();
        used = Some(session.used());
    }
    outside.with_lock(|memo| memo.lock_mut().network = used.unwrap_or_default());
    Ok(())
}

/// The stages that have a locked step.
fn locked_stages(plan: &Plan, request: &Request) -> Vec<StageId> {
    let is_locked = |id: &StageId| {
        let mut steps = plan.stage(*id).steps.iter();
        steps.any(|step| matches!(&step.op, Some(Op::Run(run)) if run.network == Network::Locked))
    };
    wanted(plan, request).into_iter().filter(is_locked).collect()
}

impl From<ProxyError> for BuildError {
    fn from(error: ProxyError) -> Self {
        match error {
            ProxyError::Store(error) => Self::Outside(error.into()),
            error => Self::Exec(exec::run::RunError::from(error).into()),
        }
    }
}
