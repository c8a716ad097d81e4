//! Any bytes are read as an archive or refused; what is read is a tree whose layer reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    _ = lith::layer::read::list(bytes, None);
});
