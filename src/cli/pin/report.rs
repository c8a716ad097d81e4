//! What `lith pin` tells.

use lith::pin::{Left, Site, Target};
use lith::text::escaped;
use serde_json::{Value, json};

use super::Done;
use crate::cli::error::tell;
use crate::cli::format::{Format, print, print_json};

/// What is left as it is, on stderr.
pub(super) fn left(done: &[Done]) {
    for done in done {
        let place = done.input.place.shown();
        if let Some(line) = done.input.file.template {
            tell(&format!(
                "{place}:{line}: left alone: it is a template, and no YAML before it is filled in"
            ));
        }
        for (index, site) in done.input.file.sites.iter().enumerate() {
            match &site.target {
                // What a file builds itself is nothing to tell of.
                Target::Left(Left::Built) => {}
                Target::Image(named) if named.reference.is_none() => log::info!(
                    "{place}:{}: `{}` has no tag that could have moved",
                    site.line,
                    escaped(&site.text)
                ),
                _ => {
                    if let Some((why, _)) = why_left(done, index) {
                        let (text, why) = (escaped(&site.text), escaped(&why));
                        tell(&format!("{place}:{}: `{text}` is left alone: {why}", site.line));
                    }
                }
            }
        }
    }
}

/// Why a place has been left as it is, and whether what is there floats.
fn why_left(done: &Done, index: usize) -> Option<(String, bool)> {
    match &done.input.file.sites[index].target {
        Target::Left(why) => Some((why.to_string(), why.floats())),
        Target::Folder(_) if done.pinned.changes.iter().all(|change| change.site != index) => {
            Some(("it is a folder: `--build --repo REGISTRY/NAME` builds and pins it".to_owned(), true))
        }
        _ => None,
    }
}

/// What has changed, on stdout.
pub(super) fn changes(done: &[Done], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => print(&done.iter().flat_map(lines).map(|line| line + "\n").collect::<String>()),
        Format::Json => print_json(&json!({"files": done.iter().map(file).collect::<Vec<_>>()})),
    }
}

/// The same on stderr, where stdout is taken.
pub(super) fn changes_aside(done: &Done) {
    lines(done).iter().for_each(|line| tell(line));
}

fn lines(done: &Done) -> Vec<String> {
    let line = |change: &lith::pin::Change| {
        let site = &done.input.file.sites[change.site];
        format!(
            "{}:{}: {} -> {}",
            done.input.place.shown(),
            site.line,
            escaped(&site.text),
            escaped(&change.to)
        )
    };
    done.pinned.changes.iter().map(line).collect()
}

fn file(done: &Done) -> Value {
    let sites = &done.input.file.sites;
    let changes: Vec<Value> = done
        .pinned
        .changes
        .iter()
        .map(|change| {
            let site = &sites[change.site];
            json!({
                "line": site.line,
                "field": site.field.join("."),
                "from": site.text,
                "to": change.to,
                "digest": change.digest,
            })
        })
        .collect();
    json!({"file": done.input.place.shown(), "template": done.input.file.template, "changes": changes, "left": left_json(done)})
}

fn left_json(done: &Done) -> Vec<Value> {
    let row = |(index, site): (usize, &Site)| {
        let (why, floating) = why_left(done, index)?;
        Some(json!({
            "line": site.line,
            "field": site.field.join("."),
            "text": site.text,
            "why": why,
            "floating": floating,
        }))
    };
    done.input.file.sites.iter().enumerate().filter_map(row).collect()
}

/// A reference that is not pinned, or to something else than its tag is now.
pub(super) struct Finding {
    place: String,
    line: usize,
    field: String,
    text: String,
    /// What it would be; none for one that is not pinned.
    pub(super) now: Option<String>,
}

/// What floats, or has moved. Where files have been pinned, what has been changed floats no more.
pub(super) fn findings(done: &[Done], pinned: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for done in done {
        for (index, site) in done.input.file.sites.iter().enumerate() {
            let change = done.pinned.changes.iter().find(|change| change.site == index);
            let floats = site.floats();
            if (!floats && change.is_none()) || (pinned && change.is_some()) {
                continue;
            }
            found.push(Finding {
                place: done.input.place.shown(),
                line: site.line,
                field: site.field.join("."),
                text: site.text.clone(),
                now: change.filter(|_| !floats).map(|change| change.to.clone()),
            });
        }
    }
    found
}

/// Tells them on stdout.
pub(super) fn show(found: &[Finding], format: Format) -> anyhow::Result<()> {
    let line = |one: &Finding| {
        let why = one.now.as_ref().map_or("is not pinned".to_owned(), |to| format!("is now {}", escaped(to)));
        format!("{}:{}: {} {why}\n", one.place, one.line, escaped(&one.text))
    };
    let row = |one: &Finding| json!({"file": one.place, "line": one.line, "field": one.field, "text": one.text, "now": one.now});
    match format {
        Format::Text => print(&found.iter().map(line).collect::<String>()),
        Format::Json => print_json(&json!({ "floating": found.iter().map(row).collect::<Vec<_>>() })),
    }
}
