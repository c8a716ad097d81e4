//! What is started for a command, and what it is called.

use crate::plan::Command;
use crate::sandbox::{Hidden, Mount};

/// Where the program files of heredocs are seen, as in other builders.
const SCRIPTS: &str = "/dev/pipes";

/// The program and its arguments.
pub(super) fn args(command: &Command) -> Vec<Vec<u8>> {
    let bytes = |text: &String| text.as_bytes().to_vec();
    match command {
        Command::Exec(words) => words.iter().map(bytes).collect(),
        Command::Shell { shell, script } => shell.iter().chain([script]).map(bytes).collect(),
        Command::Script { name, .. } => vec![script_path(name)],
    }
}

/// The file that has to be there for it: a script is no part of the layer.
pub(super) fn file(command: &Command) -> Option<Mount> {
    match command {
        Command::Script { name, content } => Some(Mount::File {
            target: script_path(name),
            bytes: Hidden(content.as_bytes().to_vec()),
            owner: (0, 0),
            mode: 0o755,
        }),
        Command::Exec(_) | Command::Shell { .. } => None,
    }
}

/// The name is a word of the Buildfile: of a path only its last part is taken.
fn script_path(name: &str) -> Vec<u8> {
    let last = name.rsplit('/').next().filter(|last| !matches!(*last, "" | "." | ".."));
    format!("{SCRIPTS}/{}", last.unwrap_or("script")).into_bytes()
}

/// As people wrote it.
pub(super) fn text(command: &Command) -> String {
    match command {
        Command::Exec(words) => words.join(" "),
        Command::Shell { script, .. } => script.trim_end().to_owned(),
        Command::Script { name, .. } => String::from_utf8_lossy(&script_path(name)).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> Vec<String> {
        args(command).into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn each_form() {
        let shell = Command::Shell { shell: vec!["/bin/sh".into(), "-c".into()], script: "a $b".into() };
        assert_eq!(words(&shell), ["/bin/sh", "-c", "a $b"]);
        assert!(file(&shell).is_none());
        assert_eq!(words(&Command::Exec(vec!["a".into(), "$b".into()])), ["a", "$b"]);
        for (name, path) in [
            ("EOF", "/dev/pipes/EOF"),
            ("../../etc/passwd", "/dev/pipes/passwd"),
            ("..", "/dev/pipes/script"),
            ("a/", "/dev/pipes/script"),
        ] {
            let script = Command::Script { name: name.into(), content: "#!/bin/sh\n".into() };
            assert_eq!(words(&script), [path]);
            assert_eq!(file(&script).unwrap().target(), path.as_bytes());
        }
    }
}
