//! The tags of a repository.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Registries, RegistryError, Repository};
use crate::oci::is_tag;
use crate::text::shown;

#[derive(Deserialize)]
struct Tags {
    /// Some registries write null where there are none.
    tags: Option<Vec<String>>,
}

impl Registries {
    /// The tags of a repository, sorted.
    pub fn tags(&self, repository: &Repository) -> Result<Vec<String>, RegistryError> {
        let doing = format!("listing the tags of `{repository}`");
        let mut found = BTreeSet::new();
        let listed = self.pages(repository, "tags/list", &doing, "application/json", |page| {
            let page: Tags = serde_json::from_slice(&page.bytes)
                .map_err(|error| RegistryError::protocol(&doing, repository, shown(&error)))?;
            // What can't be a tag can't be asked for.
            found.extend(page.tags.into_iter().flatten().filter(|tag| is_tag(tag)));
            Ok(())
        })?;
        if listed { Ok(found.into_iter().collect()) } else { Err(RegistryError::absent(&doing, repository)) }
    }
}
