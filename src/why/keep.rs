//! The traces in the store: of each Buildfile, context, target and platform the last few.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cause::{Cause, Told};
use super::trace::Trace;
use crate::oci::Digest;
use crate::store::{Store, StoreError};

/// Of what is written: what has another number is not read.
const FORMAT: u32 = 0x6c77_0002;

/// How many builds are kept of one Buildfile.
const BUILDS: usize = 8;

/// A build, and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What people call the Buildfile, and the stage.
    pub file: String,
    pub target: Option<String>,
    pub platform: String,
    pub trace: Trace,
    /// Whether there was one before to compare with.
    pub compared: bool,
    /// Of the whole.
    pub causes: Vec<Cause>,
    /// Of each step that was not as before.
    pub told: Vec<Told>,
    /// The build was done again since, and nothing was different.
    pub again: bool,
}

/// What builds are compared by.
#[derive(Debug, Clone)]
pub struct Identity {
    pub context: String,
    pub file: String,
    pub target: Option<String>,
    pub platform: String,
}

impl Identity {
    pub(super) fn name(&self) -> String {
        let Self { context, file, target, platform } = self;
        let bytes = postcard::to_stdvec(&(context, file, target, platform));
        let bytes = bytes.expect("lith's own types can be written");
        blake3::hash(&bytes).to_hex()[..32].to_owned()
    }
}

/// Those of an identity, the last one first.
pub(super) fn load(store: &Store, identity: &Identity) -> Vec<Kept> {
    store.build_record(&identity.name()).map(readable).unwrap_or_default()
}

fn readable((format, builds): (u32, Vec<Kept>)) -> Vec<Kept> {
    if format == FORMAT { builds } else { Vec::new() }
}

/// Adds a build; writes nothing if nothing is new.
pub(super) fn save(
    store: &Store,
    identity: &Identity,
    mut before: Vec<Kept>,
    new: Kept,
) -> Result<(), StoreError> {
    match before.first_mut() {
        Some(last) if last.trace == new.trace && last.again && new.told.is_empty() => return Ok(()),
        Some(last) if last.trace == new.trace && new.told.is_empty() => last.again = true,
        _ => {
            before.insert(0, new);
            before.truncate(BUILDS);
        }
    }
    store.keep_build_record(&identity.name(), Path::new(&identity.context), &(FORMAT, before))
}

/// The last build of all, or of the Buildfile with that path.
pub fn last(store: &Store, file: Option<&str>) -> Result<Option<Kept>, StoreError> {
    let records = store.build_records()?.into_iter().map(readable);
    let mut last = records.filter_map(|kept| kept.into_iter().next());
    Ok(match file {
        Some(file) => last.find(|kept| kept.file == file),
        None => last.next(),
    })
}

/// The last build that made the image or index of that digest.
pub fn find(store: &Store, digest: &Digest) -> Result<Option<Kept>, StoreError> {
    let made = |kept: &Kept| kept.trace.image == *digest || kept.trace.artifact == *digest;
    Ok(store.build_records()?.into_iter().flat_map(readable).find(made))
}
