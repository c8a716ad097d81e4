//! `RUN`: a step that executes a command.

use super::{Device, MountFlag};
use crate::buildfile::syntax::{Heredoc, Word};

/// `RUN [flags] command line`, or `RUN [flags] ["program", …]`. Of it, only the mounts' values are expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub script: Script,
    /// `--mount`, in order.
    pub mounts: Vec<MountFlag>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`, in order.
    pub devices: Vec<Device>,
}

/// What a `RUN` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// The JSON form, run as it is.
    Exec(Vec<Word>),
    /// Text for the shell. Empty where there were no arguments.
    Shell(Word),
    /// `RUN <<EOF`: the heredoc is the script; the shell runs it, or the kernel if it starts with `#!`.
    Heredoc(Heredoc),
    /// A command line with heredocs in it: the shell gets it with their bodies after it ([`Script::text`]).
    Piped(Word, Vec<Heredoc>),
}

impl Script {
    /// What the shell is to run: the command line and the heredocs' bodies. None for the JSON form.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Exec(_) => None,
            Self::Shell(word) => Some(word.text.clone()),
            Self::Heredoc(heredoc) => Some(heredoc.text()),
            Self::Piped(word, files) => {
                let mut text = word.text.clone();
                for file in files {
                    text.push('\n');
                    text.push_str(&file.content.text);
                    text.push_str(&file.name);
                }
                Some(text)
            }
        }
    }
}

/// `--network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    #[default]
    Default,
    None,
    Host,
}

/// `--security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    #[default]
    Sandbox,
    Insecure,
}
