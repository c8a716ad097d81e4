//! A step's mounts: what they are known by, and what the sandbox puts where.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::super::copy::Placed;
use super::super::known::{Files, Placing};
use super::super::resolve_path::{Names as _, resolve};
use super::error::RunError;
use super::key::Mounted;
use super::options::RunOptions;
use super::relay::Relay;
use super::workshop::{Unpacked, Workshop};
use crate::layer::{self, Layer};
use crate::oci::Epoch;
use crate::plan::{Mount, MountKind, Run, Sharing, TreeRef};
use crate::sandbox::{self, Hidden};
use crate::store::Store;
use crate::store::roots::Staged;
use crate::store::steps::Cache;
use crate::tree::{Changes, ImagePath, Node, Tree};

/// The tree that a mount shows a part of.
#[derive(Debug, Clone)]
pub(in crate::exec) struct Source {
    pub(in crate::exec) tree: Arc<Tree>,
    /// Of a stage or image; a context has none.
    pub(in crate::exec) layers: Option<Vec<Layer>>,
    /// In words.
    pub(in crate::exec) what: String,
}

/// A part of a tree, with its path there.
struct Part<'a> {
    source: &'a Source,
    path: ImagePath,
    /// A hash of all that can be seen of it, once somebody asked.
    content: OnceLock<String>,
}

/// A part of a tree that a step sees, for [`super::super::Known`].
pub(super) struct View<'a> {
    part: &'a Part<'a>,
    from: &'a TreeRef,
    placed: [Placed; 1],
    changes: Box<dyn Fn() -> Changes + 'a>,
}

impl View<'_> {
    pub(super) fn files(&self) -> Files<'_> {
        Files {
            key: self.part.content.get().map(String::as_str),
            from: self.from,
            what: self.part.source.what.clone(),
            tree: &self.part.source.tree,
            placed: Cow::Borrowed(&self.placed),
            changes: Placing::Late(&*self.changes),
        }
    }
}

/// What is only looked at while a mount has nothing of a tree in it.
const FILE: &str = "file";

fn one_file() -> ImagePath {
    ImagePath::new(FILE.as_bytes()).expect("a constant")
}

impl Part<'_> {
    /// What is there, as a tree of its own; a file stands in it as [`FILE`].
    fn files(&self, epoch: Epoch) -> Changes {
        let mtime = epoch.mtime();
        let dated = |node: &Node| Node { mtime, ..node.clone() };
        let tree = &self.source.tree;
        let mut changes = Changes::default();
        match tree.get(&self.path) {
            Some(node) if !node.is_dir() => {
                changes.puts.insert(one_file(), dated(node));
            }
            node => {
                let root = node.map_or_else(Node::implicit_dir, dated);
                changes.puts.insert(ImagePath::root(), root);
                let below = tree
                    .below(&self.path)
                    .filter_map(|(path, node)| Some((path.strip_prefix(&self.path)?, dated(node))));
                changes.puts.extend(below);
            }
        }
        changes
    }

    fn is_folder(&self) -> bool {
        self.source.tree.get(&self.path).is_none_or(Node::is_dir)
    }
}

/// The mounts of a step.
pub(super) struct Mounts<'a> {
    all: Vec<(&'a Mount, Option<Part<'a>>)>,
    /// For each cache, what it is known by.
    names: Vec<String>,
}

impl<'a> Mounts<'a> {
    /// Finds what is mounted; `sources` has the tree of each mount that has one.
    pub(super) fn find(run: &'a Run, sources: &'a [Option<Source>]) -> Result<Self, RunError> {
        let mut all = Vec::new();
        let mut names = Vec::new();
        for (mount, source) in run.mounts.iter().zip(sources) {
            let path = match &mount.kind {
                MountKind::Bind { source, .. } | MountKind::Cache { source, .. } => source.as_str(),
                MountKind::Tmpfs { .. } | MountKind::Secret { .. } | MountKind::Ssh { .. } => "",
            };
            let part = source.as_ref().map(|source| find(source, path)).transpose()?;
            names.push(cache_name(mount, part.as_ref())?);
            all.push((mount, part));
        }
        Ok(Self { all, names })
    }

    /// What the step's key has of them.
    pub(super) fn keys(&self) -> Result<Vec<Mounted<'_>>, RunError> {
        self.all
            .iter()
            .zip(&self.names)
            .map(|((mount, part), name)| key(mount, part.as_ref(), name))
            .collect()
    }

    /// The trees that the step sees a part of.
    pub(super) fn views<'s>(&'s self) -> Vec<View<'s>> {
        let view = |(mount, part): &'s (&'a Mount, Option<Part<'a>>)| {
            let part = part.as_ref()?;
            let from = mount.kind.tree()?;
            let to = if part.is_folder() { ImagePath::root() } else { one_file() };
            let placed = [Placed { from: part.path.clone(), to, archive: false }];
            let changes = Box::new(move || part.files(Epoch::ZERO));
            Some(View { part, from, placed, changes })
        };
        self.all.iter().filter_map(view).collect()
    }

    /// The values of the secrets that were given, with the variables that some are to be.
    pub(super) fn secrets(&self, options: &RunOptions) -> Result<Secrets, RunError> {
        let mut secrets = Secrets::default();
        for (mount, _) in &self.all {
            let MountKind::Secret { id, required, env, file, .. } = &mount.kind else { continue };
            let Some(secret) = options.secrets.get(id) else {
                if *required {
                    return Err(RunError::NoSecret { id: id.clone() });
                }
                continue;
            };
            let value = secret.read(id)?.clone();
            if let Some(name) = env {
                if value.0.contains(&0) {
                    return Err(RunError::SecretNul { id: id.clone(), name: name.clone() });
                }
                secrets.variables.push((name.clone(), value.clone()));
            }
            if *file {
                secrets.files.extend(secret_file(mount, value.clone()));
            }
            secrets.all.push(value);
        }
        Ok(secrets)
    }

    /// Mounts everything but secrets.
    pub(super) fn mount(
        &self,
        workshop: &Workshop,
        store: &Store,
        options: &RunOptions,
        epoch: Epoch,
    ) -> Result<Held, RunError> {
        let mut held = Held::default();
        self.lock_caches(store, &mut held)?;
        let mut caches = std::mem::take(&mut held.caches).into_iter();
        for (mount, part) in &self.all {
            let target = mount.target.clone().into_bytes();
            match &mount.kind {
                MountKind::Bind { .. } => {
                    let part = part.as_ref().expect("a bind has a tree");
                    let (lowers, source) = show(part, workshop, epoch, &mut held)?;
                    let read_only = mount.read_only;
                    held.mounts.push(sandbox::Mount::Tree { lowers, source, target, read_only });
                }
                MountKind::Cache { mode, uid, gid, .. } => {
                    let cache = caches.next().expect("one was locked for each");
                    fill(&cache, part.as_ref(), store, workshop, epoch)?;
                    held.mounts.push(sandbox::Mount::Cache {
                        folder: cache.folder().to_owned(),
                        target,
                        read_only: mount.read_only,
                        owner: (*uid, *gid),
                        mode: u32::from(*mode),
                    });
                    held.caches.push(cache);
                }
                MountKind::Tmpfs { size } => {
                    held.mounts.push(sandbox::Mount::Tmpfs { target, size: *size });
                }
                MountKind::Ssh { id, required, mode, uid, gid } => {
                    let Some(agent) = agent(id, *required, options)? else { continue };
                    let relay = Relay::start(agent, &store.temp_folder()).map_err(RunError::Agent)?;
                    held.mounts.push(sandbox::Mount::Socket {
                        socket: relay.socket().to_owned(),
                        target,
                        owner: (*uid, *gid),
                        mode: u32::from(*mode),
                    });
                    held.relays.push(relay);
                }
                MountKind::Secret { .. } => {}
            }
        }
        Ok(held)
    }

    /// Takes the caches in the order of their names, so that two steps never wait for each other; leaves them in the
    /// order of the mounts. A cache that is mounted twice is locked once.
    fn lock_caches(&self, store: &Store, held: &mut Held) -> Result<(), RunError> {
        let mut wanted: Vec<(&str, usize, Sharing)> = Vec::new();
        for (index, ((mount, _), name)) in self.all.iter().zip(&self.names).enumerate() {
            if let MountKind::Cache { sharing, .. } = &mount.kind {
                wanted.push((name, index, *sharing));
            }
        }
        wanted.sort_by_key(|(name, index, _)| (*name, *index));
        let mut found: Vec<(usize, Arc<Cache>)> = Vec::new();
        let mut last: Option<(&str, Arc<Cache>)> = None;
        for (name, index, sharing) in wanted {
            let cache = match &last {
                Some((same, cache)) if *same == name => Arc::clone(cache),
                _ => Arc::new(store.cache_mount(name, sharing)?),
            };
            last = Some((name, Arc::clone(&cache)));
            found.push((index, cache));
        }
        found.sort_by_key(|(index, _)| *index);
        held.caches = found.into_iter().map(|(_, cache)| cache).collect();
        Ok(())
    }
}

/// What a step's secrets are.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    pub(super) all: Vec<Hidden>,
    pub(super) variables: Vec<(String, Hidden)>,
    pub(super) files: Vec<sandbox::Mount>,
}

/// Mounts, and what has to stay as long as they are used.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) mounts: Vec<sandbox::Mount>,
    caches: Vec<Arc<Cache>>,
    pub(super) folders: Vec<Staged>,
    relays: Vec<Relay>,
}

fn find<'a>(source: &'a Source, text: &str) -> Result<Part<'a>, RunError> {
    let error = |error| RunError::MountSource { path: text.into(), error };
    let path = ImagePath::new(text.trim_matches('/').as_bytes()).map_err(|path| error(path.into()))?;
    let path = resolve(&*source.tree, &ImagePath::root(), &path).map_err(error)?;
    if source.tree.kind(&path).is_none() {
        return Err(RunError::NoMountSource { path: text.into(), from: source.what.clone() });
    }
    Ok(Part { source, path, content: OnceLock::new() })
}

/// By id, and by what it begins with: its owner and mode, or the files of a tree.
fn cache_name(mount: &Mount, part: Option<&Part<'_>>) -> Result<String, RunError> {
    let MountKind::Cache { id, mode, uid, gid, .. } = &mount.kind else { return Ok(String::new()) };
    let start = match part {
        Some(part) => content(part)?,
        None => format!("{mode:o} {uid}:{gid}"),
    };
    Ok(format!("{id}\0{start}"))
}

/// A hash of all that can be seen of a part.
fn content(part: &Part<'_>) -> Result<String, RunError> {
    if let Some(known) = part.content.get() {
        return Ok(known.clone());
    }
    let files = part.files(Epoch::ZERO);
    for content in files.puts.values().filter_map(Node::content) {
        content.fingerprint()?;
    }
    let options =
        layer::Options { compression: crate::compression::Compression::NONE, epoch: Epoch::ZERO, threads: 1 };
    let kind = if part.is_folder() { "folder" } else { "file" };
    let key = layer::key(&files, &options).ok_or(RunError::OddMount)?;
    Ok(part.content.get_or_init(|| format!("{kind} {key}")).clone())
}

fn key<'a>(mount: &'a Mount, part: Option<&Part<'_>>, name: &'a str) -> Result<Mounted<'a>, RunError> {
    let (target, read_only) = (mount.target.as_str(), mount.read_only);
    Ok(match &mount.kind {
        MountKind::Bind { .. } => {
            let content = content(part.expect("a bind has a tree"))?;
            Mounted::Tree { content, target, read_only }
        }
        MountKind::Cache { .. } => Mounted::Cache { name, target, read_only },
        MountKind::Tmpfs { size } => Mounted::Tmpfs { size: *size, target },
        MountKind::Secret { id, required, mode, uid, gid, env, file } => Mounted::Secret {
            id,
            required: *required,
            mode: *mode,
            owner: (*uid, *gid),
            env: env.as_deref(),
            target: file.then_some(target),
        },
        MountKind::Ssh { id, required, mode, uid, gid } => {
            Mounted::Ssh { id, required: *required, mode: *mode, owner: (*uid, *gid), target }
        }
    })
}

fn secret_file(mount: &Mount, bytes: Hidden) -> Option<sandbox::Mount> {
    let MountKind::Secret { mode, uid, gid, .. } = mount.kind else { return None };
    let target = mount.target.clone().into_bytes();
    Some(sandbox::Mount::File { target, bytes, owner: (uid, gid), mode: mode.into() })
}

/// The folders that show a part, and its path there.
fn show(
    part: &Part<'_>,
    workshop: &Workshop,
    epoch: Epoch,
    held: &mut Held,
) -> Result<(Vec<PathBuf>, Vec<u8>), RunError> {
    if let Some(layers) = &part.source.layers {
        let mut unpacked = Unpacked::default();
        unpacked.extend(workshop, layers, &part.source.tree, epoch)?;
        if !unpacked.is_empty() {
            let folders = workshop.shown(&unpacked, &mut held.folders)?;
            return Ok((folders, [b"/", part.path.as_bytes()].concat()));
        }
    }
    let staged = workshop.folder(&part.files(epoch), epoch)?;
    let folder = staged.fs();
    held.folders.push(staged);
    let source = if part.is_folder() { "/".to_owned() } else { format!("/{FILE}") };
    Ok((vec![folder], source.into_bytes()))
}

/// Gives a new cache what it begins with. What was left half done is done again.
fn fill(
    cache: &Cache,
    part: Option<&Part<'_>>,
    store: &Store,
    workshop: &Workshop,
    epoch: Epoch,
) -> Result<(), RunError> {
    let name = cache.folder().file_name().unwrap_or_default();
    let _lock = store.lock_step(&format!("cache-{}", name.display()))?;
    if !cache.is_new() {
        return Ok(());
    }
    if let Some(part) = part.filter(|part| part.is_folder()) {
        let folder = cache.folder();
        let failed = |error| RunError::Folder { path: folder.to_owned(), error };
        workshop.remove(folder).and_then(|()| std::fs::create_dir(folder)).map_err(failed)?;
        workshop.unpack(&part.files(epoch), folder)?;
    }
    Ok(cache.mark()?)
}

/// The agent's socket, if one was given.
fn agent<'a>(id: &str, required: bool, options: &'a RunOptions) -> Result<Option<&'a Path>, RunError> {
    use std::os::unix::fs::FileTypeExt as _;
    match options.ssh.get(id) {
        None if required => Err(RunError::NoSsh { id: id.into() }),
        None => Ok(None),
        Some(path) if path.metadata().is_ok_and(|seen| seen.file_type().is_socket()) => Ok(Some(path)),
        Some(path) => Err(RunError::NotASocket { id: id.into(), path: path.clone() }),
    }
}
