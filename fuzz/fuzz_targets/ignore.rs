//! Patterns of any text can be asked about any path, and a walk that stops where they say misses nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lith::tree::pattern::{Glob, Ignore};

fuzz_target!(|input: (&[u8], &str, &str)| {
    let (patterns, folder, name) = input;
    if let Ok(ignore) = Ignore::parse(patterns) {
        let path = format!("{folder}/{name}");
        if ignore.ends_at(folder.as_bytes()) && ignore.excludes(folder.as_bytes()) {
            assert!(ignore.excludes(path.as_bytes()));
        }
        let mut cursor = ignore.cursor();
        assert_eq!(cursor.excludes(path.as_bytes()), ignore.excludes(path.as_bytes()));
    }
    if let Ok(glob) = Glob::new(folder) {
        _ = glob.matches(name.as_bytes());
    }
});
