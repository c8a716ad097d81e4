//! What is said of an image beside it: statements in in-toto's form.
//!
//! Pure functions and types: [`provenance`] says from what an image was built and how (SLSA provenance v1), [`summary`] what
//! came of building it again (SLSA verification summary v1), [`files`] is the list of what was read from a context. Nothing
//! here reads a file or asks a clock: the same build gives the same statement, byte for byte.

pub mod files;
pub mod provenance;
pub mod summary;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::Digest;

/// The type of each statement (in-toto attestation framework, v1).
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// What a predicate says of its subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    pub kind: String,
    pub subject: Vec<Resource>,
    pub predicate_type: String,
    pub predicate: P,
}

/// in-toto's `ResourceDescriptor`: it has to have a URI, a digest or its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// By algorithm, in hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, serde_json::Value>,
}

impl Resource {
    pub fn new(name: impl Into<String>, digest: &Digest) -> Self {
        Self { name: Some(name.into()), digest: digest_set(digest), ..Self::default() }
    }

    /// Whether it is what has that digest.
    pub fn is(&self, digest: &Digest) -> bool {
        self.digest.get(digest.algorithm().name()).is_some_and(|hex| hex == digest.hex())
    }
}

/// in-toto's `DigestSet`.
pub fn digest_set(digest: &Digest) -> BTreeMap<String, String> {
    [(digest.algorithm().name().to_owned(), digest.hex().to_owned())].into()
}

/// Who built or verified, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    pub id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

impl Tool {
    /// This lith.
    pub fn lith(id: &str) -> Self {
        let version = [("lith".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into();
        Self { id: id.to_owned(), version }
    }
}
