//! What came of building an image again: a SLSA verification summary, without the time, so that the same verification gives
//! the same summary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::provenance::{RecordError, expect};
use super::{Resource, STATEMENT, Statement, Tool, digest_set};
use crate::oci::Digest;

/// What the predicate is.
pub const PREDICATE: &str = "https://slsa.dev/verification_summary/v1";
/// The one rule: the image that is built again from its record has the same digest.
pub const POLICY: &str = "urn:x-lith:policy:rebuild:v1";
/// What an image is that keeps it.
const LEVEL: &str = "LITH_REBUILT";
const PASSED: &str = "PASSED";
const FAILED: &str = "FAILED";
const VERIFIER: &str = "urn:x-lith:verifier";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub verifier: Tool,
    pub resource_uri: String,
    pub policy: Resource,
    pub input_attestations: Vec<Resource>,
    pub verification_result: String,
    pub verified_levels: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lith_reasons: Vec<String>,
}

impl Summary {
    /// Whether the image was built again, and was the same.
    pub fn passed(&self) -> bool {
        let has_level = self.verified_levels.iter().any(|level| level == LEVEL);
        self.verification_result == PASSED && has_level && self.lith_reasons.is_empty()
    }
}

/// Reads a summary of building an image again; of another policy it says nothing here.
pub fn parse(value: Value) -> Result<Statement<Summary>, RecordError> {
    expect("`_type`", &value["_type"], &[STATEMENT])?;
    expect("`predicateType`", &value["predicateType"], &[PREDICATE])?;
    expect("policy", &value["predicate"]["policy"]["uri"], &[POLICY])?;
    expect("`verificationResult`", &value["predicate"]["verificationResult"], &[PASSED, FAILED])?;
    Ok(serde_json::from_value(value)?)
}

/// The summary for an image by its record's digest. Without reasons against it, it has passed.
pub fn summary(name: &str, image: &Digest, record: &Digest, reasons: &[String]) -> Statement<Summary> {
    let passed = reasons.is_empty();
    Statement {
        kind: STATEMENT.to_owned(),
        subject: vec![Resource::new(name, image)],
        predicate_type: PREDICATE.to_owned(),
        predicate: Summary {
            verifier: Tool::lith(VERIFIER),
            resource_uri: name.to_owned(),
            policy: Resource { uri: Some(POLICY.to_owned()), ..Resource::default() },
            input_attestations: vec![Resource { digest: digest_set(record), ..Resource::default() }],
            verification_result: if passed { PASSED } else { FAILED }.to_owned(),
            verified_levels: passed.then(|| LEVEL.to_owned()).into_iter().collect(),
            lith_reasons: reasons.to_vec(),
        },
    }
}
