//! The one way in which lith writes JSON: UTF-8, no white space, keys sorted bytewise.
//!
//! Part of the image contract: changing this changes every digest. That empty values are left out is the
//! types' part (`skip_serializing_if`), that numbers are integers is checked here.

use serde::Serialize;

/// Why a value has no canonical JSON.
#[derive(Debug, thiserror::Error)]
#[error("writing canonical JSON: {0}")]
pub struct CanonicalError(#[from] serde_json::Error);

/// `value` as canonical JSON. The detour through [`serde_json::Value`] is what sorts the keys: its maps are
/// B-trees, while `oci-spec` has hash maps whose order changes from run to run.
pub fn to_vec(value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    Ok(serde_json::to_vec(&serde_json::to_value(value)?)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_sorted_and_nothing_is_spaced() {
        let value: serde_json::Value =
            serde_json::from_str(r#"{ "b": [1, {"z": 1, "a": 2}], "B": "é\n", "a": {} }"#).unwrap();
        let bytes = super::to_vec(&value).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), r#"{"B":"é\n","a":{},"b":[1,{"a":2,"z":1}]}"#);
    }
}
