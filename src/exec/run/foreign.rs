//! Programs of other processors: whether this machine runs them.
//!
//! The kernel hands them to an interpreter that is registered with binfmt_misc. With the `F` flag that was opened
//! when it was registered, and so is found from inside any root file system; without, it never is.

use std::path::Path;

use super::error::RunError;
use crate::oci::Platform;
use crate::store::files::read_bounded;

/// Where the kernel tells of them.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// What runs where, by the names of platforms and of QEMU's interpreters.
const NAMES: [(&str, &str); 11] = [
    ("amd64", "x86_64"),
    ("386", "i386"),
    ("arm64", "aarch64"),
    ("arm", "arm"),
    ("riscv64", "riscv64"),
    ("ppc64le", "ppc64le"),
    ("s390x", "s390x"),
    ("loong64", "loongarch64"),
    ("mips64le", "mips64el"),
    ("mips64", "mips64"),
    ("ppc64", "ppc64"),
];

/// Refuses a platform whose programs would only fail.
pub(super) fn check(wanted: &Platform) -> Result<(), RunError> {
    if is_native(wanted.architecture.as_str()) || has_interpreter(Path::new(BINFMT), &wanted.architecture) {
        return Ok(());
    }
    Err(RunError::Foreign { wanted: wanted.clone() })
}

fn is_native(architecture: &str) -> bool {
    match std::env::consts::ARCH {
        "x86_64" => matches!(architecture, "amd64" | "386"),
        // Some of these run programs for `arm`, which the sandbox's filter of system calls knows nothing of.
        "aarch64" => architecture == "arm64",
        native => NAMES.iter().any(|(name, qemu)| *name == architecture && *qemu == native),
    }
}

fn has_interpreter(folder: &Path, architecture: &str) -> bool {
    let Some((_, qemu)) = NAMES.iter().find(|(name, _)| *name == architecture) else { return false };
    let files =
        [format!("qemu-{qemu}"), format!("qemu-{qemu}-static"), format!("rosetta-{qemu}"), "rosetta".into()];
    let is_rosetta = |file: &str| !file.starts_with("rosetta") || architecture == "amd64";
    files.iter().filter(|file| is_rosetta(file)).any(|file| {
        let text = read_bounded(&folder.join(file), 4096).unwrap_or_default();
        is_usable(&String::from_utf8_lossy(&text))
    })
}

/// From what the kernel says of an entry.
fn is_usable(text: &str) -> bool {
    let mut lines = text.lines();
    lines.next() == Some("enabled")
        && lines.any(|line| line.strip_prefix("flags:").is_some_and(|flags| flags.contains('F')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_has_to_be_open_already() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(!has_interpreter(folder.path(), "arm64"));
        entry("qemu-aarch64", "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OCF\noffset 0\n");
        entry("qemu-riscv64", "enabled\ninterpreter /usr/bin/qemu-riscv64\nflags: \noffset 0\n");
        entry("qemu-s390x", "disabled\ninterpreter /usr/bin/qemu-s390x\nflags: F\n");
        entry("rosetta", "enabled\ninterpreter /r\nflags: OCF\n");
        assert!(has_interpreter(folder.path(), "arm64"));
        assert!(!has_interpreter(folder.path(), "riscv64"));
        assert!(!has_interpreter(folder.path(), "s390x"));
        assert!(!has_interpreter(folder.path(), "sparc"));
        assert!(has_interpreter(folder.path(), "amd64"));
    }

    #[test]
    fn what_the_machine_is_runs() {
        let native = NAMES.iter().find(|(_, qemu)| *qemu == std::env::consts::ARCH).unwrap().0;
        assert!(is_native(native));
        assert!(!is_native("none-such"));
    }
}
