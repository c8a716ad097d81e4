//! What all stages of one lowering share.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    LowerOptions, Purpose,
    base::Start,
    from::Head,
    scope::{self, Globals, Scope},
};
use crate::buildfile::{
    check::Lints,
    diagnostic::Diagnostic,
    expansion::Expander,
    instruction::Instruction,
    source::Span,
    syntax::{Buildfile, Statement},
};
use crate::oci::{ImageConfig, Platform};
use crate::plan::{Resolve, ResolveError, ResolvedImage};
use crate::text::closest;

/// The state of a lowering.
pub(in crate::buildfile) struct World<'a> {
    pub(super) file: &'a Buildfile,
    pub(super) options: &'a LowerOptions<'a>,
    pub(super) resolve: &'a mut dyn Resolve,
    pub(super) purpose: Purpose,
    pub(super) lints: Lints,
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    /// The target platform.
    pub(super) platform: Platform,
    pub(super) globals: Globals,
    pub(super) stages: Vec<StageState>,
    /// The last stage of each name.
    pub(super) names: BTreeMap<String, usize>,
    /// Images already asked for; None for those that can't be had.
    pub(super) images: BTreeMap<(String, Platform), Option<ResolvedImage>>,
}

/// How far a stage has come.
#[derive(Debug)]
pub(super) struct StageState {
    pub(super) head: Head,
    /// What it stands on, once resolved.
    pub(super) start: Option<Start>,
    /// From the base's `ONBUILD`.
    pub(super) triggers: Vec<Statement>,
    /// What stages that stand on it get.
    pub(super) finished: Option<Finished>,
}

/// The result of a stage, for those that begin with it.
#[derive(Debug, Clone)]
pub(super) struct Finished {
    pub(super) config: ImageConfig,
    pub(super) scope: Scope,
    pub(super) platform: Platform,
    pub(super) workdir_set: bool,
    /// The image at the bottom whose config is not at hand.
    pub(super) unknown: Option<String>,
}

impl<'a> World<'a> {
    /// # Errors
    /// If the global arguments can't be expanded.
    pub(super) fn new(
        file: &'a Buildfile,
        options: &'a LowerOptions<'a>,
        resolve: &'a mut dyn Resolve,
        purpose: Purpose,
        lints: Lints,
    ) -> Result<Self, Diagnostic> {
        Ok(Self {
            globals: globals(file, options, true)?,
            platform: options.target_platform(),
            file,
            options,
            resolve,
            purpose,
            lints,
            errors: Vec::new(),
            warnings: Vec::new(),
            stages: Vec::new(),
            names: BTreeMap::new(),
            images: BTreeMap::new(),
        })
    }

    pub(super) fn expander(&self) -> Expander {
        Expander::new(self.file.escape())
    }

    pub(super) fn options(&self) -> &'a LowerOptions<'a> {
        self.options
    }

    /// Asks the resolver; a check asks nothing of the network.
    pub(super) fn resolve(
        &mut self,
        ask: impl FnOnce(&mut dyn Resolve) -> Result<(), ResolveError>,
    ) -> Result<(), ResolveError> {
        if self.purpose == Purpose::Check { Ok(()) } else { ask(self.resolve) }
    }

    /// What people call a stage.
    pub(super) fn stage_name(&self, index: usize) -> String {
        let name = self.file.stages[index].from.instruction.name.as_ref();
        name.map_or_else(|| format!("stage-{index}"), |name| name.name.clone())
    }

    /// The stage of a name, in any case.
    pub(super) fn stage_named(&self, name: &str) -> Option<usize> {
        self.names.get(&name.to_lowercase()).copied()
    }

    /// A build argument that the file declares nowhere has no effect, which is rarely what was meant.
    pub(super) fn warn_of_unused_arguments(&mut self) {
        let declared = declared(self.file);
        for name in self.options.build_args.keys() {
            if declared.contains(name.as_str()) || scope::is_predefined(name) {
                continue;
            }
            let message = format!("build argument `{name}` is not consumed: no `ARG` declares it");
            let mut warning = Diagnostic::warning("unused-build-arg", Span::NONE, message);
            if let Some(near) = closest(name, declared.iter().copied()) {
                warning = warning.help(format!("did you mean `{near}`?"));
            }
            self.warnings.push(warning);
        }
    }
}

/// The global arguments of a file; with `overridden` false, as if no build argument were given for them.
pub(super) fn globals(
    file: &Buildfile,
    options: &LowerOptions<'_>,
    overridden: bool,
) -> Result<Globals, Diagnostic> {
    let last = file.stages.last().and_then(|stage| stage.from.instruction.name.as_ref());
    let target = options.target.as_deref().or(last.map(|name| name.name.as_str())).unwrap_or_default();
    let expander = Expander::new(file.escape());
    Globals::read(&options.target_platform(), &file.globals, options, target, expander, overridden)
}

fn declared(file: &Buildfile) -> BTreeSet<&str> {
    let statements = file.stages.iter().flat_map(|stage| &stage.statements);
    let in_stages = statements.filter_map(|statement| match &statement.instruction {
        Instruction::Arg(arg) => Some(arg),
        Instruction::Onbuild(onbuild) => match onbuild.instruction.as_deref() {
            Some(Instruction::Arg(arg)) => Some(arg),
            _ => None,
        },
        _ => None,
    });
    let globals = file.globals.iter().map(|statement| &statement.instruction);
    globals.chain(in_stages).flat_map(|arg| &arg.definitions).map(|d| d.name.as_str()).collect()
}
