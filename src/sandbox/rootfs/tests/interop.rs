//! What other programs unpack of a layer is what its settled folder holds.

use super::*;

fn has(program: &str) -> bool {
    let found = command("sh").args(["-c", "command -v \"$0\"", program]).output().unwrap().status.success();
    if !found {
        let message = format!("`{program}` is not installed: unpacking was NOT compared with it");
        assert!(!in_ci(), "{message}");
        say(&message);
    }
    found
}
