//! Which stages refer to which, and which of them the target needs.

use std::collections::BTreeSet;

use super::{Purpose, base, from::Ground, onbuild, world::World};
use crate::buildfile::{
    diagnostic::Diagnostic,
    instruction::Instruction,
    source::Span,
    syntax::{Statement, Word},
};

/// Where an instruction takes files from, other than the build context.
#[derive(Debug, Clone, Copy)]
pub(in crate::buildfile) struct Origin<'a> {
    pub(super) word: &'a Word,
    /// `COPY --from` takes numbers, mounts don't.
    pub(super) numbered: bool,
}

/// The `--from`s of a statement.
pub(super) fn origins(statement: &Statement) -> Vec<Origin<'_>> {
    match &statement.instruction {
        Instruction::Copy(copy) => copy.from.iter().map(|word| Origin { word, numbered: true }).collect(),
        Instruction::Run(run) => {
            let fields = run.mounts.iter().flat_map(|mount| &mount.fields);
            let from = fields.filter(|field| field.key.text.eq_ignore_ascii_case("from"));
            from.filter_map(|field| field.value.as_ref())
                .map(|word| Origin { word, numbered: false })
                .collect()
        }
        _ => Vec::new(),
    }
}

impl World<'_> {
    /// The stage that is meant; None for what is no stage.
    ///
    /// # Errors
    /// If it is a number without a stage.
    pub(super) fn stage_of(&self, origin: Origin<'_>) -> Result<Option<usize>, Diagnostic> {
        let text = origin.word.as_str();
        let number = text.strip_prefix(['+', '-']).unwrap_or(text);
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        if !origin.numbered || !is_number {
            return Ok(self.stage_named(text));
        }
        let index = text.trim_start_matches('+').parse::<usize>().ok();
        index.filter(|index| *index < self.stages.len()).map(Some).ok_or_else(|| {
            let message = format!("invalid stage index {text}");
            let help = match self.stages.len() {
                1 => "there is one stage, number 0".to_owned(),
                count => format!("there are {count} stages, numbered from 0 to {}", count - 1),
            };
            Diagnostic::error("stage", origin.word.span, message).help(help)
        })
    }
}

/// The stage to build, by its name: `--target` takes no numbers.
pub(super) fn target(world: &mut World<'_>) -> Option<usize> {
    let Some(wanted) = &world.options.target else { return world.stages.len().checked_sub(1) };
    let found = world.stage_named(wanted);
    if found.is_none() {
        let error = no_target(world, wanted);
        world.errors.push(error);
    }
    found
}

fn no_target(world: &World<'_>, wanted: &str) -> Diagnostic {
    let names: Vec<&str> = world.names.keys().map(String::as_str).collect();
    let message = format!("target stage `{wanted}` could not be found");
    let error = Diagnostic::error("target", Span::NONE, message).suggest(wanted, names.iter().copied());
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let error = error.note(match quoted.as_slice() {
        [] => "no stage has a name: `FROM … AS name` gives one".to_owned(),
        [name] => format!("there is the stage {name}"),
        names => format!("there are the stages {}", names.join(", ")),
    });
    let last = world.file.stages.last().is_some_and(|stage| stage.from.instruction.name.is_none());
    if last { error.note("the last stage has no name; it is built without `--target`") } else { error }
}

/// Reports a stage that needs itself, and numbers without a stage, in all stages.
pub(super) fn report_cycles(world: &mut World<'_>) {
    let edges = edges(world);
    // Stages that need nothing unfinished are taken away until none is left, or all that are left need each other.
    let mut needs: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut needed_by = vec![Vec::new(); edges.len()];
    for (stage, (to, _)) in edges.iter().enumerate().flat_map(|(i, to)| to.iter().map(move |to| (i, to))) {
        needed_by[*to].push(stage);
    }
    let mut free: Vec<usize> = (0..edges.len()).filter(|stage| needs[*stage] == 0).collect();
    while let Some(stage) = free.pop() {
        for other in &needed_by[stage] {
            needs[*other] -= 1;
            if needs[*other] == 0 {
                free.push(*other);
            }
        }
    }
    let Some(mut at) = needs.iter().position(|count| *count > 0) else { return };
    // From any of them, a walk along its needs comes to a circle.
    let mut walked = BTreeSet::new();
    let mut span = Span::default();
    while walked.insert(at) {
        let Some((to, place)) = edges[at].iter().find(|(to, _)| needs[*to] > 0) else { return };
        (at, span) = (*to, *place);
    }
    let message = format!("circular dependency detected on stage: {}", world.stage_name(at));
    world.errors.push(
        Diagnostic::error("cycle", span, message)
            .help("a stage copies from stages before it, never from itself"),
    );
}

/// For each stage, the stages that it refers to, and where.
fn edges(world: &mut World<'_>) -> Vec<Vec<(usize, Span)>> {
    let file = world.file;
    let mut edges = Vec::new();
    for (index, stage) in file.stages.iter().enumerate() {
        let mut to = Vec::new();
        let head = &world.stages[index].head;
        if let Ground::Stage(base) = head.ground {
            to.push((base, stage.from.span));
        }
        let statements = if head.replaced { &[] } else { stage.statements.as_slice() };
        for origin in statements.iter().flat_map(origins) {
            match world.stage_of(origin) {
                Ok(Some(other)) => to.push((other, origin.word.span)),
                Ok(None) => {}
                Err(error) => world.errors.push(error),
            }
        }
        edges.push(to);
    }
    edges
}

/// The stages that a target needs. Resolves the images at the bottom of them, for their triggers may need more.
pub(super) fn needed(world: &mut World<'_>, target: usize) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut waiting = vec![target];
    let all = world.purpose == Purpose::Check || world.options.all_stages;
    if all && world.options.target.is_none() {
        waiting.extend(0..world.stages.len());
    }
    while let Some(index) = waiting.pop() {
        if !needed.insert(index) {
            continue;
        }
        if let Ground::Stage(base) = world.stages[index].head.ground {
            waiting.push(base);
        } else {
            world.stages[index].start = base::start(world, index);
        }
        world.stages[index].triggers = onbuild::triggers(world, index);
        waiting.extend(referred(world, index));
    }
    needed
}

/// The earlier stages that a stage's instructions and triggers copy from.
fn referred(world: &World<'_>, index: usize) -> Vec<usize> {
    let stage = &world.stages[index];
    if stage.head.replaced {
        return Vec::new();
    }
    let statements = stage.triggers.iter().chain(&world.file.stages[index].statements);
    let origins = statements.flat_map(origins);
    origins.filter_map(|origin| world.stage_of(origin).ok()?).filter(|other| *other < index).collect()
}
