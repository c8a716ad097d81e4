//! Reading a challenge never fails, and makes nothing up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lith::transport::registry::Challenge;

fuzz_target!(|header: &str| {
    for challenge in Challenge::parse(header) {
        assert!(!challenge.scheme.is_empty());
        for name in ["realm", "service", "scope", "error"] {
            assert!(challenge.parameter(name).is_none_or(|value| value.len() <= header.len()));
        }
    }
});
