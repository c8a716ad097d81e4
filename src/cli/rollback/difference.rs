//! How the image that an environment gets differs from the one that it had.

use std::collections::BTreeMap;

use lith::diff::{self, ImageDiff, Options};
use lith::image::Image;
use lith::release::Shelf;
use lith::text::escaped;
use serde::Serialize;

use crate::cli::diff::text;
use crate::cli::format::size;
use crate::cli::ledger::place_of;
use crate::cli::place::Place;
use crate::cli::reach::Reach;

/// Who goes back is in a hurry: where more would have to be fetched, `lith diff` does that.
const MAX_FETCHED: u64 = 32 << 20;
/// As many lines about files and fields are told.
const MAX_LINES: usize = 12;

/// Two images for one platform.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Difference {
    platform: String,
    summary: String,
    /// If not, `files` is empty, and `layers` does not say how they differ.
    files_compared: bool,
    #[serde(flatten)]
    diff: ImageDiff,
}

/// Compares the images of two digests, for each platform that both have.
pub(super) fn between(
    shelf: &dyn Shelf,
    (from, to): (&str, &str),
    reach: &Reach<'_>,
) -> anyhow::Result<Vec<Difference>> {
    let names = [from, to].map(|digest| place_of(shelf, digest));
    let [a, b] = [&names[0], &names[1]].map(|name| Place::parse(name).and_then(|it| it.read(reach, None)));
    let (a, b) = (a?, b?);
    let (old, new) = (a.artifact.images(), b.artifact.images());
    let platform = |image: &Image| image.config.value.platform.to_string();
    let mut found = Vec::new();
    for (left, got) in old
        .into_iter()
        .filter_map(|left| Some((left, *new.iter().find(|got| platform(got) == platform(left))?)))
    {
        if left.manifest.digest() == got.manifest.digest() {
            continue;
        }
        let missing = missing([left, got], reach)?;
        let files_compared = missing <= MAX_FETCHED;
        let (summary, diff) = if files_compared {
            if !diff::has_same_layers(left, got) {
                a.bring(left, reach)?;
                b.bring(got, reach)?;
            }
            let diff = diff::images(reach.store()?, left, got, Options::default())?;
            (diff::sentence(&diff), diff)
        } else {
            let (missing, names) = (size(missing), names.each_ref().map(|name| escaped(name)).join(" "));
            let why = format!(
                "{missing} would have to be fetched to compare the files: `lith diff {names}` does that"
            );
            (why, diff::documents(left, got))
        };
        found.push(Difference { platform: platform(left), summary, files_compared, diff });
    }
    Ok(found)
}

/// How much of what has to be compared the store has not.
fn missing(images: [&Image; 2], reach: &Reach<'_>) -> anyhow::Result<u64> {
    if diff::has_same_layers(images[0], images[1]) {
        return Ok(0);
    }
    let store = reach.store()?;
    let layers = images.iter().flat_map(|image| &image.layers).filter(|layer| !store.has(&layer.digest()));
    let sizes: BTreeMap<String, u64> =
        layers.map(|layer| (layer.digest().to_string(), layer.descriptor.size())).collect();
    Ok(sizes.values().fold(0, |sum, size| sum.saturating_add(*size)))
}

/// As people read it.
pub(super) fn words(differences: &[Difference]) -> Vec<String> {
    let mut lines = Vec::new();
    for difference in differences {
        lines.push(format!("{}: {}", difference.platform, difference.summary));
        let mut own: Vec<String> = difference.diff.config.iter().map(text::field).collect();
        own.extend(text::files(&difference.diff.files));
        let more = own.len().saturating_sub(MAX_LINES);
        lines.extend(own.into_iter().take(MAX_LINES).map(|line| format!("  {line}")));
        if more > 0 {
            lines.push(format!("  … and {more} more lines, which `lith diff` tells"));
        }
    }
    lines
}
