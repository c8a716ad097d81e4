//! Whether a blob is there.

use ureq::http::Method;

use super::call::Call;
use super::{Registries, RegistryError, Repository};
use crate::oci::Digest;

impl Registries {
    /// Whether a repository has a blob; nothing of it is read.
    pub fn has_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, RegistryError> {
        let doing = format!("asking `{repository}` for blob `{digest}`");
        let call = Call::at(Method::HEAD, repository, format!("blobs/{digest}"), doing);
        Ok(self.call(call.expecting(&[404]))?.status != 404)
    }
}
