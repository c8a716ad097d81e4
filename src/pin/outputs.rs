//! What is written beside the files: kbld's lock, and compose's override.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Change, File, Site, Target};
use crate::oci::{Digest, Reference};

/// An `ImagesLock` (imgpkg.carvel.dev/v1alpha1) of all that is pinned in the files, as kbld and imgpkg read it.
#[must_use]
pub fn images_lock(files: &[(&File, &[Change])]) -> String {
    let mut images: BTreeMap<String, String> = BTreeMap::new();
    for (file, changes) in files {
        for (index, site) in file.sites.iter().enumerate() {
            let change = changes.iter().find(|change| change.site == index);
            if let Some((name, digest)) = pinned_name(site, change) {
                images.insert(site.text.clone(), format!("{name}@{digest}"));
            }
        }
    }
    let mut text = String::from("---\napiVersion: imgpkg.carvel.dev/v1alpha1\nkind: ImagesLock\n");
    text.push_str(if images.is_empty() { "images: []\n" } else { "images:\n" });
    for (id, image) in images {
        let _ = write!(text, "- annotations:\n    kbld.carvel.dev/id: {}\n  image: {image}\n", quoted(&id));
    }
    text
}

/// The name, without a tag, with which an image can be had anywhere.
fn pinned_name(site: &Site, change: Option<&Change>) -> Option<(String, Digest)> {
    let full = |text: &str| text.parse::<Reference>().ok().map(|name| name.name());
    match (&site.target, change) {
        (_, Some(change)) => Some((full(&change.to)?, change.digest.clone())),
        (Target::Image(named), None) => Some((full(&named.tagged)?, named.digest.clone()?)),
        _ => None,
    }
}

/// A compose file that gives the services of others the images that they have now.
#[must_use]
pub fn compose_override(files: &[(&File, &[Change])]) -> String {
    let mut services: BTreeMap<&str, &str> = BTreeMap::new();
    for (file, changes) in files {
        for change in *changes {
            let site = &file.sites[change.site];
            if let (true, [_, service, _]) = (site.is_compose, &site.field[..]) {
                services.insert(service, &change.to);
            }
        }
    }
    let mut text = String::from(if services.is_empty() { "services: {}\n" } else { "services:\n" });
    for (service, image) in services {
        let _ = write!(text, "  {}:\n    image: {image}\n", quoted(service));
    }
    text
}

/// A JSON string is a YAML one; what is plain can do without quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@');
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    let is_word = matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if is_plain && !is_word && !text.ends_with(':') {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
