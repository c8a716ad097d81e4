//! What a check says beside the language's own rules: what a build with these contexts would stop at.

use super::failure::missing_source;
use super::outside::Outside;
use crate::buildfile::check::check_planned;
use crate::buildfile::{Diagnostic, LowerOptions, Parsed, Span};
use crate::context::ContextSpec;
use crate::exec::copy::missing_sources;
use crate::plan::{self, Op, Step, TreeRef};
use crate::tree::ImagePath;

/// All that is wrong or likely wrong with a file, as [`crate::buildfile::check()`] has it, and with its steps: sources
/// of copies that are not in a context that is a folder.
pub fn check(parsed: &Parsed, options: &LowerOptions<'_>, outside: &mut Outside) -> Vec<Diagnostic> {
    outside.set_modes(&parsed.buildfile, None);
    let (plan, mut diagnostics) = check_planned(parsed, options, Some(&mut outside.facts_resolver()));
    for stage in plan.iter().flat_map(|plan| &plan.stages) {
        for step in &stage.steps {
            match &step.op {
                Some(Op::Copy(copy)) => diagnostics.extend(missing(copy, step, outside)),
                Some(Op::Run(_) | Op::Mkdir(_)) | None => {}
            }
        }
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    diagnostics.dedup();
    diagnostics
}

/// Errors for what is not in a folder. A folder that can't be read is for the build to tell.
fn missing(copy: &plan::Copy, step: &Step, outside: &Outside) -> Vec<Diagnostic> {
    let TreeRef::Context(name) = &copy.from else { return Vec::new() };
    if !matches!(outside.spec(name), Ok(ContextSpec::Folder(_))) {
        return Vec::new();
    }
    let Ok(opened) = outside.open(name) else { return Vec::new() };
    let tree = opened.tree(outside.modes);
    let ignored = |path: &ImagePath| opened.why_ignored(path);
    let found = missing_sources(copy, &tree, &ignored).into_iter().map(|missing| {
        let place = step.place_of(Some(&missing.pattern));
        missing_source(Span::new(place.start, place.end), &missing, outside)
    });
    found.collect()
}
