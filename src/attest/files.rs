//! The files of a context that steps have read, as a document: what its digest is of, and what names the file if that is
//! another one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::{Algorithm, Digest, Digester};
use crate::parallel;
use crate::tree::{Content, ContentError, ImagePath, Kind, Node};

/// What the document is.
pub const MEDIA_TYPE: &str = "application/vnd.lith.context-files.v1+json";

/// Of each path what a step can see of it. The paths are escaped as Rust escapes bytes, so that each has one text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileList(pub BTreeMap<String, Line>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// `file`, `folder`, `link`, `fifo` or `device`
    pub kind: String,
    /// In octal.
    pub mode: String,
    /// Of a file's content, or a link's target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl FileList {
    /// Reads each file.
    pub fn of(files: &BTreeMap<ImagePath, Node>, threads: usize) -> Result<Self, ContentError> {
        let contents: Vec<(&ImagePath, &Content)> =
            files.iter().filter_map(|(path, node)| Some((path, node.content()?))).collect();
        let digests = std::sync::Mutex::new(BTreeMap::new());
        parallel::each(&contents, threads, |(path, content)| {
            let mut digester = Digester::new(Algorithm::Sha256);
            content.read_with(|piece| {
                digester.update(piece);
                Ok::<_, ContentError>(())
            })?;
            let mut digests = digests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            digests.insert((*path).clone(), digester.finish());
            Ok::<_, ContentError>(())
        })?;
        let mut digests = digests.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = |(path, node): (&ImagePath, &Node)| {
            let (kind, digest) = match &node.kind {
                Kind::File { .. } => ("file", digests.remove(path)),
                Kind::Dir => ("folder", None),
                Kind::Symlink(target) => ("link", Some(Digest::of(target))),
                Kind::Hardlink(target) => ("link", Some(Digest::of(target.as_bytes()))),
                Kind::Fifo => ("fifo", None),
                Kind::CharDevice { .. } | Kind::BlockDevice { .. } => ("device", None),
            };
            let mode = format!("{:04o}", node.meta.mode);
            (path.as_bytes().escape_ascii().to_string(), Line { kind: kind.to_owned(), mode, digest })
        };
        Ok(Self(files.iter().map(line).collect()))
    }

    /// Canonical JSON.
    pub fn bytes(&self) -> Vec<u8> {
        crate::oci::canonical::to_vec(self).expect("texts alone")
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }

    /// What of `found` is not as it is here, a line each.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, line) in &self.0 {
            match found.0.get(path) {
                None => lines.push(format!("`{path}` is missing, or no step reads it")),
                Some(other) if other.kind != line.kind => {
                    lines.push(format!("`{path}` was a {}, and is a {}", line.kind, other.kind));
                }
                Some(other) if other.digest != line.digest => {
                    lines.push(format!("`{path}`: its content is another"));
                }
                Some(other) if other.mode != line.mode => {
                    lines.push(format!("`{path}`: its mode was {}, and is {}", line.mode, other.mode));
                }
                Some(_) => {}
            }
        }
        let new = found.0.keys().filter(|path| !self.0.contains_key(*path));
        lines.extend(new.map(|path| format!("`{path}` was not there, or no step read it")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Meta;

    fn list(files: &[(&str, &str, u16)]) -> FileList {
        let node = |(path, text, mode): &(&str, &str, u16)| {
            let kind = Kind::File { content: Content::from_bytes(text.as_bytes()), inode: None };
            (ImagePath::new(path.as_bytes()).unwrap(), Node::new(Meta::root_owned(*mode), kind))
        };
        FileList::of(&files.iter().map(node).collect(), 2).unwrap()
    }

    #[test]
    fn each_difference_names_its_file() {
        let was = list(&[("a", "1", 0o644), ("b", "2", 0o644), ("c", "3", 0o644)]);
        assert!(was.differences(&was).is_empty());
        let is = list(&[("a", "x", 0o644), ("b", "2", 0o755), ("d\n", "3", 0o644)]);
        let lines = was.differences(&is);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("`a`: its content"));
        assert!(lines[1].starts_with("`b`: its mode was 0644, and is 0755"));
        assert!(lines[2].starts_with("`c` is missing"));
        assert!(lines[3].starts_with("`d\\n` was not there"));
        assert_ne!(was.digest(), is.digest());
        assert_eq!(serde_json::from_slice::<FileList>(&was.bytes()).unwrap(), was);
    }
}
