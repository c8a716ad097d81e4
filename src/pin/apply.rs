//! A text with its references pinned.

use std::ops::Range;

use super::{Answers, File, Named, Site, Target};
use crate::oci::Digest;

/// Which references are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Those that have no digest.
    #[default]
    New,
    /// Also those that have one, to what their tag is now.
    Update,
}

/// One reference that is another now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of [`File::sites`].
    pub site: usize,
    /// The whole reference as it is now.
    pub to: String,
    pub digest: Digest,
}

/// A file with its references pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    pub text: String,
    pub changes: Vec<Change>,
}

/// Puts the digests in.
#[must_use]
pub fn pinned(file: &File, answers: &Answers, mode: Mode) -> Pinned {
    let (mut edits, mut changes): (Vec<(Range<usize>, String)>, Vec<Change>) = (Vec::new(), Vec::new());
    for (index, site) in file.sites.iter().enumerate() {
        let Some((to, digest, edit)) = change(site, answers, mode) else { continue };
        edits.push((site.slot.place.clone(), edit));
        changes.push(Change { site: index, to, digest });
    }
    let mut text = file.text.clone();
    // From the end, so that the places before it stay where they are.
    edits.sort_by_key(|(place, _)| place.start);
    for (place, edit) in edits.into_iter().rev() {
        text.replace_range(place, &edit);
    }
    Pinned { text, changes }
}

fn change(site: &Site, answers: &Answers, mode: Mode) -> Option<(String, Digest, String)> {
    match &site.target {
        Target::Image(Named { tagged, reference: Some(reference), digest }) => {
            let wanted = digest.is_none() || mode == Mode::Update;
            let found =
                answers.images.get(reference).filter(|found| wanted && digest.as_ref() != Some(*found))?;
            Some((format!("{tagged}@{found}"), found.clone(), site.slot.filled(found)))
        }
        Target::Folder(folder) => {
            let built = answers.folders.get(folder)?;
            let to = format!("{}@{}", built.name, built.digest);
            let edit = format!("{}{to}{}", site.slot.before, site.slot.after);
            Some((to, built.digest.clone(), edit))
        }
        _ => None,
    }
}
