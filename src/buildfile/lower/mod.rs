//! Lowering: from the syntax tree to a [`Plan`] for one platform.
//!
//! [`from`] reads all `FROM` lines, [`graph`] finds out which stages the target needs, [`base`] asks the resolver for
//! what these stand on, [`onbuild`] adds the triggers that come with it, and [`stage`] goes through their
//! instructions, each of which has its `lower` in its own file. What several of them share is here too.
//! Invariants: nothing but the [`Resolve`] is asked about the outside; every error that can be found is in the
//! result; what is in a plan depends on the file, the options and the resolver's answers alone.

mod base;
mod copy;
mod from;
mod graph;
mod history;
mod mount;
mod onbuild;
mod options;
mod path;
mod scope;
mod stage;
#[cfg(test)]
pub(super) mod testing;
mod world;

pub use options::LowerOptions;

pub(super) use copy::{CopyForm, Kind as CopyKind};
pub(super) use history::{duration, list, quote, quoted_list};
pub(super) use path::{clean, join};
pub(super) use stage::{StageBuilder, owner};

use super::{
    check::{self, Lints},
    diagnostic::Diagnostic,
    directive::CheckDirective,
    source::Span,
    syntax::{Buildfile, Statement, Word},
};
use crate::plan::{Base, Plan, Resolve, Stage, StageId};
use world::World;

/// Makes a plan, with the warnings there are; or tells all that is wrong, warnings included.
///
/// # Errors
/// If a `FROM` or an instruction of a needed stage has no meaning, something can't be resolved, or a check finds
/// something and the file says that this is an error.
pub fn lower(
    file: &Buildfile,
    options: &LowerOptions<'_>,
    resolve: &mut dyn Resolve,
) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let (plan, diagnostics) = run(file, options, resolve, Purpose::Build);
    match plan {
        Some(plan) if !diagnostics.iter().any(Diagnostic::is_error) => Ok((plan, diagnostics)),
        _ => Err(diagnostics),
    }
}

/// The words of a statement that say where it takes files from, other than the build context.
pub(super) fn from_words(statement: &Statement) -> impl Iterator<Item = &Word> {
    graph::origins(statement).into_iter().map(|origin| origin.word)
}

/// The value of `SOURCE_DATE_EPOCH` that the file or its build arguments give, as typed.
pub fn source_date_epoch(file: &Buildfile, options: &LowerOptions<'_>) -> Option<String> {
    let globals = world::globals(file, options, true).ok()?;
    let value = options.build_arg("SOURCE_DATE_EPOCH");
    value.or_else(|| globals.variables.get("SOURCE_DATE_EPOCH").map(Into::into)).filter(|v| !v.is_empty())
}

/// What the lowering is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Build,
    /// Only the diagnostics count: all stages are read unless there is a target, and images that are not at hand
    /// are taken as unknown.
    Check,
}

pub(super) fn run(
    file: &Buildfile,
    options: &LowerOptions<'_>,
    resolve: &mut dyn Resolve,
    purpose: Purpose,
) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut unknown = Vec::new();
    let lints = match directive(file, options) {
        Ok(directive) => {
            unknown.extend(directive.as_ref().into_iter().flat_map(check::unknown_names));
            Lints::new(directive)
        }
        Err(error) => return (None, vec![error]),
    };
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let mut plan = None;
    match World::new(file, options, resolve, purpose, lints) {
        Ok(mut world) => {
            check::tree(file, &mut world.lints);
            from::warn_of_unknown(&mut world, &options.target_platform(), Span::NONE);
            world.warnings.extend(unknown);
            plan = world.lower();
            world.warn_of_unused_arguments();
            let (found, error) = world.lints.finish();
            errors = world.errors;
            errors.extend(error);
            warnings = world.warnings;
            warnings.extend(found);
        }
        Err(error) => errors.push(error),
    }
    let mut diagnostics = errors;
    diagnostics.extend(warnings);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    diagnostics.dedup();
    (plan, diagnostics)
}

/// Which checks run: the file says it, unless the build argument that docker has for this does.
fn directive(file: &Buildfile, options: &LowerOptions<'_>) -> Result<Option<CheckDirective>, Diagnostic> {
    const ARGUMENT: &str = "BUILDKIT_DOCKERFILE_CHECK";
    let Some(text) = options.build_args.get(ARGUMENT) else { return Ok(file.directives.check.clone()) };
    let directive = CheckDirective::read(&Word::new(text, Span::default())).map_err(|option| {
        let message = format!("invalid check option `{}` in the build argument `{ARGUMENT}`", option.text);
        Diagnostic::error("invalid-directive", Span::NONE, message)
    })?;
    Ok(Some(directive))
}

impl World<'_> {
    /// None if it found no target or there are errors that leave nothing to plan.
    fn lower(&mut self) -> Option<Plan> {
        from::read_all(self);
        let target = graph::target(self);
        graph::report_cycles(self);
        if target.is_none() || !self.errors.is_empty() && self.purpose == Purpose::Build {
            return None;
        }
        let target = target?;
        let needed = graph::needed(self, target);
        let mut stages = Vec::new();
        for index in 0..self.file.stages.len() {
            stages.push(if needed.contains(&index) {
                stage::lower(self, index)
            } else {
                self.unneeded(index)
            });
        }
        let config = &mut stages[target].config;
        config.config.labels.extend(self.options.labels.clone());
        if let Some(platform) = &self.options.platform {
            base::set_platform(config, platform);
        }
        config.platform = config.platform.clone().normalized();
        Some(Plan { stages, target: StageId(target) })
    }

    /// A stage keeps its number, so that others and people can refer to it.
    fn unneeded(&self, index: usize) -> Stage {
        let name = self.file.stages[index].from.instruction.name.as_ref().map(|name| name.name.clone());
        Stage { name, base: Base::Scratch, steps: Vec::new(), config: base::empty(&self.platform) }
    }
}

#[cfg(test)]
mod tests;
