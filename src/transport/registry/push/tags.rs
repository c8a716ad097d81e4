//! Tags don't move by accident.

use std::collections::BTreeSet;

use super::{RegistryError, RegistrySink};
use crate::oci::Digest;
use crate::tree::pattern::Glob;

/// Which tags may be moved from one digest to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovePolicy {
    /// All of them: `--move-tag`.
    pub any: bool,
    /// Those that match one of these globs.
    pub tags: Vec<String>,
}

impl MovePolicy {
    fn allows(&self, tag: &str) -> Result<bool, RegistryError> {
        let globs = self.tags.iter().map(|glob| Glob::new(glob)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.any || globs.iter().any(|glob| glob.matches(tag.as_bytes())))
    }
}

impl RegistrySink<'_> {
    /// Those of the names that don't stand for `digest` yet. One request for each; and an error, before anything is
    /// sent, if one stands for something else and may not be moved.
    pub(super) fn judge<'a>(
        &self,
        names: &'a BTreeSet<String>,
        digest: &Digest,
    ) -> Result<BTreeSet<&'a str>, RegistryError> {
        let mut missing = BTreeSet::new();
        for name in names {
            match self.registries.digest_at(&self.repository, name)? {
                Some(from) if from == *digest => log::debug!("`{}:{name}` is there", self.repository),
                Some(from) if !self.options.moving.allows(name)? => {
                    let name = format!("{}:{name}", self.repository);
                    return Err(RegistryError::TagMoves { name, from, to: digest.clone() });
                }
                _ => drop(missing.insert(name.as_str())),
            }
        }
        Ok(missing)
    }
}
