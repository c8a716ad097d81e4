//! What is taken as a reference, digest or platform is written back as something that means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lith::oci::{Digest, Platform, Reference};

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        // Written back in full, with the tag that was only meant.
        let full = reference.to_string();
        assert_eq!(full.parse::<Reference>().map(|again| again.to_string()), Ok(full));
        assert!(!reference.repository().contains(".."));
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse::<Platform>(), Ok(platform));
    }
});
