//! `FROM`: what each stage stands on, as far as the file alone says it.

use super::world::{self, StageState, World};
use crate::buildfile::{
    check::{self, Finding},
    diagnostic::Diagnostic,
    expansion::Expansion,
    instruction::From,
    source::Span,
    syntax::{Statement, Word},
};
use crate::oci::{Platform, Reference};
use crate::plan::Named;
use crate::text::nearest;

/// A `FROM` with its words expanded.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) ground: Ground,
    /// `--platform`.
    pub(super) platform: Option<Platform>,
    /// A named context stands in the stage's place: its instructions are not run.
    pub(super) replaced: bool,
}

/// What a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ground {
    Scratch,
    Stage(usize),
    /// An image, or a named context that is one.
    Image(String),
    /// A named context of files.
    Files(String),
    /// Nothing that could be made out; there is an error about it.
    Broken,
}

/// Reads all of them, needed or not: a typo in one is an error either way.
pub(super) fn read_all(world: &mut World<'_>) {
    report_invalid_defaults(world);
    let file = world.file;
    for (index, stage) in file.stages.iter().enumerate() {
        let head = read(world, &stage.from).unwrap_or_else(|error| {
            world.errors.push(error);
            Head { ground: Ground::Broken, platform: None, replaced: false }
        });
        world.stages.push(StageState { head, start: None, triggers: Vec::new(), finished: None });
        if let Some(name) = &stage.from.instruction.name {
            world.names.insert(name.name.clone(), index);
        }
    }
}

fn read(world: &mut World<'_>, statement: &Statement<From>) -> Result<Head, Diagnostic> {
    let from = &statement.instruction;
    let base = expand(world, statement, &from.base)?.text;
    if base.is_empty() {
        let message = format!("base name ({}) should not be blank", from.base.text);
        return Err(Diagnostic::error("from", from.base.span, message));
    }
    let platform = match &from.platform {
        Some(word) => Some(platform(world, statement, word)?),
        None => None,
    };
    if let Some(name) = &from.name
        && let Some(kind) = world.named(&name.name)
    {
        let ground = ground_of(kind, &name.name);
        return Ok(Head { ground, platform, replaced: true });
    }
    let ground = world.ground(&base, &from.base)?;
    Ok(Head { ground, platform, replaced: false })
}

fn ground_of(kind: Named, name: &str) -> Ground {
    match kind {
        Named::Image => Ground::Image(name.to_owned()),
        Named::Files => Ground::Files(name.to_owned()),
    }
}

impl World<'_> {
    /// The named context behind a name. `scratch` and `context` can't be replaced.
    pub(super) fn named(&self, name: &str) -> Option<Named> {
        let reserved = ["scratch", "context"].iter().any(|word| name.eq_ignore_ascii_case(word));
        if reserved { None } else { self.resolve.named(name) }
    }

    fn ground(&self, base: &str, word: &Word) -> Result<Ground, Diagnostic> {
        // Stages have lowercase names, and unlike `COPY --from`, this looks for what was written.
        if let Some(index) = self.names.get(base) {
            return Ok(Ground::Stage(*index));
        }
        if base == "scratch" {
            return Ok(Ground::Scratch);
        }
        check_reference(base, word).map_err(|error| match self.stage_named(base) {
            Some(_) => error.help(format!("the stage's name is `{}`", base.to_lowercase())),
            None => error,
        })?;
        if let Some(kind) = self.named(base) {
            return Ok(ground_of(kind, base));
        }
        Ok(Ground::Image(base.to_owned()))
    }
}

/// # Errors
/// If it can't be the name of an image.
pub(super) fn check_reference(name: &str, word: &Word) -> Result<(), Diagnostic> {
    name.parse::<Reference>()
        .map(drop)
        .map_err(|error| Diagnostic::error("reference", word.span, error.to_string()))
}

fn expand(world: &mut World<'_>, statement: &Statement<From>, word: &Word) -> Result<Expansion, Diagnostic> {
    let variables = &world.globals.variables;
    let lookup = |name: &str| variables.get(name).map(Into::into);
    let expansion = world.expander().expand(word.as_str(), &lookup).map_err(|error| error.at(word))?;
    let declared = &world.globals.declared;
    let undeclared = expansion.unset.iter().filter(|name| !declared.contains(*name));
    let findings: Vec<Finding> = undeclared
        .map(|name| check::undefined_arg_in_from(word.span, name, declared.iter().map(String::as_str)))
        .collect();
    for finding in findings {
        world.lints.add(statement.check.as_ref(), finding);
    }
    Ok(expansion)
}

fn platform(world: &mut World<'_>, statement: &Statement<From>, word: &Word) -> Result<Platform, Diagnostic> {
    let expansion = expand(world, statement, word)?;
    let suggest = |mut error: Diagnostic| {
        let names = || world.globals.variables.names();
        if let Some(near) = expansion.unset.iter().find_map(|name| nearest(name, names())) {
            error = error.help(format!("did you mean `${near}`?"));
        }
        error
    };
    if expansion.text.is_empty() {
        let message = format!("empty platform value from expression `{}`", word.text);
        return Err(suggest(Diagnostic::error("platform", word.span, message)));
    }
    let platform: Platform = expansion
        .text
        .parse()
        .map_err(|error| suggest(Diagnostic::error("platform", word.span, format!("{error}"))))?;
    warn_of_unknown(world, &platform, word.span);
    if let Some(finding) = platform_finding(world, &statement.instruction, word, &expansion, &platform) {
        world.lints.add(statement.check.as_ref(), finding);
    }
    Ok(platform)
}

/// It is taken as it is, but is rarely what was meant.
pub(super) fn warn_of_unknown(world: &mut World<'_>, platform: &Platform, span: Span) {
    let Some((name, known)) = platform.unknown() else { return };
    let message = format!("nothing is known of `{name}` in the platform `{platform}`");
    let warning = Diagnostic::warning("unknown-platform", span, message);
    world.warnings.push(warning.suggest(name, known.iter().copied()));
}

fn platform_finding(
    world: &World<'_>,
    from: &From,
    word: &Word,
    expansion: &Expansion,
    platform: &Platform,
) -> Option<Finding> {
    if !expansion.unset.is_empty() {
        return None;
    }
    if expansion.set.is_empty() {
        let stage = from.name.as_ref().map_or("", |name| name.name.as_str());
        return check::from_platform_flag_const_disallowed(word.span, &expansion.text, platform, stage);
    }
    let target = world.globals.variables.get("TARGETPLATFORM");
    let only_target = expansion.set.iter().eq(["TARGETPLATFORM"]);
    (only_target && target == Some(&expansion.text)).then(|| check::redundant_target_platform(word))
}

/// Each base must be possible without any build argument.
fn report_invalid_defaults(world: &mut World<'_>) {
    let Ok(globals) = world::globals(world.file, world.options, false) else { return };
    let lookup = |name: &str| globals.variables.get(name).map(Into::into);
    for from in world.file.stages.iter().map(|stage| &stage.from) {
        let base = &from.instruction.base;
        let Ok(expansion) = world.expander().expand(base.as_str(), &lookup) else { return };
        if expansion.text.to_lowercase().parse::<Reference>().is_err() {
            world.lints.add(from.check.as_ref(), check::invalid_default_arg_in_from(base));
        }
    }
}
