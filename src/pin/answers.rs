//! What names stand for, asked for once each.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Mutex;

use super::{AskError, File, Mode, Target};
use crate::oci::{Digest, Reference};
use crate::parallel;

/// As many questions at once as a registry doesn't mind.
const QUESTIONS: usize = 6;

/// The one who knows what names stand for: registries, or a test's list.
pub trait Digests: Sync {
    type Error: Error + Send + 'static;

    /// The digest of a tag's manifest or index; none if there is no such image.
    fn digest(&self, name: &Reference) -> Result<Option<Digest>, Self::Error>;

    /// Builds what is in a folder, and gives its name, without a digest, with its digest. None if nothing is to be
    /// built: the reference then stays.
    fn build(&self, folder: &str) -> Result<Option<Answer>, Self::Error>;
}

/// What something stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Without a digest.
    pub name: String,
    pub digest: Digest,
}

/// What has been asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    pub images: BTreeMap<Reference, Digest>,
    pub folders: BTreeMap<String, Answer>,
}

/// Asks for all that the files need in this mode. Folders are built one after the other, in order.
pub fn ask<D: Digests>(files: &[&File], mode: Mode, digests: &D) -> Result<Answers, AskError<D::Error>> {
    let (mut names, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for site in files.iter().flat_map(|file| &file.sites) {
        match &site.target {
            Target::Image(named) if named.digest.is_none() || mode == Mode::Update => {
                names.extend(named.reference.clone());
            }
            Target::Folder(folder) => drop(folders.insert(folder.clone())),
            _ => {}
        }
    }
    let names: Vec<Reference> = names.into_iter().collect();
    let found = Mutex::new(BTreeMap::new());
    parallel::each(&names, QUESTIONS, |name| {
        let digest = digests.digest(name).map_err(|error| AskError::Image { name: name.clone(), error })?;
        let digest = digest.ok_or_else(|| AskError::Absent(name.clone()))?;
        found.lock().expect("nobody panics with it").insert(name.clone(), digest);
        Ok(())
    })?;
    let mut answers = Answers { images: found.into_inner().expect("as above"), ..Answers::default() };
    for folder in folders {
        let built =
            digests.build(&folder).map_err(|error| AskError::Build { folder: folder.clone(), error })?;
        answers.folders.extend(built.map(|answer| (folder, answer)));
    }
    Ok(answers)
}
