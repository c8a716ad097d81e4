//! A context that has been looked at: its tree, what was left out of it, and what is known of its files.

use std::sync::{Arc, Mutex};

use super::outside::{Outside, OutsideError, lock};
use crate::context::{Context, ContextSpec, Needed, Options, folder, ignore_file};
use crate::plan::ContextName;
use crate::store::stat_cache::{Moment, StatCache};
use crate::tree::pattern::Ignore;
use crate::tree::{Source, Tree};

/// An opened context.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) tree: Arc<Tree>,
    pub(super) ignore: Ignore,
    /// Of a folder, for noting what was hashed and when it was looked at.
    stats: Mutex<Option<(StatCache, Moment)>>,
}

impl Opened {
    pub(super) fn read(outside: &Outside, name: &ContextName) -> Result<Self, OutsideError> {
        let modes = outside.modes.get().copied().unwrap_or_default();
        match outside.spec(name)? {
            ContextSpec::Folder(root) => {
                let build_file = outside.contexts.build_file.as_deref().filter(|_| *name == ContextName::Main);
                let ignore = ignore_file::find(root, build_file)?.map(|(_, ignore)| ignore).unwrap_or_default();
                let stats = StatCache::open(&outside.store, root);
                let since = Moment::now();
                let known = |path: &crate::tree::ImagePath, stat: &_| stats.get(path.as_bytes(), stat);
                let options = Options { modes, ignore, needed: Needed::All, known: Some(&known), ..Options::default() };
                let Context { tree, ignore, .. } = folder::read(root, options)?;
                Ok(Self { tree: Arc::new(tree), ignore, stats: Mutex::new(Some((stats, since))) })
            }
            _ => Err(OutsideError::NoContext),
        }
    }

    /// Notes the fingerprints that are known by now.
    pub(super) fn save(&self) {
        let Some((stats, since)) = lock(&self.stats).take() else { return };
        for (path, node) in self.tree.iter() {
            let Some(content) = node.content() else { continue };
            if let (Source::File { seen, .. }, Some(fingerprint)) = (content.source(), content.known_fingerprint()) {
                stats.put(path.as_bytes(), *seen, fingerprint, since);
            }
        }
        drop(stats.save());
    }
}
