//! JSON documents from strangers: what is read is written canonically, and reading that gives the same bytes again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lith::oci::{ImageConfig, ImageIndex, ImageManifest, canonical};
use serde::{Serialize, de::DeserializeOwned};

fn round_trip<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = canonical::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(canonical::to_vec(&again).expect("written before"), written);
}

fuzz_target!(|bytes: &[u8]| {
    round_trip::<ImageConfig>(bytes);
    round_trip::<ImageManifest>(bytes);
    round_trip::<ImageIndex>(bytes);
});
