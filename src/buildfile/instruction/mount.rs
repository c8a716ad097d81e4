//! `RUN --mount`: first as typed, then, its values expanded, as meant.
//!
//! A value may hold variables, the type's as well, so a mount is understood only when its step is lowered; the
//! parser splits it and checks what can be known before.

use super::Request;
use crate::buildfile::{diagnostic::Diagnostic, source::Span, syntax::Word, values, words};
use crate::plan::Sharing;
use crate::text::field;

/// `--mount=key=value,…` as typed. [`MountFlag::resolve`] makes a [`Mount`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// The whole value.
    pub word: Word,
    pub fields: Vec<Field>,
}

/// `key=value`, or `key` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub key: Word,
    /// Expanded.
    pub value: Option<Word>,
}

/// A mount with all values known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub kind: MountKind,
    /// A stage, an image or a named context; empty: the build context, for a cache an empty folder.
    pub from: String,
    pub source: String,
    /// May be empty: for a secret and ssh that means the default place.
    pub target: String,
    pub read_only: bool,
    /// Bytes; tmpfs only.
    pub size: Option<i64>,
    /// `id`; empty if not given.
    pub id: String,
    /// Caches only.
    pub sharing: Option<Sharing>,
    /// Secrets and ssh only.
    pub required: bool,
    /// The environment variable for a secret; empty: named like the secret.
    pub env: Option<String>,
    /// `mode`, `uid`, `gid`: caches, secrets and ssh only.
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// `type=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum MountKind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

impl MountKind {
    const ALL: [(&'static str, Self); 5] = [
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("tmpfs", Self::Tmpfs),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).expect("all are there").0
    }
}

/// `sharing=`.
const SHARING: [(&str, Sharing); 3] =
    [("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

impl MountFlag {
    /// Splits the value. Of the values only that of `from` is checked: it says which stages a build needs, and so can't
    /// hold variables.
    pub(super) fn parse(request: &mut Request<'_>, word: Word) -> Option<Self> {
        let mut parsed = Vec::new();
        for field in fields(request, &word)? {
            let (key, value) = words::assignment(&field);
            if let Some(value) =
                value.as_ref().filter(|value| key.text.eq_ignore_ascii_case("from") && has_variable(value))
            {
                let message = "`from` doesn't support variable expansion";
                let help = "define a stage `FROM` it with an `ARG` from before the first `FROM`, and mount from that stage";
                return request.fail(Diagnostic::error("mount", value.span, message).help(help));
            }
            parsed.push(Field { key, value });
        }
        Some(Self { word, fields: parsed })
    }

    /// Expands the values and reads them.
    ///
    /// # Errors
    /// If a value can't be expanded, a key or a value is not known, or they don't go together. Keys that belong to one
    /// type must follow `type=`.
    pub fn resolve(
        &self,
        expand: &mut dyn FnMut(&Word) -> Result<String, Diagnostic>,
    ) -> Result<Mount, Diagnostic> {
        let mut draft = Draft::default();
        for field in &self.fields {
            let key = field.key.text.to_lowercase();
            match &field.value {
                Some(value) => {
                    let expanded = expand(value)?;
                    draft.set(&key, expanded).map_err(|wrong| wrong.at(&field.key, value.span))?;
                }
                None => draft
                    .switch(&key, &field.key.text)
                    .map_err(|wrong| wrong.at(&field.key, field.key.span))?,
            }
        }
        draft.finish().map_err(|message| Diagnostic::error("mount", self.word.span, message))
    }
}

/// A dollar that isn't the last character.
fn has_variable(value: &Word) -> bool {
    value.text.find('$').is_some_and(|at| at + 1 != value.text.len())
}

/// A field that is wrong.
enum Wrong {
    Key(String),
    Value(String),
    /// A value that is not one of those known.
    Unknown {
        message: String,
        value: String,
        known: Vec<&'static str>,
    },
}

impl Wrong {
    fn at(self, key: &Word, value: Span) -> Diagnostic {
        match self {
            Self::Key(message) => {
                let typed = key.text.to_lowercase();
                Diagnostic::error("mount", key.span, message).suggest(&typed, KEYS)
            }
            Self::Value(message) => Diagnostic::error("mount", value, message),
            Self::Unknown { message, value: typed, known } => {
                Diagnostic::error("mount", value, message).suggest(&typed, known)
            }
        }
    }
}

/// A mount while its fields are read.
#[derive(Default)]
struct Draft {
    kind: MountKind,
    from: String,
    source: String,
    target: String,
    read_only: Option<bool>,
    size: Option<i64>,
    id: String,
    sharing: Option<Sharing>,
    required: bool,
    env: Option<String>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Draft {
    fn switch(&mut self, key: &str, typed: &str) -> Result<(), Wrong> {
        match key {
            "readonly" | "ro" => self.read_only = Some(true),
            "readwrite" | "rw" => self.read_only = Some(false),
            "required" => {
                self.only(key, &[MountKind::Secret, MountKind::Ssh])?;
                self.required = true;
            }
            _ => return Err(Wrong::Key(format!("invalid field `{typed}` must be a `key=value` pair"))),
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), Wrong> {
        match key {
            "type" => self.kind = one_of(value, "mount type", &MountKind::ALL)?,
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "readonly" | "ro" => self.read_only = Some(boolean(key, &value)?),
            "readwrite" | "rw" => self.read_only = Some(!boolean(key, &value)?),
            "required" => {
                self.only(key, &[MountKind::Secret, MountKind::Ssh])?;
                self.required = boolean(key, &value)?;
            }
            "size" => {
                self.only(key, &[MountKind::Tmpfs])?;
                self.size = Some(values::size(&value).ok_or_else(|| invalid(key, &value))?);
            }
            "id" => self.id = value,
            "sharing" => self.sharing = Some(one_of(value, "sharing value", &SHARING)?),
            "mode" => self.mode = Some(number(key, &value, 8)?),
            "uid" => self.uid = Some(number(key, &value, 10)?),
            "gid" => self.gid = Some(number(key, &value, 10)?),
            "env" => self.env = Some(value),
            _ => return Err(Wrong::Key(format!("unexpected key `{key}`"))),
        }
        Ok(())
    }

    fn only(&self, key: &str, kinds: &[MountKind]) -> Result<(), Wrong> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        Err(Wrong::Key(format!("unexpected key `{key}` for mount type `{}`", self.kind.as_str())))
    }

    fn finish(self) -> Result<Mount, String> {
        let kind = self.kind;
        if matches!(kind, MountKind::Bind | MountKind::Tmpfs) {
            let given = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
            if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some()) {
                return Err(format!("{key} not allowed for `{}` type mounts", kind.as_str()));
            }
        }
        if kind == MountKind::Secret {
            self.check_secret()?;
        }
        if self.sharing.is_some() && kind != MountKind::Cache {
            return Err(format!("invalid cache sharing set for {} mount", kind.as_str()));
        }
        Ok(Mount {
            kind,
            from: self.from,
            source: self.source,
            target: self.target,
            read_only: self.read_only.unwrap_or(!matches!(kind, MountKind::Cache | MountKind::Tmpfs)),
            size: self.size,
            id: self.id,
            sharing: self.sharing,
            required: self.required,
            env: self.env,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
        })
    }

    fn check_secret(&self) -> Result<(), String> {
        let message = if !self.from.is_empty() {
            "secret mount should not have a from"
        } else if self.sharing.is_some() {
            "secret mount should not define sharing"
        } else if self.source.is_empty() && self.target.is_empty() && self.id.is_empty() {
            "invalid secret mount, one of source, target required"
        } else if !self.source.is_empty() && !self.id.is_empty() {
            "both source and id can't be set"
        } else {
            return Ok(());
        };
        Err(message.to_owned())
    }
}

fn one_of<T: Copy>(value: String, what: &str, known: &[(&'static str, T)]) -> Result<T, Wrong> {
    let lower = value.to_lowercase();
    match known.iter().find(|(name, _)| *name == lower) {
        Some((_, found)) => Ok(*found),
        None => {
            let message = format!("unsupported {what} `{value}`");
            Err(Wrong::Unknown { message, value, known: known.iter().map(|(name, _)| *name).collect() })
        }
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, Wrong> {
    values::boolean(value).ok_or_else(|| invalid(key, value))
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, Wrong> {
    let plain = !value.starts_with('+');
    u32::from_str_radix(value, radix).ok().filter(|_| plain).ok_or_else(|| invalid(key, value))
}

fn invalid(key: &str, value: &str) -> Wrong {
    Wrong::Value(format!("invalid value for `{key}`: `{value}`"))
}

/// The fields of comma-separated values, one line of CSV: a field in double quotes may hold commas, and quotes doubled.
pub(super) fn fields(request: &mut Request<'_>, word: &Word) -> Option<Vec<Word>> {
    let wrong = |message: &str| Diagnostic::error("flag-value", word.span, message);
    if word.text.is_empty() {
        return request.fail(wrong("the value is empty"));
    }
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let rest = &word.text[start..];
        let whole = |(_, length): &(String, usize)| rest.starts_with('"') || !rest[..*length].contains('"');
        let Some((field, length)) = field(rest).filter(whole) else {
            return request.fail(wrong("a quote in a comma-separated value is out of place"));
        };
        fields.push(Word::new(field, word.place(start..start + length)));
        start += length + 1;
        if length == rest.len() {
            return Some(fields);
        }
    }
}

#[cfg(test)]
#[path = "mount_tests.rs"]
mod tests;
