//! Where two images begin to differ that were built from the same inputs: the steps by their layers, and then the files
//! and fields, with what probably made them differ.

use std::sync::Arc;

use crate::diff::{self, Aspect, Change, FileDiff, ImageDiff};
use crate::image::{Artifact, Blobs, Image};
use crate::lock::{self, Lock};
use crate::store::Store;
use crate::text::causes;
use crate::text::{shown, shown_up_to};
use crate::transport::import_layers;

/// What the record says to have been resolved, and the build from it had no use for; or the other way round.
pub(super) fn resolved(said: &Lock, used: Option<&Lock>) -> Vec<String> {
    let Some(used) = used else { return vec!["nothing was noted of what was resolved".to_owned()] };
    if used == said {
        return Vec::new();
    }
    let line = |change: lock::Change| {
        let platform = change.platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
        let kind = match change.kind {
            lock::Kind::Image => "the image",
            lock::Kind::Context => "the context",
            lock::Kind::Url => "the URL",
            lock::Kind::Git => "the repository",
            lock::Kind::Network => "the answer to",
        };
        let what = format!("{kind} `{}`{platform}", shown_up_to(300, &change.name));
        match (&change.from, &change.to) {
            (Some(_), None) => format!("the record has {what}, which nothing asks for"),
            (None, Some(_)) => format!("the record does not have {what}, which is asked for"),
            (from, to) => {
                let text = |digest: &Option<String>| digest.clone().unwrap_or_default();
                format!("the record has {what} as {}, and it is {}", text(from), text(to))
            }
        }
    };
    let mut lines: Vec<String> = lock::changes(said, used).into_iter().map(line).collect();
    if lines.is_empty() {
        lines.push("what the record says of its platforms or its `# syntax=` is not so".to_owned());
    }
    lines
}

/// More paths and fields of one image are counted only: `lith diff` tells all.
const TOLD: usize = 20;

/// An image, and where its layers are.
pub(super) type Side<'a> = (&'a Artifact, &'a dyn Blobs);

/// What differs between the image and what was built. Layers that are not in the store are brought there for that.
pub(super) fn explain(store: &Arc<Store>, wanted: Side<'_>, found: Side<'_>) -> Vec<String> {
    let (ours, theirs) = (wanted.0.images(), found.0.images());
    if ours.len() != theirs.len() {
        return vec![format!("it has {} images, and {} were built", ours.len(), theirs.len())];
    }
    let pair = |(a, b)| images(store, (a, wanted.1), (b, found.1));
    let mut reasons: Vec<String> = ours.into_iter().zip(theirs).flat_map(pair).collect();
    if reasons.is_empty() {
        reasons.push("the manifest or index is another one".to_owned());
    }
    reasons
}

type Half<'a> = (&'a Image, &'a dyn Blobs);

fn images(store: &Arc<Store>, (wanted, theirs): Half<'_>, (found, ours): Half<'_>) -> Vec<String> {
    if wanted.manifest.digest() == found.manifest.digest() {
        return Vec::new();
    }
    let (was, is) = (&wanted.config.value.platform, &found.config.value.platform);
    if was != is {
        return vec![format!("it is for {was}, and one for {is} was built")];
    }
    let mut reasons = layers(wanted, found);
    let compared = || {
        if !diff::has_same_layers(wanted, found) {
            import_layers(wanted, theirs, store)?;
            import_layers(found, ours, store)?;
        }
        Ok(diff::images(store, wanted, found, diff::Options::default())?)
    };
    match compared() {
        Ok(diff) => reasons.extend(differences(&diff)),
        // The verdict stands without that.
        Err::<_, Box<dyn std::error::Error>>(error) => {
            reasons.push(format!("what the layers hold can't be compared: {}", shown(&causes(&*error))));
        }
    }
    reasons.into_iter().map(|reason| format!("{was}: {reason}")).collect()
}

fn layers(wanted: &Image, found: &Image) -> Vec<String> {
    if wanted.layers.len() != found.layers.len() {
        let (was, is) = (wanted.layers.len(), found.layers.len());
        return vec![format!("it has {was} layers, and {is} were built")];
    }
    let pairs = wanted.layers.iter().zip(&found.layers).enumerate();
    let differing = pairs.filter(|(_, (a, b))| a.digest() != b.digest());
    let told = differing.map(|(index, (a, b))| {
        let step = step_of(wanted, index);
        let how = if a.diff_id == b.diff_id { "its compression differs" } else { "its content differs" };
        format!("layer {} ({step}): {how}: {} was built", index + 1, b.digest())
    });
    told.collect()
}

/// The instruction that made a layer.
fn step_of(image: &Image, layer: usize) -> String {
    let made = image.config.value.history.iter().filter(|entry| !entry.empty_layer).nth(layer);
    let text = made.and_then(|entry| entry.created_by.as_deref()).unwrap_or("an unknown step");
    shown_up_to(100, text)
}

/// `a` is the image, and `b` what was built.
fn differences(diff: &ImageDiff) -> Vec<String> {
    let fields = diff.config.iter().map(|field| ("the configuration", field));
    let fields = fields.chain(diff.manifest.iter().map(|field| ("the manifest", field)));
    let fields = fields.map(|(what, field)| format!("{what}: `{}`", shown(&field.name)));
    let all: Vec<String> = diff.files.iter().map(file).chain(fields).collect();
    let more = all.len().saturating_sub(TOLD);
    let mut lines = vec![diff::sentence(diff)];
    lines.extend(all.into_iter().take(TOLD));
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// Paths come escaped.
fn file(file: &FileDiff) -> String {
    let how = match (file.change, &file.from) {
        (Change::Added, _) => "is in what was built alone".to_owned(),
        (Change::Removed, _) => "is not in what was built".to_owned(),
        (Change::Moved, Some(from)) => format!("stood at `{from}`"),
        _ => file.aspects.iter().map(aspect).collect::<Vec<_>>().join(", "),
    };
    let causes: Vec<&str> = file.causes.iter().map(|cause| cause.words()).collect();
    let likely = if causes.is_empty() { String::new() } else { format!(" [likely: {}]", causes.join(", ")) };
    format!("`{}`: {how}{likely}", file.path)
}

fn aspect(aspect: &Aspect) -> String {
    match aspect {
        Aspect::Content(content) => format!("its content from byte {} on", content.first_difference),
        Aspect::Type(_) => "its type".to_owned(),
        Aspect::Mode(_) => "its mode".to_owned(),
        Aspect::Owner(_) => "its owner".to_owned(),
        Aspect::Time(_) => "its time".to_owned(),
        Aspect::Target(_) => "its target".to_owned(),
        Aspect::Xattr { name, .. } => format!("its attribute `{name}`"),
        Aspect::HardLink(_) | Aspect::Device(_) | Aspect::Opaque(_) => "what it is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;

    #[test]
    fn what_was_not_noted_is_not_taken_for_what_the_record_says() {
        let said = Lock::new(1, Digest::of(b"names"));
        assert_eq!(resolved(&said, None), ["nothing was noted of what was resolved"]);
        assert_eq!(resolved(&said, Some(&said)), [""; 0]);
        let other = Lock::new(1, Digest::of(b"others"));
        assert_eq!(resolved(&said, Some(&other)).len(), 1);
    }
}
