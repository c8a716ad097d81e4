//! References to images in what people deploy with: found in a text, and given digests.
//!
//! Here live the languages (YAML of all kinds, Dockerfiles) and the places in them where an image is named. What is
//! read from and written to, and what a tag stands for, is the caller's: text in, edits out. Invariant: outside of
//! the references that are pinned a file keeps each of its bytes, and pinning what is pinned changes nothing.

mod answers;
mod apply;
mod buildfile;
mod error;
mod name;
mod outputs;
mod site;
mod yaml;

pub use answers::{Answer, Answers, Digests, ask};
pub use apply::{Change, Mode, Pinned, pinned};
pub use error::{AskError, PinError};
pub use name::Named;
pub use outputs::{compose_override, images_lock};
pub use site::{Left, Site, Target};
pub use yaml::FieldPath;

use std::path::Path;

/// The largest file that is read: more is no manifest.
pub const MAX_FILE: u64 = 16 << 20;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Kubernetes manifests, Helm values, kustomizations, compose files, workflows; and JSON, which is YAML.
    Yaml,
    /// The Dockerfile language.
    Buildfile,
}

impl Language {
    /// As a file's name says it.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, ""));
        let is_build = |text: &str| matches!(text, "dockerfile" | "containerfile" | "buildfile");
        if is_build(name.split('.').next()?) || (is_build(extension) && !stem.is_empty()) {
            return Some(Self::Buildfile);
        }
        matches!(extension, "yaml" | "yml" | "json").then_some(Self::Yaml)
    }
}

/// A text with the places in it where images are named.
#[derive(Debug, Clone)]
pub struct File {
    pub text: String,
    /// In the order of the text.
    pub sites: Vec<Site>,
    /// It is a template, no YAML before it has been filled in: the line that says so. There are no sites then.
    pub template: Option<usize>,
}

/// Finds the images that a text names. `fields` are places to look at beside those that are known.
pub fn read(bytes: &[u8], language: Language, fields: &[FieldPath]) -> Result<File, PinError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            return Err(PinError::Encoding {
                line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            });
        }
    };
    match language {
        Language::Yaml => yaml::read(text, fields),
        Language::Buildfile => buildfile::read(text),
    }
}

/// The line of an offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
