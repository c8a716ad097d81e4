//! Where two images begin to differ that were built from the same inputs.

use crate::image::{Artifact, Image};

/// What differs between the image and what was built, as far as their documents tell.
pub(super) fn explain(wanted: &Artifact, found: &Artifact) -> Vec<String> {
    let (wanted, found) = (wanted.images(), found.images());
    if wanted.len() != found.len() {
        return vec![format!("it has {} images, and {} were built", wanted.len(), found.len())];
    }
    let mut reasons: Vec<String> = wanted.iter().zip(&found).flat_map(|(a, b)| images(a, b)).collect();
    if reasons.is_empty() {
        reasons.push("the manifest or index is another one".to_owned());
    }
    reasons
}

fn images(wanted: &Image, found: &Image) -> Vec<String> {
    if wanted.manifest.digest() == found.manifest.digest() {
        return Vec::new();
    }
    let (was, is) = (&wanted.config.value.platform, &found.config.value.platform);
    if was != is {
        return vec![format!("it is for {was}, and one for {is} was built")];
    }
    let platform = was.to_string();
    if wanted.layers.len() != found.layers.len() {
        let (was, is) = (wanted.layers.len(), found.layers.len());
        return vec![format!("{platform}: it has {was} layers, and {is} were built")];
    }
    let pairs = wanted.layers.iter().zip(&found.layers).enumerate();
    let differing = pairs.filter(|(_, (a, b))| a.digest() != b.digest());
    let mut reasons: Vec<String> = differing
        .map(|(index, (a, b))| {
            let step = step_of(wanted, index);
            let how = if a.diff_id == b.diff_id { "its compression differs" } else { "its content differs" };
            format!("{platform}: layer {} ({step}): {how}: {} was built", index + 1, b.digest())
        })
        .collect();
    if reasons.is_empty() && wanted.config.digest() != found.config.digest() {
        reasons.push(format!("{platform}: the configuration differs"));
    }
    reasons
}

/// The instruction that made a layer.
fn step_of(image: &Image, layer: usize) -> String {
    let made = image.config.value.history.iter().filter(|entry| !entry.empty_layer).nth(layer);
    let text = made.and_then(|entry| entry.created_by.as_deref()).unwrap_or("an unknown step");
    crate::text::shown_up_to(100, text)
}
