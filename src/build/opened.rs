//! A context that has been looked at: its tree, what was left out of it, and what is known of its files.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use super::outside::{Outside, OutsideError, lock};
use crate::compression;
use crate::context::git::{self, Checkout};
use crate::context::{Context, ContextSpec, Modes, Needed, Notes, Options, folder, ignore_file, url};
use crate::layer::read as archive;
use crate::plan::{ContextName, GitAddress};
use crate::store::stat_cache::{Moment, StatCache};
use crate::tree::pattern::Ignore;
use crate::tree::{Backing, ImagePath, Source, Tree};

/// The longest text that is taken for a Buildfile where an archive was expected.
const MAX_LONE: usize = 1 << 20;

/// An opened context.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// As COPY sees it. Of what is not a folder it is made of `whole` when it is first asked for, as only the
    /// Buildfile, which may be in there, says how.
    tree: OnceLock<Arc<Tree>>,
    pub(super) ignore: Ignore,
    pub(super) notes: Notes,
    /// Of an archive or repository: with what is ignored, as the Buildfile may be.
    pub(super) whole: Tree,
    /// What came instead of an archive: a Buildfile alone.
    pub(super) lone_build_file: Option<Vec<u8>>,
    /// Of a folder, for noting what was hashed and when it was looked at.
    stats: Mutex<Option<(StatCache, Moment)>>,
    /// Its files are there as long as this is.
    _checkout: Option<Checkout>,
}

impl Opened {
    pub(super) fn read(outside: &Outside, name: &ContextName) -> Result<Self, OutsideError> {
        match outside.spec(name)? {
            ContextSpec::Folder(root) => folder(outside, name, root),
            ContextSpec::Git(address) => repository(outside, address),
            ContextSpec::Stdin => packed(outside, io::stdin().lock()).map_err(OutsideError::Stdin)?,
            ContextSpec::Archive(path) => {
                let io = |error| {
                    OutsideError::Context(crate::context::ContextError::Io { path: path.clone(), error })
                };
                packed(outside, File::open(path).map_err(io)?).map_err(io)?
            }
            ContextSpec::Url(text) => {
                let fetched = url::fetch(text, None, outside.store.temp_file()?, &outside.contexts.http)?;
                let reading =
                    fetched.content.open().map_err(|error| OutsideError::Stdin(io::Error::other(error)))?;
                packed(outside, reading).map_err(OutsideError::Stdin)?
            }
            ContextSpec::OciLayout(_)
            | ContextSpec::OciArchive(_)
            | ContextSpec::DockerArchive(_)
            | ContextSpec::Image(_) => Err(OutsideError::NoContext),
        }
    }

    /// The files, without what the ignore file takes away.
    pub(super) fn tree(&self, modes: Modes) -> Arc<Tree> {
        let make = || Arc::new(as_context(&folder::filter(&self.whole, &self.ignore), modes));
        Arc::clone(self.tree.get_or_init(make))
    }

    /// Notes the fingerprints that are known by now.
    pub(super) fn save(&self) {
        let Some((stats, since)) = lock(&self.stats).take() else { return };
        for (path, node) in self.tree.get().into_iter().flat_map(|tree| tree.iter()) {
            let Some(content) = node.content() else { continue };
            if let (Source::File { seen, .. }, Some(fingerprint)) =
                (content.source(), content.known_fingerprint())
            {
                stats.put(path.as_bytes(), *seen, fingerprint, since);
            }
        }
        drop(stats.save());
    }
}

fn folder(outside: &Outside, name: &ContextName, root: &Path) -> Result<Opened, OutsideError> {
    let build_file = outside.build_file.get().filter(|_| *name == ContextName::Main);
    let ignore = ignore_file::find(root, build_file.map(AsRef::as_ref))?;
    let ignore = ignore.map(|(_, ignore)| ignore).unwrap_or_default();
    let stats = StatCache::open(&outside.store, root);
    let since = Moment::now();
    let known = |path: &ImagePath, stat: &_| stats.get(path.as_bytes(), stat);
    let options = Options {
        modes: outside.modes(),
        ignore,
        needed: Needed::All,
        known: Some(&known),
        ..Options::default()
    };
    let Context { tree, ignore, notes } = folder::read(root, options)?;
    let stats = Mutex::new(Some((stats, since)));
    Ok(Opened { tree: Arc::new(tree).into(), ignore, notes, stats, ..Opened::default() })
}

fn repository(outside: &Outside, address: &str) -> Result<Opened, OutsideError> {
    let address = GitAddress::parse(address)?.ok_or(OutsideError::NoContext)?;
    let checkout = git::checkout(&address.git(), &outside.git_environment())?;
    let ignore = ignore_file::find(&checkout.root(), None)?.map(|(_, ignore)| ignore).unwrap_or_default();
    let whole = checkout.read(Options { modes: Modes::Keep, ..Options::default() })?;
    Ok(Opened {
        ignore,
        notes: whole.notes,
        whole: whole.tree,
        _checkout: Some(checkout),
        ..Opened::default()
    })
}

/// A tar of any compression, or a Buildfile alone.
fn packed(outside: &Outside, reader: impl Read) -> io::Result<Result<Opened, OutsideError>> {
    let mut reader = compression::decode(BufReader::with_capacity(1 << 17, reader))?;
    let mut head = Vec::new();
    reader.by_ref().take(512).read_to_end(&mut head)?;
    if archive::is_header(&head) || head.iter().all(|&b| b == 0) && head.len() == 512 {
        return Ok(unpacked(outside, io::Cursor::new(head).chain(reader)));
    }
    reader.take(MAX_LONE as u64).read_to_end(&mut head)?;
    Ok(Ok(Opened { lone_build_file: Some(head), ..Opened::default() }))
}

fn unpacked(outside: &Outside, reader: impl Read) -> Result<Opened, OutsideError> {
    let mut spool = outside.store.temp_file()?;
    let listing = archive::list(reader, Some(&mut spool))?;
    let backing: Arc<dyn Backing> = Arc::new(Arc::new(spool));
    let whole = listing.tree(&backing)?;
    let ignore = ignore_file::find_in(&whole)?.unwrap_or_default();
    Ok(Opened { ignore, whole, ..Opened::default() })
}

/// What a context hands on of an archive's attributes.
fn as_context(tree: &Tree, modes: Modes) -> Tree {
    let view = |(path, node): (&ImagePath, &crate::tree::Node)| {
        let mut node = node.clone();
        node.meta = modes.apply(node.meta, &node.kind);
        if let (Modes::Git, crate::tree::Kind::File { inode, .. }) = (modes, &mut node.kind) {
            *inode = None;
        }
        (path.clone(), node)
    };
    tree.iter().map(view).collect()
}
