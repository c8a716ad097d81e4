//! A context that has been looked at: its tree, what was left out of it, and what is known of its files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::outside::{Outside, OutsideError, lock};
use crate::context::archive::{self, Arrived};
use crate::context::git::{self, Checkout};
use crate::context::{
    Context, ContextError, ContextSpec, Modes, Needed, Notes, Options, fingerprints, folder, ignore_file, url,
};
use crate::http::shown;
use crate::plan::{ContextName, Git};
use crate::store::stat_cache::{Moment, StatCache};
use crate::tree::pattern::Ignore;
use crate::tree::{ImagePath, Tree};

/// An opened context.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// As COPY sees it. Of what is not a folder it is made of `whole` when it is first asked for, as only the
    /// Buildfile, which may be in there, says how.
    tree: OnceLock<(Arc<Tree>, Notes)>,
    ignore: Ignore,
    /// Where that list stands.
    ignore_file: Option<PathBuf>,
    /// Of an archive or repository: with what is ignored, as the Buildfile may be.
    pub(super) whole: Tree,
    /// What came instead of an archive: a Buildfile alone.
    pub(super) lone_build_file: Option<Vec<u8>>,
    /// Of a folder, for noting what was hashed and when it was looked at.
    stats: Mutex<Option<(StatCache, Moment)>>,
    /// Its files are there as long as this is.
    checkout: Option<Checkout>,
}

impl Opened {
    pub(super) fn read(outside: &Outside, name: &ContextName) -> Result<Self, OutsideError> {
        let spec = outside.spec(name)?;
        if let ContextSpec::Git(Git { remote: place, .. }) | ContextSpec::Url(place) = spec
            && outside.contexts.offline
        {
            return Err(OutsideError::Offline(format!("the context `{}`", shown(place))));
        }
        match spec {
            ContextSpec::Folder(root) => folder(outside, name, root),
            ContextSpec::Git(address) => repository(outside, address),
            ContextSpec::Stdin => packed(outside, io::stdin().lock()),
            ContextSpec::Archive(path) => {
                let io = |error| ContextError::Io { path: path.clone(), error };
                packed(outside, File::open(path).map_err(io)?)
            }
            ContextSpec::Url(text) => {
                let fetched =
                    url::fetch(text, None, outside.store.temp_file()?, url::LIMIT, &outside.contexts.http)?;
                packed(outside, fetched.content.open().map_err(ContextError::from)?)
            }
            ContextSpec::ImageAt(..) | ContextSpec::Image(_) => Err(OutsideError::NoContext),
        }
    }

    /// The files, without what the ignore file takes away.
    pub(super) fn tree(&self, modes: Modes) -> Arc<Tree> {
        Arc::clone(&self.seen(modes).0)
    }

    /// What was noticed of the files, if anything asked for them.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.tree.get().into_iter().flat_map(|(_, notes)| notes.warnings())
    }

    fn seen(&self, modes: Modes) -> &(Arc<Tree>, Notes) {
        self.tree.get_or_init(|| {
            let Context { tree, notes, .. } = Context::of(&self.whole, self.ignore.clone(), modes);
            (Arc::new(tree), notes)
        })
    }

    /// The pattern that takes a path away, in words.
    pub(super) fn why_ignored(&self, path: &ImagePath) -> Option<String> {
        let pattern = self.ignore.why(path.as_bytes())?;
        let file = self.ignore_file.as_ref()?.file_name()?.to_string_lossy();
        let line = pattern.line().map_or_else(String::new, |line| format!(", line {line},"));
        Some(format!("`{}` in `{file}`{line}", pattern.text()))
    }

    /// Of a repository: the commit that it is.
    pub(super) fn commit(&self) -> Option<&str> {
        self.checkout.as_ref().map(Checkout::commit)
    }

    /// What the list is called, and a hash of what it says.
    pub(super) fn ignore_file(&self) -> Option<(String, String)> {
        let name = self.ignore_file.as_ref()?.file_name()?.to_string_lossy().into_owned();
        let hash = blake3::hash(format!("{:?}", self.ignore).as_bytes());
        Some((name, hash.to_hex().to_string()))
    }

    /// Notes the fingerprints that are known by now.
    pub(super) fn save(&self) {
        let Some((stats, since)) = lock(&self.stats).take() else { return };
        if stats.is_unchanged() {
            return;
        }
        for (path, seen, fingerprint) in self.tree.get().into_iter().flat_map(|(tree, _)| fingerprints(tree))
        {
            stats.put(path.as_bytes(), *seen, fingerprint, since);
        }
        drop(stats.save());
    }
}

fn folder(outside: &Outside, name: &ContextName, root: &Path) -> Result<Opened, OutsideError> {
    let build_file = outside.build_file().filter(|_| *name == ContextName::Main);
    let (ignore_file, ignore) = ignore_file::find(root, build_file)?.unzip();
    let ignore = ignore.unwrap_or_default();
    let stats = StatCache::open(&outside.store, root);
    let since = Moment::now();
    let known = |path: &ImagePath, stat: &_| stats.get(path.as_bytes(), stat);
    let options = Options {
        modes: outside.modes,
        ignore,
        needed: Needed::All,
        known: Some(&known),
        without: outside.store.root().canonicalize().ok(),
        ..Options::default()
    };
    let Context { tree, ignore, notes } = folder::read(root, options)?;
    let stats = Mutex::new(Some((stats, since)));
    Ok(Opened { tree: (Arc::new(tree), notes).into(), ignore, ignore_file, stats, ..Opened::default() })
}

fn repository(outside: &Outside, address: &Git) -> Result<Opened, OutsideError> {
    let checkout = git::checkout(address, &outside.git_environment())?;
    let ignore = ignore_file::find_inside(&checkout.root(), None)?;
    let whole = checkout.read(Options { modes: Modes::Keep, ..Options::default() })?.tree;
    let (ignore_file, ignore) = ignore.unzip();
    let ignore = ignore.unwrap_or_default();
    Ok(Opened { ignore, ignore_file, whole, checkout: Some(checkout), ..Opened::default() })
}

/// A tar of any compression, or a Buildfile alone.
fn packed(outside: &Outside, reader: impl Read) -> Result<Opened, OutsideError> {
    Ok(match archive::read(reader, outside.store.temp_file()?)? {
        Arrived::BuildFile(text) => Opened { lone_build_file: Some(text), ..Opened::default() },
        Arrived::Files(whole) => {
            let (ignore_file, ignore) = ignore_file::find_in(&whole, None)?.unzip();
            Opened { ignore: ignore.unwrap_or_default(), ignore_file, whole, ..Opened::default() }
        }
    })
}
