//! A place where an image is named.

use std::fmt;
use std::ops::Range;

use super::Named;
use crate::oci::Digest;

/// A place in a text that names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// From 1.
    pub line: usize,
    /// Which field of the file: `services.web.image`, `FROM`.
    pub field: Vec<String>,
    /// What is named there; of parts that stand apart, together.
    pub text: String,
    pub target: Target,
    /// It is a service of a compose file, whose image another file can override.
    pub is_compose: bool,
    /// Where the digest goes.
    pub(super) slot: Slot,
}

impl Site {
    /// Whether it names something that can become something else: the one rule of what is not pinned.
    #[must_use]
    pub fn floats(&self) -> bool {
        match &self.target {
            Target::Image(named) => named.digest.is_none(),
            Target::Folder(_) => true,
            Target::Left(why) => why.floats(),
        }
    }
}

/// What is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Image(Named),
    /// A folder to be built: `./app`, `lith://app`.
    Folder(String),
    Left(Left),
}

/// Why a place is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Left {
    /// Variables that something else fills in.
    Variable,
    /// A name with variables, and a digest without.
    Digested,
    /// `{{ … }}`: a template's.
    Template,
    /// The file itself says how to build it.
    Built,
    /// The tag is said elsewhere: an application's version, another file.
    Untagged,
    /// A number to YAML, which reads another one than is written.
    Number,
    /// No reference.
    NoReference(String),
    /// Written in a way that can't be changed.
    Unwritable,
}

impl Left {
    /// Whether what is there is a reference that floats.
    #[must_use]
    pub fn floats(&self) -> bool {
        matches!(self, Self::Variable | Self::Untagged | Self::Number | Self::Unwritable)
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Variable => "it has variables",
            Self::Digested => "its name has variables; its digest has none",
            Self::Template => "it is a template",
            Self::Built => "it is built from a folder that the file names",
            Self::Untagged => "its tag is not said here",
            Self::Number => "YAML reads its tag as another number: quote it",
            Self::NoReference(why) => return f.write_str(why),
            Self::Unwritable => "it is written in a way that can't be changed: write it on one line",
        })
    }
}

/// A range of the text, and what stands around the digest that replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Slot {
    pub(super) place: Range<usize>,
    pub(super) before: String,
    pub(super) after: String,
}

impl Slot {
    pub(super) fn filled(&self, digest: &Digest) -> String {
        format!("{}{digest}{}", self.before, self.after)
    }
}

/// What a text that stands where an image's name does means.
pub(super) fn target_of(text: &str) -> Target {
    if text.contains("{{") {
        return Target::Left(if text.contains("${{") { variable(text) } else { Left::Template });
    }
    if text.contains('$') {
        return Target::Left(variable(text));
    }
    let folder = text.strip_prefix("lith://");
    if folder.is_some() || text.starts_with("./") || text.starts_with("../") || matches!(text, "." | "..") {
        return Target::Folder(folder.unwrap_or(text).to_owned());
    }
    match Named::parse(text) {
        Ok(named) => Target::Image(named),
        Err(error) => Target::Left(Left::NoReference(error.to_string())),
    }
}

/// What variables say, they say of the name alone where a digest is written out.
fn variable(text: &str) -> Left {
    let digest = text.rsplit_once('@').map(|(_, digest)| digest.parse::<Digest>().is_ok());
    if digest == Some(true) { Left::Digested } else { Left::Variable }
}
