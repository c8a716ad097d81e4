//! The files of `lith pin`: found, read, and written all or none.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lith::pin::{self, FieldPath, Language, Pinned, Target};
use lith::store::Replacement;

use super::Done;
use crate::cli::error::{Hinted, tell};

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextPlace {
    Stdin,
    File(PathBuf),
}

/// A text, read.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) place: TextPlace,
    pub(super) file: pin::File,
}

impl TextPlace {
    pub(super) fn is_stdin(&self) -> bool {
        *self == Self::Stdin
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::File(path) => Some(path),
        }
    }

    pub(super) fn shown(&self) -> String {
        self.path().map_or_else(|| "stdin".into(), |path| lith::text::escaped(&path.to_string_lossy()))
    }

    /// A folder is looked for beside the file that names it.
    pub(super) fn root(&self, target: &mut Target) {
        if let (Target::Folder(folder), Some(beside)) = (target, self.path().and_then(Path::parent)) {
            *folder = beside.join(&*folder).to_string_lossy().into_owned();
        }
    }
}

impl Input {
    pub(super) fn is_compose(&self) -> bool {
        self.file.sites.iter().any(|site| site.is_compose)
    }

    pub(super) fn unchanged(self) -> Done {
        Done { pinned: Pinned { text: self.file.text.clone(), changes: Vec::new() }, input: self }
    }
}

/// Reads all files; if some are not valid, tells of each. `unknown` is what to do about a file of no known language.
pub(super) fn read(
    paths: &[PathBuf],
    language: Option<Language>,
    fields: &[FieldPath],
    unknown: &str,
) -> anyhow::Result<Vec<Input>> {
    let (mut inputs, mut wrong) = (Vec::new(), 0);
    for (place, language) in find(paths, language, unknown)? {
        match pin::read(&bytes(&place)?, language, fields) {
            Ok(file) => inputs.push(Input { place, file }),
            Err(error) => {
                tell(&format!("{}:{}: {error}", place.shown(), error.line()));
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        let what = if wrong == 1 { "a file is" } else { "files are" };
        return Err(Hinted::new(format!("{what} not valid; nothing has been changed")).into());
    }
    Ok(inputs)
}

/// The files of what was typed, each once.
fn find(
    paths: &[PathBuf],
    language: Option<Language>,
    unknown: &str,
) -> anyhow::Result<Vec<(TextPlace, Language)>> {
    let mut found: Vec<(TextPlace, Language)> = Vec::new();
    let mut add = |place: TextPlace, language| {
        if !found.iter().any(|(known, _)| *known == place) {
            found.push((place, language));
        }
    };
    for path in paths {
        if path.as_os_str() == "-" {
            add(TextPlace::Stdin, language.unwrap_or(Language::Yaml));
        } else if path.is_dir() {
            for file in below(path)? {
                if let Some(own) = Language::of(&file).filter(|own| language.is_none_or(|only| only == *own))
                {
                    add(TextPlace::File(file), own);
                }
            }
        } else {
            if matches!(path.try_exists(), Ok(false)) {
                return Err(Hinted::new(format!("`{}`: no such file or folder", path.display())).into());
            }
            let own = language.or_else(|| Language::of(path)).ok_or_else(|| {
                Hinted::usage(format!("`{}` does not say what it is written in", path.display()))
                    .hint(unknown)
            })?;
            add(TextPlace::File(path.clone()), own);
        }
    }
    Ok(found)
}

/// The files below a folder, sorted. Links are not followed, and what git keeps is not looked at.
fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    let mut files = Vec::new();
    for entry in walk.filter_entry(|entry| entry.file_name() != ".git") {
        let entry = entry.with_context(|| format!("reading `{}`", folder.display()))?;
        // A folder's JSON is mostly something else.
        let is_json = entry.path().extension().is_some_and(|extension| extension == "json");
        if entry.metadata().is_ok_and(|metadata| metadata.is_file()) && !is_json {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

fn bytes(place: &TextPlace) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = pin::MAX_FILE + 1;
    match place {
        TextPlace::Stdin => std::io::stdin().take(limit).read_to_end(&mut bytes).context("reading stdin")?,
        TextPlace::File(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("reading `{}`", path.display()))?;
            file.take(limit)
                .read_to_end(&mut bytes)
                .with_context(|| format!("reading `{}`", path.display()))?
        }
    };
    if bytes.len() as u64 > pin::MAX_FILE {
        let limit = crate::cli::format::size(pin::MAX_FILE);
        return Err(Hinted::new(format!("{} has more than {limit}", place.shown())).into());
    }
    Ok(bytes)
}

/// Writes all of them, or none: what can fail has been done before the first is replaced.
pub(super) fn write_all(writes: &[(&Path, &str)]) -> anyhow::Result<()> {
    let mut ready = Vec::new();
    for (path, text) in writes {
        let prepared = Replacement::prepare(path, text.as_bytes());
        ready.push((path, prepared.with_context(|| format!("writing `{}`", path.display()))?));
    }
    for (path, prepared) in ready {
        prepared.put().with_context(|| format!("replacing `{}`", path.display()))?;
    }
    Ok(())
}
