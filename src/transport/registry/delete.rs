//! Taking something out of a repository.

use ureq::http::Method;

use super::call::Call;
use super::resolve::manifest_path;
use super::{Complaint, Registries, RegistryError, Repository};
use crate::oci::Reference;

impl Registries {
    /// Removes a tag, or with a digest a manifest (and so every tag of it).
    ///
    /// A tag that a registry can't remove by itself stays: to remove its manifest would remove other tags as well.
    pub fn delete(&self, name: &Reference) -> Result<(), RegistryError> {
        let repository = Repository::from(name);
        let doing = format!("deleting `{name}`");
        let mut call = Call::at(Method::DELETE, &repository, manifest_path(name), &doing)
            .expecting(&[400, 404, 405, 501]);
        call.access.delete = true;
        let mut answer = self.call(call)?;
        let (status, host) = (answer.status, repository.registry.clone());
        match status {
            404 => Err(RegistryError::Absent { doing, host }),
            // distribution-spec, "Deleting tags": 400 or 405 where deletion is disabled or not implemented.
            400 | 405 | 501 => {
                Err(RegistryError::Undeletable { doing, host, complaint: Complaint::of(&mut answer) })
            }
            _ => Ok(()),
        }
    }
}
