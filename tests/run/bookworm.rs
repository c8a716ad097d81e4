//! RUN on a real distribution: `bookworm.sh`.

use std::process::Command;

#[test]
#[ignore = "takes minutes, and makes a bookworm with debootstrap"]
fn a_digest_is_the_same_for_everybody() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run/bookworm.sh");
    let status = Command::new(script).env("LITH", env!("CARGO_BIN_EXE_lith")).status().unwrap();
    if status.code() == Some(77) {
        assert!(std::env::var_os("CI").is_none(), "RUN on bookworm was NOT tested");
        return;
    }
    assert!(status.success(), "digests differ");
}
