//! Where steps are run: the sandbox, and the folders that it needs, which one user or another may write.
//!
//! Where the kernel refuses overlayfs, a step gets a copy of its whole root file system instead, and its layer is
//! unpacked when the next step needs it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::RunError;
use crate::layer::{self, Layer};
use crate::oci::Epoch;
use crate::sandbox::rootfs::{self, Settle};
use crate::sandbox::{self, Mode, Sandbox, SandboxError};
use crate::store::Store;
use crate::store::roots::{Key, Roots, Staged};
use crate::tree::{Changes, Tree};

/// A sandbox with the store's folders.
#[derive(Debug)]
pub(super) struct Workshop {
    store: Arc<Store>,
    sandbox: Sandbox,
}

/// The one of a build, opened when the first step has to be run.
#[derive(Debug, Default)]
pub(super) struct Lazy(Mutex<Option<Arc<Workshop>>>);

impl Lazy {
    pub(super) fn get(
        &self,
        store: &Arc<Store>,
        options: Option<&sandbox::Options>,
    ) -> Result<Arc<Workshop>, RunError> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(workshop) = &*slot {
            return Ok(Arc::clone(workshop));
        }
        let options = options.ok_or_else(|| SandboxError::Unavailable {
            why: "this build has no sandbox".into(),
            advice: Vec::new(),
        })?;
        Ok(Arc::clone(slot.insert(Arc::new(Workshop::open(store, options)?))))
    }
}

impl Workshop {
    pub(super) fn open(store: &Arc<Store>, options: &sandbox::Options) -> Result<Self, RunError> {
        Ok(Self { store: Arc::clone(store), sandbox: Sandbox::new(options)? })
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The ids that files get.
    pub(super) fn ids(&self) -> rootfs::Ids {
        self.sandbox.disk().ids
    }

    /// Whether chown works: where it doesn't, a step may have another result.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.sandbox.mode(), Mode::Single { .. })
    }

    fn roots(&self) -> Result<Roots<'_>, RunError> {
        Ok(self.store.unpacked(&self.sandbox.roots())?)
    }

    /// The folder of a layer over `below`.
    fn layer(
        &self,
        layer: &Layer,
        changes: &Changes,
        below: &Tree,
        epoch: Epoch,
    ) -> Result<PathBuf, RunError> {
        let completed = rootfs::complete(changes, below, epoch)?;
        let blob = layer.digest();
        let key = Key { diff_id: &layer.diff_id, blob: &blob, context: completed.context.as_deref() };
        self.roots()?.get_or_make(&key, |folder| self.unpack(&completed.changes, folder))
    }

    /// Writes changes into a new, empty folder.
    pub(super) fn unpack(&self, changes: &Changes, folder: &Path) -> Result<(), RunError> {
        for note in self.sandbox.unpack(changes, folder)?.iter() {
            log::warn!("unpacking: {note}");
        }
        Ok(())
    }

    /// A folder with these files and nothing else, for as long as it isn't dropped.
    pub(super) fn folder(&self, files: &Changes, epoch: Epoch) -> Result<Staged, RunError> {
        let staged = self.roots()?.stage()?;
        let completed = rootfs::complete(files, &Tree::default(), epoch)?;
        self.unpack(&completed.changes, &staged.fs())?;
        Ok(staged)
    }

    /// The layers of a tree that is mounted, in one folder where they can't be laid over each other.
    pub(super) fn shown(
        &self,
        unpacked: &Unpacked,
        held: &mut Vec<Staged>,
    ) -> Result<Vec<PathBuf>, RunError> {
        if self.sandbox.has_overlay() {
            return Ok(unpacked.folders());
        }
        let staged = self.roots()?.stage()?;
        self.flatten(unpacked, &staged)?;
        let folder = staged.fs();
        held.push(staged);
        Ok(vec![folder])
    }

    fn flatten(&self, unpacked: &Unpacked, staged: &Staged) -> Result<(), RunError> {
        let lowers = unpacked.folders();
        let lowers: Vec<&Path> = lowers.iter().map(PathBuf::as_path).collect();
        self.sandbox.flatten(&lowers, &staged.fs())?;
        Ok(())
    }

    /// An upper folder for a step on `below`, with what is `new` in it from the start: a copy of all, where layers
    /// can't be laid over each other.
    pub(super) fn upper(
        &self,
        unpacked: &Unpacked,
        below: &Tree,
        new: &Changes,
        epoch: Epoch,
    ) -> Result<Staged, RunError> {
        let staged = self.roots()?.stage()?;
        if self.sandbox.has_overlay() {
            self.unpack(&rootfs::complete(new, below, epoch)?.changes, &staged.fs())?;
        } else {
            self.flatten(unpacked, &staged)?;
        }
        let work = staged.work();
        std::fs::create_dir(&work).map_err(|error| RunError::Folder { path: work, error })?;
        Ok(staged)
    }

    /// All that is in an upper folder.
    pub(super) fn collect(&self, upper: &Path, below: &Tree, epoch: Epoch) -> Result<Changes, RunError> {
        let all = self.sandbox.collect(upper, epoch, &self.store)?;
        let devices = self.sandbox.disk() == rootfs::Disk::ROOT;
        Ok(if self.sandbox.has_overlay() { all } else { rootfs::as_upper(all, below, devices) })
    }

    /// Makes the upper folder the layer's own.
    pub(super) fn adopt(
        &self,
        staged: Staged,
        settle: &Settle,
        (layer, changes): (&Layer, &Changes),
        below: &Tree,
        epoch: Epoch,
    ) -> Result<Option<PathBuf>, RunError> {
        if !self.sandbox.has_overlay() {
            return Ok(None);
        }
        self.sandbox.settle(&staged.fs(), settle, epoch)?;
        let blob = layer.digest();
        let context = rootfs::complete(changes, below, epoch)?.context;
        let key = Key { diff_id: &layer.diff_id, blob: &blob, context: context.as_deref() };
        Ok(Some(self.roots()?.adopt(staged, &key, &|path| self.remove(path))?))
    }

    /// Removes a folder, whoever owns what is in it.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.sandbox.remove(path).map_err(io::Error::other)
    }

    /// Removes what steps left behind.
    pub(super) fn sweep(&self) {
        let swept = self.roots().map(|roots| roots.sweep(&|path| self.remove(path)));
        if let Ok(Err(error)) = swept {
            log::warn!("removing what is not needed any more: {error}");
        }
    }
}

/// The folders of a stage's layers so far, and what they show together.
#[derive(Debug, Clone, Default)]
pub(in crate::exec) struct Unpacked {
    folders: Vec<PathBuf>,
    tree: Arc<Tree>,
}

impl Unpacked {
    /// Unpacks those of `layers` that are not yet; `whole` is the tree of all.
    pub(super) fn extend(
        &mut self,
        workshop: &Workshop,
        layers: &[Layer],
        whole: &Arc<Tree>,
        epoch: Epoch,
    ) -> Result<(), RunError> {
        for (index, layer) in layers.iter().enumerate().skip(self.folders.len()) {
            let changes = layer::open(&workshop.store, layer)?;
            self.folders.push(workshop.layer(layer, &changes, &self.tree, epoch)?);
            if index + 1 < layers.len() {
                Arc::make_mut(&mut self.tree).apply(&changes);
            } else {
                self.tree = Arc::clone(whole);
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// The bottom one first. Of a folder that stands in it twice only the upper one counts, and the kernel refuses both.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let is_last = |index: usize| !self.folders[index + 1..].contains(&self.folders[index]);
        (0..self.folders.len())
            .filter(|&index| is_last(index))
            .map(|index| self.folders[index].clone())
            .collect()
    }

    /// Adds the folder of a step's layer, and what the tree is with it.
    pub(in crate::exec) fn push(&mut self, folder: PathBuf, tree: Arc<Tree>) {
        self.folders.push(folder);
        self.tree = tree;
    }
}
