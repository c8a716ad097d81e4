//! Any bytes give a tree and diagnostics, and both can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lith::buildfile::{Source, parse};

fuzz_target!(|bytes: &[u8]| {
    let source = Source::new("Buildfile", bytes);
    let parsed = parse(&source);
    for diagnostic in &parsed.diagnostics {
        assert!(diagnostic.span.end <= source.text().len());
    }
});
