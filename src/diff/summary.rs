//! What was found in one sentence.

use std::collections::BTreeSet;

use super::cause::Cause;
use super::report::{Aspect, Change, FileDiff, How, ImageDiff, LayerDiff};
use crate::text::shown_up_to;

/// How two images differ that are not the same, in one sentence.
pub fn sentence(diff: &ImageDiff) -> String {
    let files = counts(&diff.files);
    let mut beside = Vec::new();
    if !diff.config.is_empty() {
        beside.push("the configuration");
    }
    if !diff.history.is_empty() {
        beside.push("the history");
    }
    if !diff.manifest.is_empty() {
        beside.push("the manifest");
    }
    if let Some(files) = files {
        let times = if is_of_times(&diff.files) { " in their times alone" } else { "" };
        let also = if beside.is_empty() {
            String::new()
        } else {
            format!("; so {} {}", if beside.len() > 1 { "do" } else { "does" }, list(&beside))
        };
        let likely = if times.is_empty() { likely(&diff.files) } else { String::new() };
        return format!("{files}{times}{also}{likely}");
    }
    let mut parts: Vec<String> = layers(&diff.layers);
    if !beside.is_empty() {
        let verb = if beside.len() > 1 { "differ" } else { "differs" };
        parts.push(format!("{} {verb}", list(&beside)));
    }
    if parts.is_empty() {
        "the same in all that is compared".into()
    } else {
        format!("the same files; {}", parts.join("; "))
    }
}

/// `3 paths differ (1 added, 2 changed)`, and of a single one its path; `None` if none do.
pub fn counts(files: &[FileDiff]) -> Option<String> {
    if files.is_empty() {
        return None;
    }
    let changes = [
        (Change::Added, "added"),
        (Change::Removed, "removed"),
        (Change::Changed, "changed"),
        (Change::Moved, "moved"),
    ];
    let counts: Vec<String> = changes
        .iter()
        .map(|(change, word)| (files.iter().filter(|file| file.change == *change).count(), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    Some(match files {
        [only] => {
            let word = counts[0].trim_start_matches("1 ");
            format!("1 path differs ({} {word})", shown_up_to(200, &only.path))
        }
        files => format!("{} paths differ ({})", files.len(), counts.join(", ")),
    })
}

/// What probably made the files differ, or so many of them.
fn likely(files: &[FileDiff]) -> String {
    let explained: Vec<&FileDiff> = files.iter().filter(|file| !file.causes.is_empty()).collect();
    let causes: BTreeSet<Cause> = explained.iter().flat_map(|file| file.causes.iter().copied()).collect();
    let words = causes.into_iter().map(Cause::words).collect::<Vec<_>>().join(", ");
    match (explained.len(), files.len()) {
        (0, _) => String::new(),
        (some, all) if some == all => format!(" [likely: {words}]"),
        (some, all) => format!(" [likely, for {some} of {all}: {words}]"),
    }
}

fn is_of_times(files: &[FileDiff]) -> bool {
    files.iter().all(|file| file.change == Change::Changed && matches!(&file.aspects[..], [Aspect::Time(_)]))
}

/// What is to be said of layers that make the same files.
fn layers(layers: &[LayerDiff]) -> Vec<String> {
    let hows: BTreeSet<How> = layers.iter().map(|layer| layer.how).collect();
    hows.into_iter()
        .map(|how| {
            let numbers: Vec<String> = layers
                .iter()
                .filter(|layer| layer.how == how)
                .filter_map(|layer| layer.layers.b.as_ref().or(layer.layers.a.as_ref()))
                .map(|facts| facts.number.to_string())
                .collect();
            let noun = if numbers.len() == 1 { "layer" } else { "layers" };
            let (was, has) = if numbers.len() == 1 { ("was", "has") } else { ("were", "have") };
            let said = match how {
                How::Compression => format!("{was} compressed otherwise"),
                How::Order => format!("{has} the entries in another order"),
                How::Headers => format!("{has} other tar headers"),
                How::Times => format!("{has} other times"),
                How::Descriptor => format!("{was} described otherwise"),
                How::Added => format!("{was} added"),
                How::Removed => format!("{was} removed"),
                How::Files => format!("{has} other changes, which make the same"),
            };
            format!("{noun} {} {said}", list(&numbers))
        })
        .collect()
}

fn list<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match &words[..] {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
