//! `--check-reproducible`: a step is run once more, where all that it can see of the machine is other than usual.

use std::borrow::Cow;
use std::time::Duration;

use super::super::foreign;
use super::super::workshop::Unpacked;
use super::{Ask, Prepared, Ran, Runner};
use crate::diff;
use crate::exec::report::Event;
use crate::exec::{ExecError, cache};
use crate::layer::{self, Layer};
use crate::tree::Changes;

/// What a step's program sees of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    Usual,
    Varied,
}

/// So long a second run waits, that a clock of whole seconds shows another time.
const LATER: Duration = Duration::from_millis(1100);

impl Runner<'_> {
    /// Whether the step changes the same when it is run once more; what not is reported.
    pub(super) fn check(&self, ask: &Ask<'_>, ran: &Ran, unpacked: &mut Unpacked) -> Result<bool, ExecError> {
        let prepared = Prepared::new(ask, self.options, self.store)?;
        self.check_network(&prepared)?;
        let _lock = self.store.lock_step(&prepared.key)?;
        let secrets = prepared.mounts.secrets(&self.options.run).map_err(ExecError::from)?;
        foreign::check(ask.platform)?;
        let workshop = self.workshop.get(self.store, self.options.run.sandbox.as_ref())?;
        std::thread::sleep(LATER);
        let made = self.make(&prepared, &secrets, &workshop, unpacked, Conditions::Varied)?;
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
            let first = match (&ran.changes, &ran.layer) {
                (Some(changes), _) => Cow::Borrowed(changes),
                (None, Some(layer)) => Cow::Owned(layer::open(self.store, layer)?),
                (None, None) => Cow::Owned(Changes::default()),
            };
            files = diff::changes(&first, &again, options, &scratch)?;
        }
        self.report.report(Event::Checked { step: ask.step, reproducible, files: &files });
        Ok(reproducible)
    }
}
