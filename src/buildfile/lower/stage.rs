//! One stage: its instructions in order, with the config and the variables as they are between them.

use std::collections::BTreeMap;

use super::{
    base::{self, Start},
    from::Ground,
    graph::Origin,
    onbuild, path,
    scope::{Scope, is_proxy},
    world::{Finished, World},
};
use crate::buildfile::{
    check::{self, Finding},
    diagnostic::Diagnostic,
    directive::CheckDirective,
    expansion::{Expander, Expansion, Lookup},
    source::Span,
    syntax::{Command, Pair, Statement, Word},
};
use crate::oci::{ImageConfig, Platform};
use crate::plan::{Op, Owner, Place, Stage, StageId, Step, TreeRef};

/// What an instruction's `lower` works on.
pub(in crate::buildfile) struct StageBuilder<'w, 'a> {
    pub(in crate::buildfile) world: &'w mut World<'a>,
    index: usize,
    pub(in crate::buildfile) config: ImageConfig,
    pub(in crate::buildfile) scope: Scope,
    /// A `WORKDIR` has been in this file's part of the image.
    pub(in crate::buildfile) workdir_set: bool,
    /// Where this stage's own instruction of that kind is.
    pub(in crate::buildfile) cmd: Option<Span>,
    pub(in crate::buildfile) entrypoint: Option<Span>,
    pub(in crate::buildfile) healthcheck: Option<Span>,
    platform: Platform,
    unknown: Option<String>,
    steps: Vec<Step>,
    now: Now,
}

/// The statement that is being lowered.
#[derive(Debug, Clone, Default)]
struct Now {
    keyword: Word,
    original: String,
    span: Span,
    line: usize,
    check: Option<CheckDirective>,
    /// Of a trigger: the place of the base that it comes from, where its own words have none.
    elsewhere: Option<Span>,
}

/// Lowers a needed stage; its base and the stages it copies from are finished.
pub(super) fn lower(world: &mut World<'_>, index: usize) -> Stage {
    let start = match world.stages[index].start.take() {
        Some(start) => Some(start),
        // Errors of other bases have been reported when they were asked for.
        None if matches!(world.stages[index].head.ground, Ground::Stage(_)) => base::start(world, index),
        None => None,
    };
    let Some(start) = start else { return world.unneeded(index) };
    let stage_base = start.base.clone();
    let triggers = std::mem::take(&mut world.stages[index].triggers);
    let name = world.file.stages[index].from.instruction.name.as_ref().map(|name| name.name.clone());
    let replaced = world.stages[index].head.replaced;
    let file = world.file;
    let mut stage = StageBuilder::new(world, index, start);
    if !replaced {
        stage.begin();
        for trigger in &triggers {
            stage.statement(trigger, Some(file.stages[index].from.instruction.base.span));
        }
        for statement in &file.stages[index].statements {
            stage.statement(statement, None);
        }
    }
    let (config, steps) = stage.finish();
    Stage { name, base: stage_base, steps, config }
}

impl<'w, 'a> StageBuilder<'w, 'a> {
    fn new(world: &'w mut World<'a>, index: usize, start: Start) -> Self {
        let below = match world.stages[index].head.ground {
            Ground::Stage(base) => world.stages[base].finished.as_ref(),
            _ => None,
        };
        let (scope, workdir_set) =
            below.map(|below| (below.scope.clone(), below.workdir_set)).unwrap_or_default();
        Self {
            world,
            index,
            config: start.config,
            scope,
            workdir_set,
            cmd: None,
            entrypoint: None,
            healthcheck: None,
            platform: start.platform,
            unknown: start.unknown,
            steps: Vec::new(),
            now: Now::default(),
        }
    }

    /// What a stage has before its first instruction.
    fn begin(&mut self) {
        self.config.config.on_build.clear();
        base::ensure_path(&mut self.config);
        self.scope.take_environment(&self.config.config.env);
        if !self.config.config.working_dir.starts_with(['/', '\\'])
            && !self.config.config.working_dir.is_empty()
        {
            self.config.config.working_dir = path::join("/", &self.config.config.working_dir);
        }
    }

    fn statement(&mut self, statement: &Statement, elsewhere: Option<Span>) {
        let from = &self.world.file.stages[self.index].from;
        self.now = Now {
            keyword: statement.keyword.clone(),
            original: statement.original.clone(),
            span: statement.span,
            line: if elsewhere.is_some() { from.line } else { statement.line },
            check: if elsewhere.is_some() { from.check.clone() } else { statement.check.clone() },
            elsewhere,
        };
        if let Err(error) = statement.instruction.lower(self) {
            let error = match elsewhere {
                Some(span) => onbuild::of_trigger(error, span, &statement.original),
                None => error,
            };
            self.world.errors.push(error);
        }
    }

    fn finish(self) -> (ImageConfig, Vec<Step>) {
        self.world.stages[self.index].finished = Some(Finished {
            config: self.config.clone(),
            scope: self.scope,
            platform: self.platform,
            workdir_set: self.workdir_set,
            unknown: self.unknown,
        });
        (self.config, self.steps)
    }
}

/// What the instructions use.
impl StageBuilder<'_, '_> {
    /// The instruction's keyword, as typed.
    pub(in crate::buildfile) fn keyword(&self) -> Word {
        self.now.keyword.clone()
    }

    /// The whole statement.
    pub(in crate::buildfile) fn span(&self) -> Span {
        self.now.span
    }

    /// The value of a word, with the variables from before the instruction.
    pub(in crate::buildfile) fn expand(&mut self, word: &Word) -> Result<String, Diagnostic> {
        let expansion = self.expansion(word)?;
        self.report_undefined(&expansion, word);
        Ok(expansion.text)
    }

    /// The values of pairs, all with the variables from before the instruction; and the instruction with them, as the
    /// history has it.
    pub(in crate::buildfile) fn expand_pairs(
        &mut self,
        keyword: &str,
        pairs: &[Pair],
    ) -> Result<(String, Vec<(String, String)>), Diagnostic> {
        let mut text = keyword.to_owned();
        let mut values = Vec::new();
        for pair in pairs {
            if pair.legacy {
                let span = pair.name.span.to(pair.value.span);
                self.lint(check::legacy_key_value_format(span, &self.keyword()));
            }
            let (name, value) = (self.expand(&pair.name)?, self.expand(&pair.value)?);
            text.push_str(&format!(" {name}={value}"));
            values.push((name, value));
        }
        Ok((text, values))
    }

    /// The words that a word becomes. The main implementation checks no variables here, and with `error=true`
    /// a finding more would be a build less.
    pub(in crate::buildfile) fn expand_words(&mut self, word: &Word) -> Result<Vec<String>, Diagnostic> {
        Ok(self.expansion(word)?.words)
    }

    fn expansion(&mut self, word: &Word) -> Result<Expansion, Diagnostic> {
        let expander: Expander = self.world.expander();
        let expansion = self.with_lookup(|lookup| expander.expand(word.as_str(), lookup));
        expansion.map_err(|error| error.at(word))
    }

    pub(in crate::buildfile) fn with_lookup<T>(&self, use_it: impl FnOnce(&Lookup<'_>) -> T) -> T {
        use_it(&|name| self.scope.variables.get(name).map(Into::into))
    }

    /// Tells the check of variables that have no value and are not declared.
    pub(in crate::buildfile) fn report_undefined(&mut self, expansion: &Expansion, word: &Word) {
        let findings: Vec<Finding> = expansion
            .unset
            .iter()
            .filter(|name| !self.scope.is_declared(name))
            .map(|name| {
                let mut finding = check::undefined_var(word.span, name, self.scope.variables.names());
                finding.note = self
                    .unknown
                    .as_ref()
                    .map(|image| format!("the environment of `{image}` is not at hand; it may set `{name}`"));
                finding
            })
            .collect();
        for finding in findings {
            self.lint(finding);
        }
    }

    pub(in crate::buildfile) fn lint(&mut self, finding: impl Into<Option<Finding>>) {
        if let Some(mut finding) = finding.into() {
            finding.span = self.now.elsewhere.unwrap_or(finding.span);
            self.world.lints.add(self.now.check.as_ref(), finding);
        }
    }

    /// The value of a build argument, if it was given.
    pub(in crate::buildfile) fn build_arg(&self, name: &str) -> Option<String> {
        self.world.options().build_arg(name)
    }

    /// The value that `FROM` lines see.
    pub(in crate::buildfile) fn global(&self, name: &str) -> Option<String> {
        self.world.globals.variables.get(name).map(Into::into)
    }

    /// `NAME=value` of the proxies among the build arguments, in both cases, sorted.
    pub(in crate::buildfile) fn proxies(&self) -> Vec<String> {
        let given = self.world.options().build_args.iter().filter(|(name, _)| is_proxy(name));
        let both = given.flat_map(|(name, value)| {
            [name.to_uppercase(), name.to_lowercase()].map(|name| (name, value.clone()))
        });
        let both: BTreeMap<String, String> = both.collect();
        both.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Adds the instruction's line to the image's history.
    pub(in crate::buildfile) fn commit(&mut self, created_by: String, op: Option<Op>) {
        self.commit_sources(created_by, op, &[]);
    }

    /// The same for a copy, with the places of its sources.
    pub(in crate::buildfile) fn commit_sources(
        &mut self,
        created_by: String,
        op: Option<Op>,
        sources: &[Span],
    ) {
        let place = |span: Span| {
            let span = self.now.elsewhere.unwrap_or(span);
            span.start..span.end
        };
        let place = Place {
            line: self.now.line,
            statement: place(self.now.span),
            sources: sources.iter().copied().map(place).collect(),
        };
        let text = self.now.original.clone();
        self.steps.push(Step { op, created_by, text, place });
    }

    /// The words that run a shell form.
    pub(in crate::buildfile) fn shell(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self.config.config.shell.as_deref() {
            Some(shell) if !shell.is_empty() => shell.to_vec(),
            _ if self.config.platform.os == "windows" => words(&["cmd", "/S", "/C"]),
            _ => words(&["/bin/sh", "-c"]),
        }
    }

    /// The words of a command, for `CMD` and `ENTRYPOINT`.
    pub(in crate::buildfile) fn command(&mut self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.iter().map(|word| word.text.clone()).collect(),
            Command::Shell(word) => {
                if self.config.config.shell.as_ref().is_none_or(Vec::is_empty) {
                    self.lint(check::json_args_recommended(&self.keyword()));
                }
                let mut words = self.shell();
                words.push(word.text.clone());
                words
            }
        }
    }

    /// The working folder: absolute and clean.
    pub(in crate::buildfile) fn workdir(&self) -> String {
        path::join("/", &self.config.config.working_dir)
    }

    /// Where files come from that `--from` names.
    pub(in crate::buildfile) fn origin(
        &mut self,
        word: &Word,
        numbered: bool,
    ) -> Result<TreeRef, Diagnostic> {
        let origin = Origin { word, numbered };
        match self.world.stage_of(origin)? {
            Some(index) if index < self.index => Ok(TreeRef::Stage(StageId(index))),
            Some(_) => {
                let message = format!(
                    "cannot copy from stage `{}`, it needs to be defined before current stage `{}`",
                    word.text,
                    self.world.stage_name(self.index)
                );
                Err(Diagnostic::error("stage", word.span, message))
            }
            None => {
                let span = self.now.elsewhere.unwrap_or(word.span);
                // Without the image there is an error already; nothing is lost with the empty tree.
                Ok(self.world.outside(word.as_str(), word, span)?.unwrap_or(TreeRef::Empty))
            }
        }
    }
}

/// `user[:group]`; None for an empty text.
pub(in crate::buildfile) fn owner(text: &str) -> Option<Owner> {
    if text.is_empty() {
        return None;
    }
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group.to_owned())),
        None => (text, None),
    };
    Some(Owner { user: user.to_owned(), group })
}
