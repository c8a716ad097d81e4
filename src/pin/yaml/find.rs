//! Which places of a document name images.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::ScalarStyle;

use super::super::line_of;
use super::super::site::{Left, Site, Slot, Target, target_of};
use super::FieldPath;
use super::tree::{Map, Node, Scalar};

pub(super) struct Finder<'a> {
    pub(super) text: &'a str,
    fields: &'a [FieldPath],
    pub(super) field: Vec<String>,
    kind: Kind,
    /// By their places: what several aliases mean is one.
    sites: BTreeMap<(usize, usize), Site>,
}

/// What a document is, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Compose,
    Workflow,
    Kustomization,
    Other,
}

impl Kind {
    fn of(map: &Map) -> Self {
        let has = |key: &str| map.get(key).is_some();
        let is = |key: &str, value: &str| map.scalar(key).is_some_and(|scalar| scalar.value == value);
        if is("kind", "Kustomization") || is("kind", "Component") && has("images") {
            Self::Kustomization
        } else if has("kind") || has("apiVersion") {
            Self::Other
        } else if map.get("jobs").is_some_and(|jobs| jobs.map().is_some()) {
            Self::Workflow
        } else if map.get("services").is_some_and(|services| services.map().is_some()) {
            Self::Compose
        } else if super::parts::is_kustomization(map) {
            Self::Kustomization
        } else {
            Self::Other
        }
    }
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a str, fields: &'a [FieldPath]) -> Self {
        Self { text, fields, field: Vec::new(), kind: Kind::Other, sites: BTreeMap::new() }
    }

    pub(super) fn finish(self) -> Vec<Site> {
        self.sites.into_values().collect()
    }

    pub(super) fn document(&mut self, root: &Node) {
        self.kind = root.map().map_or(Kind::Other, Kind::of);
        self.field.clear();
        self.node(root);
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Map(map) => self.map(map),
            Node::List(list) => {
                for (index, item) in list.iter().enumerate() {
                    self.within(&index.to_string(), |finder| finder.value(item, None));
                }
            }
            Node::Scalar(_) | Node::Alias(_) => {}
        }
    }

    fn map(&mut self, map: &Map) {
        if self.kind == Kind::Kustomization && self.is_at(&["images", "*"]) {
            return self.override_of(map);
        }
        let parts = self.parts(map);
        for (key, value) in &map.entries {
            let Some(key) = key.scalar() else { continue };
            if parts && matches!(&*key.value, "image" | "repository" | "tag" | "imageTag" | "digest") {
                continue;
            }
            self.within(&key.value, |finder| finder.value(value, Some(map)));
        }
    }

    pub(super) fn within(&mut self, key: &str, work: impl FnOnce(&mut Self)) {
        self.field.push(key.to_owned());
        work(self);
        self.field.pop();
    }

    /// What stands in the place that [`Self::field`] says, among what else `siblings` has.
    fn value(&mut self, value: &Node, siblings: Option<&Map>) {
        if let Node::Map(map) = value
            && self.names_image("")
            && self.text[map.start..].starts_with("{{")
        {
            let slot = Slot { place: map.start..map.start, ..Slot::default() };
            return self.add("{{ … }}", Target::Left(Left::Template), slot);
        }
        match value.scalar() {
            Some(scalar) if self.names_image(&scalar.value) => self.whole(scalar, siblings),
            Some(_) => {}
            None => self.node(value),
        }
    }

    fn names_image(&self, value: &str) -> bool {
        let Some(key) = self.field.last() else { return false };
        let above = self.field.iter().rev().nth(1).map(String::as_str);
        let is_known = match (self.kind, key.as_str()) {
            // A block device of a Ceph cluster.
            (_, "image") if above == Some("rbd") => false,
            (_, "image") => true,
            // A volume that is an image.
            (_, "reference") => above == Some("image"),
            (Kind::Workflow, "container") => self.is_at(&["jobs", "*", "container"]),
            (_, "uses") => value.starts_with(DOCKER),
            _ => false,
        };
        is_known || self.fields.iter().any(|field| field.matches(&self.field))
    }

    fn is_at(&self, keys: &[&str]) -> bool {
        let fits = |(own, wanted): (&String, &&str)| *wanted == "*" || own == wanted;
        self.field.len() == keys.len() && self.field.iter().zip(keys).all(fits)
    }

    /// A reference in one piece.
    fn whole(&mut self, scalar: &Scalar, siblings: Option<&Map>) {
        if scalar.is_null() || scalar.value.trim().is_empty() {
            return;
        }
        let value = scalar.value.trim();
        let (prefix, value) = match value.strip_prefix(DOCKER) {
            Some(rest) => (DOCKER, rest),
            None => ("", value),
        };
        let is_service = self.kind == Kind::Compose && self.is_at(&["services", "*", "image"]);
        let mut target = match siblings {
            Some(siblings) if is_service && siblings.get("build").is_some() => Target::Left(Left::Built),
            // An action's own Dockerfile.
            _ if prefix.is_empty() && self.is_at(&["runs", "image"]) => Target::Left(Left::Built),
            _ => target_of(value),
        };
        let slot = match (place(self.text, scalar), &target) {
            (Some(place), Target::Image(named)) => {
                Slot { place, before: format!("{prefix}{}@", named.tagged), after: String::new() }
            }
            (Some(place), _) => Slot { place, before: prefix.to_owned(), after: String::new() },
            (None, _) => {
                if matches!(target, Target::Image(_) | Target::Folder(_)) {
                    target = Target::Left(Left::Unwritable);
                }
                Slot { place: scalar.span.clone(), ..Slot::default() }
            }
        };
        self.add(value, target, slot);
    }

    pub(super) fn add(&mut self, text: &str, target: Target, slot: Slot) {
        let site = Site {
            line: line_of(self.text, slot.place.start),
            field: self.field.clone(),
            text: text.to_owned(),
            target,
            is_compose: self.kind == Kind::Compose && self.is_at(&["services", "*", "image"]),
            slot,
        };
        self.sites.entry((site.slot.place.start, site.slot.place.end)).or_insert(site);
    }
}

const DOCKER: &str = "docker://";

/// Where the value's own words are, without quotes and what else belongs to YAML. None if it is not on one line.
pub(super) fn place(text: &str, scalar: &Scalar) -> Option<Range<usize>> {
    let (start, typed) = (scalar.span.start, text.get(scalar.span.clone())?);
    let skipped = typed.len() - without_properties(typed).len();
    let (start, typed) = (start + skipped, &typed[skipped..]);
    let found = match scalar.style {
        ScalarStyle::Plain => (typed == scalar.value).then_some(0..typed.len()),
        ScalarStyle::SingleQuoted => quoted(typed, '\''),
        ScalarStyle::DoubleQuoted => quoted(typed, '"'),
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let value = scalar.value.trim();
            let at = typed.find(value).filter(|_| typed.trim() == value && !value.is_empty());
            at.map(|at| at..at + value.len())
        }
    }?;
    let inner = &typed[found.clone()];
    (!inner.contains('\n')).then_some(start + found.start..start + found.end)
}

/// What is between the quotes. An escape is read over, whatever it stands for: all of it is replaced.
fn quoted(typed: &str, quote: char) -> Option<Range<usize>> {
    let inner = typed.strip_prefix(quote)?;
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if quote == '"' => drop(characters.next()),
            // Two of them are one.
            '\'' if quote == '\'' && inner[at + 1..].starts_with('\'') => drop(characters.next()),
            character if character == quote => return Some(1..1 + at),
            _ => {}
        }
    }
    None
}

/// A scalar without its tag and its anchor.
fn without_properties(typed: &str) -> &str {
    let mut rest = typed;
    while rest.starts_with(['&', '!']) {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        rest = rest[end..].trim_start();
    }
    rest
}
