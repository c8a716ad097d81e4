//! Root file systems' folders, written and read by whoever may: this process where it is root, a worker in the user
//! namespace elsewhere.

use std::io::{self, Write as _};
use std::path::Path;

use super::rootfs::{self, Disk, Notes, RootfsError, Settle, stream};
use super::start::Worker;
use super::wire::{ChunkReader, ChunkWriter, Event, Job};
use super::{Sandbox, SandboxError};
use crate::oci::Epoch;
use crate::store::Store;
use crate::tree::{Changes, ImagePath, Node, Tree};

impl Sandbox {
    /// Writes changes into a folder that is new and empty: [`rootfs::unpack`].
    pub fn unpack(&self, changes: &Changes, folder: &Path) -> Result<Notes, SandboxError> {
        if self.is_here() {
            return Ok(rootfs::unpack(changes, folder, self.lower())?);
        }
        let mut worker = self.worker(&Job::Unpack { folder: folder.to_owned(), disk: self.lower() })?;
        let mut out = io::BufWriter::with_capacity(1 << 17, ChunkWriter(worker.socket()));
        let sent = stream::write(changes, &mut out);
        let ended = out.flush().and_then(|()| out.get_mut().end());
        drop(out);
        // The worker's own word says more than a socket that it closed.
        match worker.event()? {
            Event::Noted(notes) => {
                sent?;
                ended.map_err(SandboxError::Talk)?;
                Ok(notes)
            }
            Event::Done(Err(fault)) => Err(fault.into()),
            Event::Done(Ok(_)) | Event::Output(..) | Event::Unmapped | Event::Listening => Err(out_of_turn()),
        }
    }

    /// Makes of a new, empty folder the upper folder of a step on `below`: [`rootfs::prepare`].
    pub fn prepare(&self, upper: &Path, below: &Tree, epoch: Epoch) -> Result<Notes, SandboxError> {
        if self.is_here() {
            return Ok(rootfs::prepare(upper, below, self.disk(), epoch)?);
        }
        let root = below.get(&ImagePath::root()).filter(|node| node.is_dir()).cloned();
        let mut root = root.unwrap_or_else(Node::implicit_dir);
        root.mtime = epoch.mtime();
        self.unpack(&Changes { puts: [(ImagePath::root(), root)].into(), ..Changes::default() }, upper)
    }

    /// All that is in an upper folder after a step: [`rootfs::collect`]. Contents may go to a temporary file of
    /// `store`.
    pub fn collect(&self, upper: &Path, epoch: Epoch, store: &Store) -> Result<Changes, SandboxError> {
        if self.is_here() {
            return Ok(rootfs::collect(upper, self.disk(), epoch)?);
        }
        let job = Job::Collect { upper: upper.to_owned(), disk: self.disk(), epoch: epoch.seconds() };
        let mut worker = self.worker(&job)?;
        let mut input = io::BufReader::with_capacity(1 << 17, ChunkReader::new(worker.socket()));
        let read = stream::read(&mut input, store);
        let drained = io::copy(&mut input, &mut io::sink());
        drop(input);
        match drained {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(SandboxError::Talk(error));
            }
            _ => worker.done()?,
        }
        Ok(read?)
    }

    /// Makes of an upper folder that was collected the folder of the layer that it became: [`rootfs::settle`].
    pub fn settle(&self, upper: &Path, plan: &Settle, epoch: Epoch) -> Result<(), SandboxError> {
        if self.is_here() {
            return Ok(rootfs::settle(upper, plan, epoch)?);
        }
        let (upper, plan) = (upper.to_owned(), plan.clone());
        self.worker(&Job::Settle { upper, plan, epoch: epoch.seconds() })?.done()
    }

    /// Copies unpacked layers into one folder, where there is no overlayfs: [`rootfs::flatten`].
    pub fn flatten(&self, lowers: &[&Path], folder: &Path) -> Result<Notes, SandboxError> {
        if self.is_here() {
            return Ok(rootfs::flatten(lowers, folder, self.lower())?);
        }
        let lowers = lowers.iter().map(|lower| lower.to_path_buf()).collect();
        let job = Job::Flatten { lowers, folder: folder.to_owned(), disk: self.lower() };
        match self.worker(&job)?.event()? {
            Event::Noted(notes) => Ok(notes),
            Event::Done(Err(fault)) => Err(fault.into()),
            Event::Done(Ok(_)) | Event::Output(..) | Event::Unmapped | Event::Listening => Err(out_of_turn()),
        }
    }

    /// Removes a folder with all that is in it, whoever owns it. It may be gone already.
    pub fn remove(&self, path: &Path) -> Result<(), SandboxError> {
        if self.is_here() {
            let failed = |error| RootfsError::Io { doing: "removing", path: ImagePath::root(), error };
            return Ok(rootfs::remove(path).map_err(failed)?);
        }
        self.worker(&Job::Remove { path: path.to_owned() })?.done()
    }

    /// How layers are unpacked. What a step has made is read as it stands: names that a layer can't hold are the step's
    /// own there.
    fn lower(&self) -> Disk {
        if self.has_overlay() { self.disk() } else { self.disk().flat() }
    }

    /// Whether this process may do what a worker may.
    fn is_here(&self) -> bool {
        self.disk() == Disk::ROOT
    }

    fn worker(&self, job: &Job) -> Result<Worker, SandboxError> {
        let mut worker = Worker::start(&self.program, &self.start, false)?;
        worker.send(job)?;
        Ok(worker)
    }
}

fn out_of_turn() -> SandboxError {
    SandboxError::Died("it spoke out of turn".into())
}
