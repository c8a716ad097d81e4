//! Values of a TOML document, with words for those that are not what was wanted.

use std::ops::Range;
use std::path::{Path, PathBuf};

use lith::text::{nearest, shown};
use lith::transport::registry::registry_name;
use lith::tree::pattern::Glob;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::super::error::Hinted;

pub(super) type Value<'a> = Spanned<DeValue<'a>>;
pub(super) type Key<'a> = Spanned<DeString<'a>>;

/// A file, and where it is.
pub(super) struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    pub(super) fn document(&self) -> Result<Spanned<DeTable<'a>>, Hinted> {
        DeTable::parse(self.text)
            .map_err(|error| self.error(error.span().unwrap_or(0..0), &shown(error.message())))
    }

    /// An error at a place of the file.
    pub(super) fn error(&self, at: Range<usize>, what: &str) -> Hinted {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Hinted::new(format!("`{}`, line {line}: {what}", self.path.display()))
    }

    pub(super) fn unknown(&self, key: &Key<'_>, known: &[&str]) -> Hinted {
        let error = self.error(key.span(), &format!("unknown key `{}`", shown(&**key.get_ref())));
        match nearest(key.get_ref(), known.iter().copied()) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint(format!("the keys here are {}", known.join(", "))),
        }
    }

    pub(super) fn table<'v>(&self, value: &'v Value<'a>) -> Result<&'v DeTable<'a>, Hinted> {
        value.get_ref().as_table().ok_or_else(|| self.other(value, "a table"))
    }

    pub(super) fn switch(&self, value: &Value<'_>) -> Result<bool, Hinted> {
        value.get_ref().as_bool().ok_or_else(|| self.other(value, "`true` or `false`"))
    }

    /// A path, from the file's folder on.
    pub(super) fn path(&self, value: &Value<'_>) -> Result<PathBuf, Hinted> {
        let path = self.string(value)?;
        Ok(self.path.parent().map_or_else(|| path.into(), |folder| folder.join(path)))
    }

    pub(super) fn paths(&self, value: &Value<'_>) -> Result<Vec<PathBuf>, Hinted> {
        self.array(value, |value| self.path(value))
    }

    /// Globs of tags.
    pub(super) fn globs(&self, value: &Value<'_>) -> Result<Vec<String>, Hinted> {
        self.array(value, |value| {
            let glob = self.string(value)?;
            Glob::new(glob).map_err(|error| self.error(value.span(), &error.to_string()))?;
            Ok(glob.to_owned())
        })
    }

    /// `HOST[:PORT][/PREFIX]`
    pub(super) fn mirrors(&self, value: &Value<'_>) -> Result<Vec<String>, Hinted> {
        self.array(value, |value| {
            let mirror = self.string(value)?;
            let host = mirror.split('/').next().unwrap_or_default();
            let prefix = mirror[host.len()..].strip_prefix('/');
            let fits = |part: &str| !part.is_empty() && !part.contains(|c: char| !is_path_char(c));
            let is_good = prefix.is_none_or(|prefix| prefix.split('/').all(fits));
            if !is_good || mirror.contains("://") || registry_name(host).is_none() {
                let text = format!("`{}` is not a mirror: expected `HOST[:PORT][/PREFIX]`", shown(mirror));
                return Err(self.error(value.span(), &text));
            }
            Ok(mirror.to_owned())
        })
    }

    /// The key of a table `[registry."HOST[:PORT]"]`.
    pub(super) fn registry(&self, key: &Key<'_>) -> Result<String, Hinted> {
        let text = &**key.get_ref();
        match registry_name(text) {
            Some(name) if name == text => Ok(name),
            name => {
                let what = format!(
                    "`{}` is not the name of a registry as images have it: `HOST[:PORT]`",
                    shown(text)
                );
                let hint = name.map_or_else(
                    || "a host with dots or a port needs quotes: `[registry.\"localhost:5000\"]`".into(),
                    |name| format!("`[registry.\"{name}\"]`"),
                );
                Err(self.error(key.span(), &what).hint(hint))
            }
        }
    }

    fn string<'v>(&self, value: &'v Value<'_>) -> Result<&'v str, Hinted> {
        let text = value.get_ref().as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| self.other(value, "a string that is not empty"))
    }

    fn array<T>(
        &self,
        value: &Value<'_>,
        item: impl Fn(&Value<'_>) -> Result<T, Hinted>,
    ) -> Result<Vec<T>, Hinted> {
        let array = value.get_ref().as_array().ok_or_else(|| self.other(value, "an array of strings"))?;
        array.iter().map(item).collect()
    }

    fn other(&self, value: &Value<'_>, wanted: &str) -> Hinted {
        let found = value.get_ref().type_str();
        self.error(value.span(), &format!("expected {wanted}, found {found}"))
    }
}

fn is_path_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c)
}
