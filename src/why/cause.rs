//! The reasons, and their words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::manifest::{FileKind, Name};
use crate::exec::{Part, StepName};
use crate::text::shown_up_to;

/// More of a value helps nobody.
const VALUE: usize = 100;

/// Why a step is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Nothing is known of an earlier build.
    First,
    /// The build before had no such step.
    New,
    Instruction {
        was: String,
        is: String,
    },
    Argument {
        name: String,
        was: Option<String>,
        is: Option<String>,
    },
    Part {
        part: Part,
        was: Option<String>,
        is: Option<String>,
    },
    /// An option of the build.
    Setting {
        name: String,
        was: Option<String>,
        is: Option<String>,
    },
    File {
        /// The tree that it is in, in words; none for the build context.
        from: Option<String>,
        change: FileChange,
    },
    /// Files differ, of which nothing more is known.
    Files {
        from: String,
    },
    More(usize),
    IgnoreFile {
        name: String,
    },
    Base {
        stage: String,
        was: String,
        is: String,
    },
    /// It stands on a step that made something else.
    Step {
        stage: String,
        number: usize,
        text: String,
    },
    NoCache,
    /// The store had its layer no more.
    Gone,
    /// What is known of it doesn't say.
    Unknown,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileChange {
    Content(Name),
    Target(Name),
    Mode {
        path: Name,
        was: u16,
        is: u16,
    },
    Owner {
        path: Name,
        was: (u32, u32),
        is: (u32, u32),
    },
    Kind {
        path: Name,
        was: FileKind,
        is: FileKind,
    },
    Attributes(Name),
    Renamed {
        from: Name,
        to: Name,
    },
    Added(Name),
    /// With the pattern that leaves it out, if one does.
    Removed {
        path: Name,
        why: Option<String>,
    },
}

impl FileChange {
    pub(super) fn path(&self) -> &Name {
        match self {
            Self::Content(path)
            | Self::Target(path)
            | Self::Mode { path, .. }
            | Self::Owner { path, .. }
            | Self::Kind { path, .. }
            | Self::Attributes(path)
            | Self::Renamed { to: path, .. }
            | Self::Added(path)
            | Self::Removed { path, .. } => path,
        }
    }
}

impl Told {
    /// The step by its name.
    pub fn step(&self) -> StepName<'_> {
        StepName { stage: &self.stage, number: self.number, of: self.of, text: &self.text }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let path = if self.in_image { &*path } else { path.trim_start_matches('/') };
        write!(f, "`{}`", shown_up_to(VALUE * 3, path))
    }
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(path) => write!(f, "{path}: its content changed"),
            Self::Target(path) => write!(f, "{path}: the link leads elsewhere"),
            Self::Mode { path, was, is } => write!(f, "{path}: its mode was {was:04o}, and is {is:04o}"),
            Self::Owner { path, was, is } => {
                write!(f, "{path}: its owner was {}:{}, and is {}:{}", was.0, was.1, is.0, is.1)
            }
            Self::Kind { path, was, is } => write!(f, "{path}: it was {}, and is {}", was.name(), is.name()),
            Self::Attributes(path) => write!(f, "{path}: its extended attributes changed"),
            Self::Renamed { from, to } => write!(f, "{from} was renamed to {to}"),
            Self::Added(path) => write!(f, "{path} is new"),
            Self::Removed { path, why: None } => write!(f, "{path} is gone"),
            Self::Removed { path, why: Some(why) } => {
                write!(f, "{path} is left out by {}", shown_up_to(300, why.trim_end_matches(',')))
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => write!(f, "no earlier build of this Buildfile is known"),
            Self::New => write!(f, "the step is new"),
            Self::Instruction { was, is } => {
                write!(f, "the instruction was `{}`, and is `{}`", short(was), short(is))
            }
            Self::Argument { name, was, is } => {
                write!(
                    f,
                    "the build argument `{}` {}",
                    shown_up_to(VALUE, name),
                    change(was.as_ref(), is.as_ref())
                )
            }
            Self::Part { part, was, is } => part_changed(f, part, was.as_ref(), is.as_ref()),
            Self::Setting { name, was, is } => {
                write!(f, "{} {}", shown_up_to(VALUE, name), change(was.as_ref(), is.as_ref()))
            }
            Self::File { from: None, change } => write!(f, "{change}"),
            Self::File { from: Some(from), change } => write!(f, "in {}: {change}", short(from)),
            Self::Files { from } => write!(f, "files of {} changed", short(from)),
            Self::More(more) => write!(f, "and {more} more"),
            Self::IgnoreFile { name } => write!(f, "the ignore file `{}` changed", short(name)),
            Self::Base { stage, was, is } => {
                write!(f, "the base of {} was {}, and is {}", stage_words(stage), short(was), short(is))
            }
            Self::Step { stage, number: 0, .. } => write!(f, "what {} stands on changed", stage_words(stage)),
            Self::Step { stage, number, text } => {
                write!(
                    f,
                    "it stands on step {number} of {}, which changed: {}",
                    stage_words(stage),
                    short(text)
                )
            }
            Self::NoCache => write!(f, "the step cache was not used (`--no-cache`)"),
            Self::Gone => write!(f, "the store had its layer no more"),
            Self::Unknown => write!(f, "what the store knows of the build before does not say why"),
        }
    }
}

fn part_changed(
    f: &mut fmt::Formatter<'_>,
    part: &Part,
    was: Option<&String>,
    is: Option<&String>,
) -> fmt::Result {
    let change = change(was, is);
    match part {
        Part::Answer(request) => answer_changed(f, request, (was, is)),
        Part::Command => write!(f, "the command {change}"),
        Part::Script => write!(f, "the heredoc changed"),
        Part::Variable(name) => write!(f, "the variable `{}` {change}", shown_up_to(VALUE, name)),
        Part::User => write!(f, "the user, or the user's groups, {change}"),
        Part::Workdir => write!(f, "the working folder {change}"),
        Part::Network => write!(f, "the network {change}"),
        Part::Security => write!(f, "the security mode {change}"),
        Part::Mount(target) => write!(f, "the mount at `{}` {change}", shown_up_to(VALUE, target)),
        Part::Below => write!(f, "the layers that it stands on changed"),
        Part::Epoch => write!(f, "the time in the image {change}"),
        Part::Clock => write!(f, "the clock that it sees {change}"),
        Part::Cleaners => write!(f, "the cleaners {change}"),
        Part::Layer => write!(f, "how layers are written {change}"),
        Part::Url(url) => write!(f, "what `{}` gives {change}", short(url)),
        Part::Git(remote) => write!(f, "the commit of `{}` {change}", short(remote)),
        Part::Operation => write!(f, "an option of the instruction changed"),
    }
}

/// Each value is what is most telling of an answer, and a hash of all of it.
fn answer_changed(
    f: &mut fmt::Formatter<'_>,
    request: &str,
    (was, is): (Option<&String>, Option<&String>),
) -> fmt::Result {
    let request = shown_up_to(VALUE * 3, request);
    let telling = |value: &String| value.split(' ').next().unwrap_or_default().to_owned();
    match (was.map(telling), is.map(telling)) {
        (Some(was), Some(is)) if was == is => {
            write!(f, "the headers of the recorded answer to `{request}` changed")
        }
        (was, is) => {
            write!(f, "the recorded answer to `{request}` {}", change(was.as_ref(), is.as_ref()))
        }
    }
}

fn change(was: Option<&String>, is: Option<&String>) -> String {
    match (was, is) {
        (None, None) => "changed".to_owned(),
        (None, Some(is)) => format!("is new: `{}`", short(is)),
        (Some(was), None) => format!("is gone; it was `{}`", short(was)),
        (Some(was), Some(is)) => format!("was `{}`, and is `{}`", short(was), short(is)),
    }
}

fn short(text: &str) -> String {
    let more = if text.chars().nth(VALUE).is_some() { "…" } else { "" };
    format!("{}{more}", shown_up_to(VALUE, text))
}

fn stage_words(stage: &str) -> String {
    let number = stage.bytes().all(|byte| byte.is_ascii_digit());
    if number { format!("stage-{stage}") } else { format!("the stage `{}`", shown_up_to(VALUE, stage)) }
}

/// What is told of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub stage: String,
    pub number: usize,
    pub of: usize,
    pub text: String,
    /// It was run, or made, again; else the store had what it makes now.
    pub rebuilt: bool,
    pub causes: Vec<Cause>,
}
