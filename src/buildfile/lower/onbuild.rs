//! `ONBUILD` triggers: instructions that a base has left for the stages that begin with it.
//!
//! They run right after `FROM`, and are not in the image that comes of it.

use super::{from::Ground, world::World};
use crate::buildfile::{
    diagnostic::Diagnostic, instruction::Instruction, parse::parse_trigger, source::Source, syntax::Statement,
};

/// The triggers of a stage, from the image that it stands on or from the stage. Errors in them are at its `FROM`.
pub(super) fn triggers(world: &mut World<'_>, index: usize) -> Vec<Statement> {
    let expressions: Vec<String> = match world.stages[index].head.ground {
        // The context that stands in its place has no instructions.
        Ground::Stage(base) if world.stages[base].head.replaced => Vec::new(),
        Ground::Stage(base) => world.file.stages[base]
            .statements
            .iter()
            .filter_map(|statement| match &statement.instruction {
                Instruction::Onbuild(onbuild) => Some(onbuild.expression.clone()),
                _ => None,
            })
            .collect(),
        _ => world.stages[index]
            .start
            .as_mut()
            .map(|start| std::mem::take(&mut start.config.config.on_build))
            .unwrap_or_default(),
    };
    if world.stages[index].head.replaced {
        return Vec::new();
    }
    expressions.iter().filter_map(|expression| read(world, index, expression)).collect()
}

fn read(world: &mut World<'_>, index: usize, expression: &str) -> Option<Statement> {
    let trigger = parse_trigger(&Source::new("ONBUILD", expression.as_bytes()));
    let span = world.file.stages[index].from.instruction.base.span;
    let errors = trigger.diagnostics.into_iter().filter(Diagnostic::is_error);
    for error in errors {
        world.errors.push(of_trigger(error, span, expression));
    }
    trigger.statement
}

/// A diagnostic about a trigger's text, told at the `FROM` that brought it.
pub(super) fn of_trigger(
    diagnostic: Diagnostic,
    span: crate::buildfile::Span,
    expression: &str,
) -> Diagnostic {
    let shown: String = expression.chars().take(160).collect();
    Diagnostic { span, ..diagnostic }
        .note(format!("in the trigger `ONBUILD {}` of the base", shown.escape_debug()))
}
