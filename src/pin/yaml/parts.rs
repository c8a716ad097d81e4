//! References whose parts stand apart: the values of charts, and the images of kustomizations.

use saphyr_parser::ScalarStyle;

use super::super::Named;
use super::super::site::{Left, Slot, Target, target_of};
use super::find::{Finder, place};
use super::tree::{Map, Node, Scalar};
use crate::oci::Digest;

/// Whether it is one that leaves its `kind` out, as it may.
pub(super) fn is_kustomization(map: &Map) -> bool {
    let Some(Node::List(images)) = map.get("images") else { return false };
    let is_override = |image: &Node| {
        let has = |key: &str| image.map().is_some_and(|map| map.get(key).is_some());
        has("name") && (has("newTag") || has("newName") || has("digest"))
    };
    images.iter().any(is_override)
}

/// What a field says, if it says anything.
fn said<'a>(map: &'a Map, key: &str) -> Option<&'a Scalar> {
    map.scalar(key).filter(|scalar| !scalar.is_null() && !scalar.value.trim().is_empty())
}

impl Finder<'_> {
    /// `repository`, `tag`, `digest`, and perhaps `registry`. Whether it is that.
    pub(super) fn parts(&mut self, map: &Map) -> bool {
        let has = |key: &str| map.get(key).is_some();
        let tag_key = ["tag", "imageTag"].into_iter().find(|key| has(key));
        // A tag beside an `image` that has its own is about something else.
        let bare = |image: &&Scalar| {
            let last = image.value.rsplit('/').next().unwrap_or_default();
            tag_key.is_some() && !last.contains([':', '@'])
        };
        let Some(repository) = said(map, "repository").or_else(|| said(map, "image").filter(bare)) else {
            return false;
        };
        // Where charts and sources are.
        if (tag_key.is_none() && !has("digest")) || repository.value.contains("://") {
            return false;
        }
        let name = match said(map, "registry") {
            Some(registry) => format!("{}/{}", registry.value.trim(), repository.value.trim()),
            None => repository.value.trim().to_owned(),
        };
        self.chart(map, &name, tag_key);
        true
    }

    fn chart(&mut self, map: &Map, name: &str, tag_key: Option<&str>) {
        let (tag, digest) = (tag_key.and_then(|key| said(map, key)), said(map, "digest"));
        let (tag_text, in_tag) = split(tag);
        let digest_text = digest.map(|digest| digest.value.trim()).or(in_tag);
        let target = parts_target(name, tag, tag_text, digest_text);
        let tagged = tag_text.unwrap_or_default();
        // A chart that has no field for it joins name and tag.
        let (key, slot) = match map.entry("digest") {
            Some((key, value)) if in_tag.is_none() => ("digest", self.field_slot(key, value)),
            _ => {
                let slot = tag.and_then(|tag| place(self.text, tag));
                let before = format!("{tagged}@");
                (tag_key.unwrap_or("digest"), slot.map(|place| Slot { place, before, after: String::new() }))
            }
        };
        self.add_parts(map, key, (name, tag_text, digest_text), target, slot);
    }

    /// An entry of a kustomization's `images`: `name`, `newName`, `newTag`, `digest`.
    pub(super) fn override_of(&mut self, map: &Map) {
        let Some(name) = said(map, "newName").or_else(|| said(map, "name")) else { return };
        let (tag, digest) = (said(map, "newTag"), said(map, "digest"));
        let (tag_text, in_tag) = split(tag);
        let digest_text = digest.map(|digest| digest.value.trim()).or(in_tag);
        let target = parts_target(name.value.trim(), tag, tag_text, digest_text);
        let slot = match (map.entry("digest"), tag, in_tag) {
            (Some((key, value)), ..) => self.field_slot(key, value),
            (None, Some(tag), None) => self.new_field(map, tag),
            (None, Some(tag), Some(_)) => place(self.text, tag).map(|place| {
                let before = format!("{}@", tag_text.unwrap_or_default());
                Slot { place, before, after: String::new() }
            }),
            (None, None, _) => None,
        };
        self.add_parts(map, "digest", (name.value.trim(), tag_text, digest_text), target, slot);
    }

    fn add_parts(
        &mut self,
        map: &Map,
        key: &str,
        (name, tag, digest): (&str, Option<&str>, Option<&str>),
        target: Target,
        slot: Option<Slot>,
    ) {
        let mut text = name.to_owned();
        text.extend(tag.map(|tag| format!(":{tag}")));
        text.extend(digest.map(|digest| format!("@{digest}")));
        let target = match (&target, &slot) {
            (Target::Image(_), None) => Target::Left(Left::Unwritable),
            _ => target,
        };
        let slot = slot.unwrap_or(Slot { place: map.start..map.start, ..Slot::default() });
        self.within(key, |finder| finder.add(&text, target, slot));
    }

    /// The value of a field that is there, be it empty.
    fn field_slot(&self, key: &Scalar, value: &Node) -> Option<Slot> {
        let Node::Scalar(scalar) = value else { return None };
        let slot = |place, before: &str| Slot { place, before: before.to_owned(), after: String::new() };
        if !scalar.value.is_empty() || scalar.style != ScalarStyle::Plain {
            return place(self.text, scalar).map(|place| slot(place, ""));
        }
        let colon = key.span.end + self.text.get(key.span.end..)?.find(':')? + 1;
        let rest = &self.text[colon..];
        // An anchor or a tag of nothing.
        let line = rest.split(['\r', '\n']).next().unwrap_or(rest).trim_start();
        if line.starts_with(['&', '!']) || !self.text[key.span.end..colon - 1].trim().is_empty() {
            return None;
        }
        Some(slot(colon..colon, " "))
    }

    /// A `digest` after the tag, in the way the entry is written.
    fn new_field(&self, map: &Map, tag: &Scalar) -> Option<Slot> {
        let (first, _) = map.entries.first()?;
        let (tag_place, first) = (place(self.text, tag)?, first.scalar()?);
        let is_quoted = matches!(tag.style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
        let mut end = tag_place.end + usize::from(is_quoted);
        if self.text[map.start..].starts_with('{') {
            let before = if self.text[map.start + 1..].trim_start().starts_with('"') {
                ", \"digest\": \""
            } else {
                ", digest: "
            };
            let after = if before.ends_with('"') { "\"" } else { "" };
            return Some(Slot { place: end..end, before: before.into(), after: after.into() });
        }
        let line = self.text[..first.span.start].rfind('\n').map_or(0, |at| at + 1);
        let indent = self.text[line..first.span.start].trim_start_matches('\u{feff}').chars().count();
        let rest = &self.text[end..];
        let line_end = rest.find('\n').unwrap_or(rest.len());
        end += rest[..line_end].trim_end_matches('\r').len();
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let before = format!("{newline}{}digest: ", " ".repeat(indent));
        Some(Slot { place: end..end, before, after: String::new() })
    }
}

/// A tag that has a digest with it.
fn split(tag: Option<&Scalar>) -> (Option<&str>, Option<&str>) {
    let Some(tag) = tag.map(|tag| tag.value.trim()) else { return (None, None) };
    match tag.split_once('@') {
        Some((tag, digest)) => (Some(tag), Some(digest)),
        None => (Some(tag), None),
    }
}

fn parts_target(name: &str, tag: Option<&Scalar>, tag_text: Option<&str>, digest: Option<&str>) -> Target {
    for text in [Some(name), tag_text, digest].into_iter().flatten() {
        if let left @ Target::Left(Left::Variable | Left::Template) = target_of(text) {
            let is_digest = digest.is_some_and(|digest| digest.parse::<Digest>().is_ok());
            let is_pinned = is_digest && left == Target::Left(Left::Variable);
            return if is_pinned { Target::Left(Left::Digested) } else { left };
        }
    }
    if tag_text.is_none() && digest.is_none() {
        return Target::Left(Left::Untagged);
    }
    if tag.is_some_and(is_another_number) {
        return Target::Left(Left::Number);
    }
    match Named::of_parts(name, tag_text, digest) {
        Ok(named) => Target::Image(named),
        Err(why) => Target::Left(Left::NoReference(why)),
    }
}

/// `1.10` is 1.1 to a chart.
fn is_another_number(tag: &Scalar) -> bool {
    let looks = tag.value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-'));
    let number = tag.value.parse::<f64>();
    tag.style == ScalarStyle::Plain && looks && number.is_ok_and(|number| number.to_string() != tag.value)
}
