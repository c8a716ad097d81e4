//! What a source's words select in its tree.

use std::collections::BTreeSet;

use super::CopyError;
use super::filter::Filter;
use crate::exec::resolve_path::{Names as _, ResolveError, resolve};
use crate::tree::pattern::Glob;
use crate::tree::{ImagePath, Tree};

/// A source as written: `docs/*.md`, or with `--parents` `src/./lib/**/*.rs`.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    /// The path or glob of the files, or of the folders to start from. Bytes between slashes, none of them
    /// empty, `.` or `..`.
    parts: Vec<String>,
    /// With `--parents`: which paths below that are wanted, where not all are.
    pub(super) below: Option<String>,
    parents: bool,
}

/// A path that a source names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) path: ImagePath,
    /// The part of it that wildcards matched.
    wild: Option<ImagePath>,
}

impl Named {
    /// Whether `--exclude` takes away the file itself. It can where a wildcard chose it, as the reference has it
    /// (`COPY --exclude=*.txt hom* /dir/`), though the main implementation forgets to; what is named plainly is
    /// wanted.
    pub(super) fn is_left_out(&self, is_dir: bool, filter: &Filter) -> bool {
        self.wild.as_ref().is_some_and(|wild| !is_dir && filter.leaves_out(wild))
    }
}

/// Makes the error for a source that isn't there.
type Missing<'a> = &'a dyn Fn(&ImagePath) -> CopyError;

impl Source {
    pub(super) fn new(text: &str, parents: bool) -> Self {
        let (start, below) = match text.split_once("/./") {
            _ if !parents => (text, ""),
            Some((start, below)) => (start, below),
            None => ("", text),
        };
        let below = Some(clean(below).join("/")).filter(|below| !below.is_empty());
        Self { text: text.to_owned(), parts: clean(start), below, parents }
    }

    /// The paths that it names, in the order of a walk. One that is plainly written need not be there.
    pub(super) fn select(&self, tree: &Tree, missing: Missing<'_>) -> Result<Vec<Named>, CopyError> {
        let Some(wild) = self.parts.iter().position(|part| is_wild(part)) else {
            return Ok(vec![Named { path: self.path(&self.parts)?, wild: None }]);
        };
        let (start, pattern) = self.parts.split_at(wild);
        let glob = Glob::new(&plain_stars(&pattern.join("/")))?;
        let start = self.follow(tree, &self.path(start)?, missing)?;
        let mut found = BTreeSet::new();
        for (path, _) in tree.below(&start) {
            let relative = path.strip_prefix(&start).expect("it is below");
            // Folders that don't stand in the tree themselves are met in what is below them.
            let is_met = path.parent().is_some_and(|parent| parent == start || tree.contains(&parent));
            let unmet = relative.ancestors().skip(if is_met { usize::MAX } else { 0 });
            if let Some(matching) = unmet.chain([relative.clone()]).find(|p| glob.matches(p.as_bytes()))
                && !matching.ancestors().any(|folder| found.contains(&folder))
            {
                found.insert(matching);
            }
        }
        let mut found: Vec<ImagePath> = found.into_iter().collect();
        // Where two of one name meet in the destination, the last one stays: the order is a walk's, in which
        // `a/x` comes before `a-b/x`.
        found.sort_by(|a, b| a.parts().cmp(b.parts()));
        Ok(found.into_iter().map(|wild| Named { path: start.join(&wild), wild: Some(wild) }).collect())
    }

    /// Where the path leads, its last part included.
    pub(super) fn follow(
        &self,
        tree: &Tree,
        path: &ImagePath,
        missing: Missing<'_>,
    ) -> Result<ImagePath, CopyError> {
        match resolve(tree, &ImagePath::root(), path) {
            Ok(real) if tree.kind(&real).is_some() => Ok(real),
            Ok(_) => Err(missing(path)),
            Err(ResolveError::NotAFolder(_)) => Err(missing(path)),
            Err(source) => Err(CopyError::Source { pattern: self.text.clone(), source }),
        }
    }

    /// The path below which something has to be found: that of `--parents`, without wildcards.
    pub(super) fn required(&self) -> Option<ImagePath> {
        let below = self.below.as_ref().filter(|_| self.parents)?;
        let all: Vec<String> =
            self.parts.iter().cloned().chain(below.split('/').map(str::to_owned)).collect();
        if all.iter().any(|part| is_wild(part)) { None } else { self.path(&all).ok() }
    }

    fn path(&self, parts: &[String]) -> Result<ImagePath, CopyError> {
        ImagePath::clamped(parts.join("/").as_bytes())
            .map_err(|source| CopyError::Path { pattern: self.text.clone(), source })
    }
}

/// The parts of a path, with `..` resolved as text and stopping at the root.
fn clean(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

/// Whether a part is a pattern. A backslash alone doesn't make one: then it is part of the name.
fn is_wild(part: &str) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return true,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
    false
}

/// `**` means no more than `*` here, as in `filepath.Match`; only `--parents` knows it as any depth.
fn plain_stars(pattern: &str) -> String {
    let mut plain = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        plain.push(c);
        match c {
            '\\' => plain.extend(chars.next()),
            '*' => while chars.next_if_eq(&'*').is_some() {},
            _ => {}
        }
    }
    plain
}
