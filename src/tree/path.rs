//! Paths inside an image.

use std::borrow::Borrow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::escaped;

/// A path inside an image: relative to its root, normal, no `.`, no `..`, no empty part, no NUL. Bytes, since
/// names need not be UTF-8. The root itself is the empty path.
///
/// The order is bytewise, so a folder comes before what is in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ImagePath(Box<[u8]>);

/// Why bytes are no path in an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    #[error("`{}` leads out of the root", .0.escape_ascii())]
    Escapes(Vec<u8>),
    #[error("`{}` holds a NUL byte", .0.escape_ascii())]
    Nul(Vec<u8>),
    #[error("a path of {0} bytes is longer than the {max} that lith takes", max = ImagePath::MAX)]
    TooLong(usize),
}

impl ImagePath {
    /// Twice what Linux can open in one call, so that no real tree is refused.
    pub const MAX: usize = 8192;

    pub fn root() -> Self {
        Self::default()
    }

    /// Normalises what an archive or a config says: leading `/` and `./`, doubled and trailing slashes are
    /// dropped, `..` that stays inside is resolved lexically, `..` out of the root is refused.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        Self::normalize(bytes, |bytes| Err(PathError::Escapes(bytes.to_vec())))
    }

    /// As [`ImagePath::new`], with `/..` meaning `/`, as a Dockerfile's destination has it.
    pub fn clamped(bytes: &[u8]) -> Result<Self, PathError> {
        Self::normalize(bytes, |_| Ok(()))
    }

    fn normalize(
        bytes: &[u8],
        on_escape: impl Fn(&[u8]) -> Result<(), PathError>,
    ) -> Result<Self, PathError> {
        if bytes.contains(&0) {
            return Err(PathError::Nul(bytes.to_vec()));
        }
        if is_normal(bytes) && bytes.len() <= Self::MAX {
            return Ok(Self(bytes.into()));
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in bytes.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." if parts.pop().is_none() => on_escape(bytes)?,
                b".." => {}
                part => parts.push(part),
            }
        }
        let path = parts.join(&b'/');
        if path.len() > Self::MAX {
            return Err(PathError::TooLong(path.len()));
        }
        Ok(Self(path.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// The bytes of the folder that holds it; empty for the root, and for what stands in it.
    pub(crate) fn folder(&self) -> &[u8] {
        &self.0[..self.0.iter().rposition(|&b| b == b'/').unwrap_or(0)]
    }

    /// The last part; empty for the root.
    pub fn name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
        &self.0[start..]
    }

    /// Its parts from the root down.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty())
    }

    /// The folders above it, from the root (exclusive) down.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        self.folders().map(|folder| Self(folder.into()))
    }

    /// The bytes of the same.
    pub(super) fn folders(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| &self.0[..i])
    }

    /// `self/other`, both normal already.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        match (self.is_root(), other.is_root()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            _ => Self([&self.0, &b"/"[..], &other.0].concat().into()),
        }
    }

    /// `self/name`, resolved and normalised; fails as [`ImagePath::new`] does.
    pub fn join_bytes(&self, name: &[u8]) -> Result<Self, PathError> {
        if name.contains(&b'/') || name.contains(&0) || matches!(name, b"" | b"." | b"..") {
            return Self::new(&[&self.0, &b"/"[..], name].concat());
        }
        // One part of a name needs no look at all that is above it; walks down long paths would take their square.
        let length = self.0.len() + usize::from(!self.is_root()) + name.len();
        if length > Self::MAX {
            return Err(PathError::TooLong(length));
        }
        Ok(self.join(&Self(name.into())))
    }

    /// What is left of it below `base`: the root for `base` itself, `None` elsewhere.
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        if base.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(&*base.0)? {
            [] => Some(Self::root()),
            [b'/', rest @ ..] => Some(Self(rest.into())),
            _ => None,
        }
    }

    /// Whether it is `base` or below it.
    pub fn starts_with(&self, base: &Self) -> bool {
        base.is_root()
            || self.0.strip_prefix(&*base.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// `/` and the path, for people; what is not UTF-8 is escaped.
    pub fn display(&self) -> String {
        format!("/{self}")
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(&escaped(chunk.valid()))?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`/{self}`")
    }
}

impl Borrow<[u8]> for ImagePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<ImagePath> for Vec<u8> {
    fn from(path: ImagePath) -> Self {
        path.0.into()
    }
}

/// What most paths are that are read: nothing is to be done about them.
fn is_normal(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes.split(|&b| b == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = ImagePath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a path")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<ImagePath, E> {
                ImagePath::new(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::testing::path;

    #[test]
    fn paths_are_normal() {
        for (text, expected) in
            [("", "/"), (".", "/"), ("/a//b/", "/a/b"), ("./a/./b", "/a/b"), ("a/../b", "/b"), ("/", "/")]
        {
            assert_eq!(path(text).display(), expected);
        }
    }

    #[test]
    fn nothing_leads_out() {
        for text in ["..", "/..", "a/../..", "../../etc/passwd"] {
            assert!(
                matches!(ImagePath::new(text.as_bytes()), Err(PathError::Escapes(_))),
                "`{text}` was taken"
            );
        }
        assert_eq!(ImagePath::clamped(b"/../a/../../b").unwrap(), path("b"));
        assert!(matches!(ImagePath::new(b"a\0b"), Err(PathError::Nul(_))));
        assert!(matches!(ImagePath::new(&[b'a'; 65536]), Err(PathError::TooLong(65536))));
    }

    #[test]
    fn up_and_down() {
        let deep = path("a/b/c");
        assert_eq!(deep.parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
        assert_eq!(deep.name(), b"c");
        assert_eq!(deep.ancestors().collect::<Vec<_>>(), [path("a"), path("a/b")]);
        assert_eq!(deep.strip_prefix(&path("a")), Some(path("b/c")));
        assert_eq!(deep.strip_prefix(&path("a/b/c")), Some(ImagePath::root()));
        assert_eq!(path("ab").strip_prefix(&path("a")), None);
        assert!(!path("ab").starts_with(&path("a")));
    }

    #[test]
    fn a_name_joined_is_what_the_whole_would_be() {
        for folder in ["", "a", "a/b"] {
            for name in ["", ".", "..", "c", "c/d", "../c", "/c", "...", "c\0", "c/../../.."] {
                let whole = ImagePath::new(format!("{folder}/{name}").as_bytes());
                assert_eq!(path(folder).join_bytes(name.as_bytes()), whole, "`{folder}` and `{name}`");
            }
        }
        let (long, part) = (path("a/".repeat(ImagePath::MAX / 2)), [b'x'; ImagePath::MAX]);
        assert_eq!(long.join_bytes(b"b"), Err(PathError::TooLong(ImagePath::MAX + 1)));
        assert_eq!(ImagePath::root().join_bytes(&part).unwrap().as_bytes().len(), ImagePath::MAX);
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(ImagePath::new(b"a\x1b[2J\xff").unwrap().display(), "/a\\u{1b}[2J\\xff");
        assert_eq!(path("\u{202e}x").display(), "/\\u{202e}x");
    }
}
