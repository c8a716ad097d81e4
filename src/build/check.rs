//! What a check says beside the language's own rules: what a build with these contexts would stop at.

use super::failure::missing_source;
use super::outside::Outside;
use crate::buildfile::check::check_planned;
use crate::buildfile::{Diagnostic, LowerOptions, Parsed, Span};
use crate::context::ContextSpec;
use crate::exec::copy::missing_sources;
use crate::plan::{self, Op, StageId, Step, TreeRef};
use crate::tree::ImagePath;

/// All that is wrong or likely wrong with a file, as [`crate::buildfile::check()`] has it, and with its steps: those
/// that the target needs and that can't be run, and sources of copies that are not in a context that is a folder.
pub fn check(parsed: &Parsed, options: &LowerOptions<'_>, outside: &Outside) -> Vec<Diagnostic> {
    let (plan, mut diagnostics) = check_planned(parsed, options, Some(&mut outside.resolver()));
    outside.set_modes(&parsed.buildfile, None);
    for (index, stage) in plan.iter().flat_map(|plan| plan.stages.iter().enumerate()) {
        let needed = plan.as_ref().is_some_and(|plan| plan.needed().contains(&StageId(index)));
        for step in &stage.steps {
            match &step.op {
                Some(Op::Run(_)) if needed => diagnostics.push(cannot_run(step)),
                Some(Op::Copy(copy)) => diagnostics.extend(missing(copy, step, outside)),
                Some(Op::Run(_) | Op::Mkdir(_)) | None => {}
            }
        }
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    diagnostics.dedup();
    diagnostics
}

fn cannot_run(step: &Step) -> Diagnostic {
    let span = Span::new(step.place.statement.start, step.place.statement.end);
    Diagnostic::warning("run-step", span, "this version of lith cannot run steps yet")
        .note("a build of what needs this step ends before it begins")
}

/// Errors for what is not in a folder. A folder that can't be read is for the build to tell.
fn missing(copy: &plan::Copy, step: &Step, outside: &Outside) -> Vec<Diagnostic> {
    let TreeRef::Context(name) = &copy.from else { return Vec::new() };
    if !matches!(outside.spec(name), Ok(ContextSpec::Folder(_))) {
        return Vec::new();
    }
    let Ok(opened) = outside.open(name) else { return Vec::new() };
    let tree = opened.tree(outside.modes());
    let ignored = |path: &ImagePath| opened.why_ignored(path);
    let found = missing_sources(copy, &tree, &ignored).into_iter().map(|missing| {
        let place = step.place_of(Some(&missing.pattern));
        missing_source(Span::new(place.start, place.end), &missing, outside)
    });
    found.collect()
}
