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
        for site in &done.input.file.sites {
            match &site.target {
                // What a file builds itself is nothing to tell of.
                Target::Left(Left::Built) => {}
                Target::Left(why) => {
                    tell(&format!(
                        "{place}:{}: `{}` is left alone: {}",
                        site.line,
                        escaped(&site.text),
                        escaped(&why.to_string())
                    ));
                }
                Target::Image(named) if named.reference.is_none() => log::info!(
                    "{place}:{}: `{}` has no tag that could have moved",
                    site.line,
                    escaped(&site.text)
                ),
                _ => {}
            }
        }
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
    json!({"file": done.input.place.shown(), "template": done.input.file.template, "changes": changes, "left": left_json(sites)})
}

fn left_json(sites: &[Site]) -> Vec<Value> {
    let row = |site: &Site| match &site.target {
        Target::Left(why) => Some(json!({
            "line": site.line,
            "field": site.field.join("."),
            "text": site.text,
            "why": why.to_string(),
            "floating": why.floats(),
        })),
        _ => None,
    };
    sites.iter().filter_map(row).collect()
}

/// What is not pinned, on stdout; and how many.
pub(super) fn floating(done: &[Done], format: Format) -> anyhow::Result<usize> {
    let (mut rows, mut text) = (Vec::new(), String::new());
    for done in done {
        for (index, site) in done.input.file.sites.iter().enumerate() {
            let change = done.pinned.changes.iter().find(|change| change.site == index);
            let floats = match &site.target {
                Target::Image(named) => named.digest.is_none(),
                Target::Folder(_) => true,
                Target::Left(why) => why.floats(),
            };
            if !floats && change.is_none() {
                continue;
            }
            let (place, is) = (done.input.place.shown(), change.filter(|_| !floats).map(|change| &change.to));
            let why = is.map_or("is not pinned".to_owned(), |to| format!("is now {}", escaped(to)));
            text.push_str(&format!("{place}:{}: {} {why}\n", site.line, escaped(&site.text)));
            rows.push(json!({
                "file": place, "line": site.line, "field": site.field.join("."), "text": site.text, "now": is,
            }));
        }
    }
    let number = rows.len();
    match format {
        Format::Text => print(&text)?,
        Format::Json => print_json(&json!({ "floating": rows }))?,
    }
    Ok(number)
}
