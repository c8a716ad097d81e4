//! One build and the one before: what each step's reasons are.

use std::collections::BTreeSet;

use super::cause::{Cause, FileChange, Told};
use super::manifest::{KIND, Manifest};
use super::trace::{Asked, BaseTrace, FilesTrace, StageTrace, StepTrace, Trace};
use crate::exec::Part;
use crate::store::Store;

/// More files of one step help nobody.
const FILES: usize = 20;

/// The build before, and what of this one is known so far.
pub(super) struct Comparison<'a> {
    pub(super) store: &'a Store,
    pub(super) old: &'a Trace,
    pub(super) asked: &'a Asked,
    /// The stages with the steps that are done.
    pub(super) stages: &'a [StageTrace],
}

/// What tells, of a step's files by their place in its trace, why a path is not in the source.
pub(super) type WhyLeftOut<'a> = dyn Fn(usize, &crate::tree::ImagePath) -> Option<String> + 'a;

impl Comparison<'_> {
    /// The step of the build before that a step is compared with: the one with the same text, or else with the same
    /// number, if that one's text is not in the stage any more.
    pub(super) fn before<'o>(old: &'o Trace, stage: &str, step: &StepTrace) -> Option<&'o StepTrace> {
        let stage = old.stages.iter().find(|old| old.name == stage)?;
        let same_number = stage.steps.iter().find(|old| old.number == step.number);
        let same = |old: &&StepTrace| old.text == step.text;
        same_number
            .filter(same)
            .or_else(|| stage.steps.iter().find(same))
            .or_else(|| same_number.filter(|old| verb(&old.text) == verb(&step.text)))
    }

    /// Why a step isn't what it was; nothing, if as far as is known it is.
    pub(super) fn causes(&self, stage: &str, step: &StepTrace, left_out: &WhyLeftOut<'_>) -> Vec<Cause> {
        let Some(was) = Self::before(self.old, stage, step) else { return vec![Cause::New] };
        let mut causes = Vec::new();
        if was.text != step.text {
            causes.push(Cause::Instruction { was: was.text.clone(), is: step.text.clone() });
        } else if was.expanded != step.expanded {
            causes.push(Cause::Instruction { was: was.expanded.clone(), is: step.expanded.clone() });
        }
        self.parts(stage, was, step, &mut causes);
        // A command that changed is worth one line.
        if causes.len() > 1 && is_told_by_parts(was, step) {
            causes.remove(0);
        }
        if was.key != step.key {
            self.files(was, step, left_out, &mut causes);
        }
        if was.key != step.key
            && !causes.iter().any(|cause| matches!(cause, Cause::Base { .. } | Cause::Step { .. }))
        {
            causes.extend(settings(&self.old.asked, self.asked));
            if causes.is_empty() {
                causes.extend(self.below(stage, step.number));
            }
            if causes.is_empty() && was.key.is_some() && step.key.is_some() {
                causes.push(Cause::Unknown);
            }
        }
        causes
    }

    fn parts(&self, stage: &str, was: &StepTrace, is: &StepTrace, causes: &mut Vec<Cause>) {
        let names: BTreeSet<&Part> = was.parts.keys().chain(is.parts.keys()).collect();
        let mut answers = 0_usize;
        for part in names {
            let (was, value) = (was.parts.get(part).cloned(), is.parts.get(part).cloned());
            if was == value {
                continue;
            }
            if matches!(part, Part::Answer(_)) {
                answers += 1;
                if answers > FILES {
                    continue;
                }
            }
            causes.push(match part {
                Part::Below => self.below(stage, is.number).unwrap_or(Cause::Part {
                    part: Part::Below,
                    was: None,
                    is: None,
                }),
                Part::Variable(name) if self.is_argument(name) => {
                    Cause::Argument { name: name.clone(), was, is: value }
                }
                // It is no more than the others say, where they are; the instruction's text says it too.
                Part::Operation if !causes.is_empty() => continue,
                part => Cause::Part { part: part.clone(), was, is: value },
            });
        }
        let more = answers.saturating_sub(FILES);
        causes.extend((more > 0).then_some(Cause::More(more)));
    }

    fn is_argument(&self, name: &str) -> bool {
        self.asked.args.contains_key(name) || self.old.asked.args.contains_key(name)
    }

    fn files(&self, was: &StepTrace, is: &StepTrace, left_out: &WhyLeftOut<'_>, causes: &mut Vec<Cause>) {
        for (index, files) in is.files.iter().enumerate() {
            let before = was.files.get(index).filter(|before| before.what == files.what);
            let Some(before) = before.filter(|before| before.key != files.key) else { continue };
            let Some(mut changes) = self.changes(before, files) else {
                causes.push(Cause::Files { from: files.what.clone() });
                continue;
            };
            // The same file at another destination: that is the instruction's to tell.
            changes.retain(|change| !matches!(change, FileChange::Renamed { from, to } if from == to));
            let ignore =
                self.ignore_file(&files.what).filter(|_| changes.iter().any(FileChange::comes_or_goes));
            causes.extend(ignore);
            let more = changes.len().saturating_sub(FILES);
            changes.truncate(FILES);
            for change in &mut changes {
                if let FileChange::Removed { path, why } = change
                    && !path.in_image
                {
                    *why = left_out(index, &path.path);
                }
            }
            let from = (files.what != "the build context").then(|| files.what.clone());
            causes.extend(changes.into_iter().map(|change| Cause::File { from: from.clone(), change }));
            causes.extend((more > 0).then_some(Cause::More(more)));
        }
    }

    fn changes(&self, was: &FilesTrace, is: &FilesTrace) -> Option<Vec<FileChange>> {
        let load = |files: &FilesTrace| self.store.memo::<Manifest>(KIND, files.key.as_ref()?);
        Some(load(is)?.since(&load(was)?))
    }

    fn ignore_file(&self, context: &str) -> Option<Cause> {
        let (was, is) = (self.old.asked.ignore_files.get(context), self.asked.ignore_files.get(context));
        let (name, _) = is.or(was).filter(|_| was != is)?;
        Some(Cause::IgnoreFile { name: name.clone() })
    }

    /// The first thing below a step that changed: the base, or a step.
    fn below(&self, stage: &str, number: usize) -> Option<Cause> {
        let mut chain = Vec::new();
        let mut next = Some(stage);
        while let Some(found) = next.and_then(|name| self.stages.iter().find(|stage| stage.name == name)) {
            // A trace may say anything; a chain without end it can't have.
            if chain.len() > self.stages.len() {
                break;
            }
            chain.push(found);
            next = match &found.base {
                BaseTrace::Stage(base) => Some(base),
                _ => None,
            };
        }
        for found in chain.iter().rev() {
            let was = self.old.stages.iter().find(|old| old.name == found.name);
            if let Some(base) = was.and_then(|was| base_changed(was, found)) {
                return Some(base);
            }
            let own = found.name == stage;
            for step in found.steps.iter().filter(|step| !own || step.number < number) {
                let before = Self::before(self.old, &found.name, step);
                if before.is_none_or(|before| before.layer != step.layer) && step.layer.is_some() {
                    let (stage, text) = (found.name.clone(), step.text.clone());
                    return Some(Cause::Step { stage, number: step.number, text });
                }
            }
        }
        None
    }
}

impl FileChange {
    fn comes_or_goes(&self) -> bool {
        matches!(self, Self::Added(_) | Self::Removed { .. })
    }
}

/// Whether the texts differ in nothing but what a difference of parts tells better.
fn is_told_by_parts(was: &StepTrace, is: &StepTrace) -> bool {
    let command = |step: &StepTrace| step.parts.get(&Part::Command).cloned();
    was.text != is.text && command(was).is_some() && command(was) != command(is)
}

/// The instruction's name.
fn verb(text: &str) -> &str {
    text.split_ascii_whitespace().next().unwrap_or_default()
}

fn base_changed(was: &StageTrace, is: &StageTrace) -> Option<Cause> {
    let words = |base: &BaseTrace| match base {
        BaseTrace::Scratch => "`scratch`".to_owned(),
        BaseTrace::Stage(name) => format!("the stage `{name}`"),
        BaseTrace::Image { name, digest } => format!("`{name}` ({digest})"),
        BaseTrace::Files(name) => name.clone(),
    };
    (was.base != is.base).then(|| Cause::Base {
        stage: is.name.clone(),
        was: words(&was.base),
        is: words(&is.base),
    })
}

fn settings(was: &Asked, is: &Asked) -> Vec<Cause> {
    let names: BTreeSet<&String> = was.settings.keys().chain(is.settings.keys()).collect();
    let changed = |name: &String| {
        let (was, is) = (was.settings.get(name).cloned(), is.settings.get(name).cloned());
        (was != is).then(|| Cause::Setting { name: name.clone(), was, is })
    };
    names.into_iter().filter_map(changed).collect()
}

/// What of a build as a whole has changed: arguments, options, bases.
pub(super) fn whole(was: &Trace, asked: &Asked, stages: &[StageTrace]) -> Vec<Cause> {
    let names: BTreeSet<&String> = was.asked.args.keys().chain(asked.args.keys()).collect();
    let argument = |name: &String| {
        let (was, is) = (was.asked.args.get(name).cloned(), asked.args.get(name).cloned());
        (was != is).then(|| Cause::Argument { name: name.clone(), was, is })
    };
    let mut causes: Vec<Cause> = names.into_iter().filter_map(argument).collect();
    causes.extend(settings(&was.asked, asked));
    for stage in stages {
        let before = was.stages.iter().find(|before| before.name == stage.name);
        causes.extend(before.and_then(|before| base_changed(before, stage)));
    }
    causes
}

/// What differs between two builds: of the whole, and of each step in order, from the input to the output.
pub fn between(store: &Store, was: &Trace, is: &Trace) -> (Vec<Cause>, Vec<Told>) {
    let comparison = Comparison { store, old: was, asked: &is.asked, stages: &is.stages };
    let mut told = Vec::new();
    for stage in &is.stages {
        for step in &stage.steps {
            let causes = comparison.causes(&stage.name, step, &|_, _| None);
            if causes.is_empty() {
                continue;
            }
            told.push(Told {
                stage: stage.name.clone(),
                number: step.number,
                of: stage.steps.len(),
                text: step.text.clone(),
                rebuilt: step.layer.is_some(),
                causes,
            });
        }
    }
    (whole(was, &is.asked, &is.stages), told)
}
