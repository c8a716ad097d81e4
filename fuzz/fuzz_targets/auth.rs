//! A file of credentials of any content is understood or refused, and can be asked about any registry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lith::transport::registry::{AuthFile, registry_name};

fuzz_target!(|input: (&[u8], &str, &str)| {
    let (bytes, registry, repository) = input;
    if let Ok(file) = AuthFile::parse(bytes) {
        // What a registry's own name finds, every repository of it finds, unless there is something closer.
        let whole = file.find(registry, "").is_some();
        assert!(!whole || file.find(registry, repository).is_some());
        _ = file.helper(registry);
    }
    if let Some(name) = registry_name(registry) {
        assert_eq!(registry_name(&name), Some(name));
    }
});
