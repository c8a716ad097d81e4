//! Dockerfiles: the images that FROM, `COPY --from` and `RUN --mount=from=` name.

use std::collections::BTreeSet;

use super::site::{Left, Site, Slot, Target, target_of};
use super::{File, PinError};
use crate::buildfile::instruction::{Instruction, MountFlag};
use crate::buildfile::{Buildfile, Source, Stage, Word, parse};

const BOM: char = '\u{feff}';

pub(super) fn read(text: String) -> Result<File, PinError> {
    // The parser takes the byte-order mark away.
    let shift = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
    let source = Source::new("", text.as_bytes());
    let parsed = parse(&source);
    if let Some(error) = parsed.diagnostics.iter().find(|diagnostic| diagnostic.is_error()) {
        let (line, why) = (source.line(error.span.start), error.message.clone());
        return Err(PinError::Buildfile { line, why });
    }
    let mut finder = Finder { source: &source, shift, file: &parsed.buildfile, sites: Vec::new() };
    finder.find();
    let mut sites = finder.sites;
    sites.sort_by_key(|site| site.slot.place.start);
    // Of an argument that several stages stand on.
    sites.dedup_by(|a, b| a.slot.place == b.slot.place && a.field == b.field && !a.slot.place.is_empty());
    Ok(File { text, sites, template: None })
}

struct Finder<'a> {
    source: &'a Source,
    shift: usize,
    file: &'a Buildfile,
    sites: Vec<Site>,
}

impl<'a> Finder<'a> {
    fn find(&mut self) {
        let file = self.file;
        let name = |stage: &Stage| stage.from.instruction.name.as_ref().map(|name| name.name.clone());
        let stages: BTreeSet<String> = file.stages.iter().filter_map(name).collect();
        let mut earlier = BTreeSet::new();
        for stage in &file.stages {
            // What a later stage is called is an image to FROM.
            self.base(&stage.from.instruction.base, &earlier);
            earlier.extend(name(stage));
            for statement in &stage.statements {
                match &statement.instruction {
                    Instruction::Copy(copy) => copy.from.iter().for_each(|from| {
                        self.other("COPY --from", from, &stages);
                    }),
                    Instruction::Run(run) => run.mounts.iter().for_each(|mount| self.mount(mount, &stages)),
                    _ => {}
                }
            }
        }
    }

    /// What a stage stands on. Where that is nothing but an argument, the argument's default is what is pinned.
    fn base(&mut self, base: &Word, stages: &BTreeSet<String>) {
        let is_image = |word: &Word| word.text != "scratch" && !stages.contains(&word.text.to_lowercase());
        let name = base
            .text
            .strip_prefix('$')
            .map(|name| name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name));
        match name.and_then(|name| self.default(name)) {
            Some(default) if is_image(default) => self.add(&["ARG", name.unwrap_or_default()], default),
            None if is_image(base) => self.add(&["FROM"], base),
            _ => {}
        }
    }

    fn default(&self, name: &str) -> Option<&'a Word> {
        let mut globals = self.file.globals.iter().flat_map(|argument| &argument.instruction.definitions);
        globals.rfind(|definition| definition.name.text == name)?.default.as_ref()
    }

    fn mount(&mut self, mount: &MountFlag, stages: &BTreeSet<String>) {
        let from = mount.fields.iter().find(|field| field.key.text.eq_ignore_ascii_case("from"));
        if let Some(value) = from.and_then(|field| field.value.as_ref()) {
            self.other("RUN --mount=from", value, stages);
        }
    }

    fn other(&mut self, field: &str, from: &Word, stages: &BTreeSet<String>) {
        let is_number = from.text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && from.text != "scratch" && !stages.contains(&from.text.to_lowercase()) {
            self.add(&[field], from);
        }
    }

    fn add(&mut self, field: &[&str], word: &Word) {
        let inner = word.text.trim_matches(['"', '\'']);
        let typed = self.source.slice(word.span);
        let at = typed.find(inner).filter(|_| !inner.is_empty() && typed.matches(inner).count() == 1);
        let mut target = target_of(inner);
        let start = self.shift + word.span.start + at.unwrap_or(0);
        let place = start..start + if at.is_some() { inner.len() } else { 0 };
        if at.is_none() && matches!(target, Target::Image(_) | Target::Folder(_)) {
            target = Target::Left(Left::Unwritable);
        }
        // A base that is a folder is no language of ours: it is a name to docker.
        if matches!(target, Target::Folder(_)) {
            target = Target::Left(Left::NoReference(format!("`{inner}` is not an image reference")));
        }
        let before = match &target {
            Target::Image(named) => format!("{}@", named.tagged),
            _ => String::new(),
        };
        self.sites.push(Site {
            line: self.source.line(word.span.start),
            field: field.iter().map(|&name| name.to_owned()).collect(),
            text: inner.to_owned(),
            target,
            is_compose: false,
            slot: Slot { place, before, after: String::new() },
        });
    }
}
