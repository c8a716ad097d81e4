//! The state in which the last step failed: kept in the store, entered by `lith debug`.
//!
//! `lith/debug/kept` has the folders that were made for the failed step, `lith/debug/state` how it was started, without
//! its secrets. The next failure replaces both. The layers below are the store's; when they are gone, so is the state.

use std::io;
use std::path::{Path, PathBuf};

use super::error::RunError;
use super::mounts::Secrets;
use super::workshop::Workshop;
use crate::sandbox::{self, Exit, Hidden, Mount, Step};
use crate::store::Store;
use crate::store::files::{make_folders, read_bounded};
use crate::store::roots::Staged;
use std::sync::Arc;

const MAX_STATE: u64 = 64 << 20;

/// Why there is no failed state to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebugError {
    #[error("no step has failed in this store")]
    Nothing,
    #[error("the state in which the last step failed is not there any more: `{}` is gone", .0.display())]
    Gone(PathBuf),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Keeps what a failed step leaves: the folders that were made for it.
pub(super) fn keep(
    store: &Store,
    workshop: &Workshop,
    step: &Step,
    secrets: &Secrets,
    folders: impl Iterator<Item = Staged>,
) -> io::Result<()> {
    let folder = store.debug_folder();
    let _lock = store.lock_debug().map_err(io::Error::other)?;
    make_folders(&folder)?;
    let (kept, state) = (folder.join("kept"), folder.join("state"));
    remove_file(&state)?;
    workshop.remove(&kept)?;
    make_folders(&kept)?;
    let mut step = without_secrets(step, secrets);
    for (number, staged) in folders.enumerate() {
        let to = kept.join(number.to_string());
        let from = staged.wrapper().to_owned();
        std::fs::rename(&from, &to)?;
        each_path(&mut step, |path| {
            if let Ok(rest) = path.strip_prefix(&from) {
                *path = to.join(rest);
            }
        });
    }
    let bytes = postcard::to_stdvec(&step).map_err(io::Error::other)?;
    std::fs::write(state, bytes)
}

/// All the folders that a step is made of.
fn each_path(step: &mut Step, mut change: impl FnMut(&mut PathBuf)) {
    let own = [&mut step.upper, &mut step.scratch].into_iter().chain(&mut step.lowers);
    let mounted = step.mounts.iter_mut().flat_map(|mount| match mount {
        Mount::Tree { lowers, .. } => lowers.iter_mut().collect::<Vec<_>>(),
        Mount::Cache { folder, .. } => vec![folder],
        _ => Vec::new(),
    });
    own.chain(mounted).for_each(&mut change);
}

fn without_secrets(step: &Step, secrets: &Secrets) -> Step {
    let mut step = step.clone();
    step.env.retain(|(name, _)| !secrets.variables.iter().any(|(secret, _)| secret.as_bytes() == name));
    let is_secret = |mount: &Mount| secrets.files.iter().any(|file| file.target() == mount.target());
    step.mounts.retain(|mount| !is_secret(mount));
    // The way to an agent was the step's alone.
    step.mounts.retain(|mount| !matches!(mount, Mount::Socket { .. }));
    step
}

fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Starts `args`, or a shell, where the last step failed; with the terminal of this process if `terminal`.
pub fn debug(
    store: &Arc<Store>,
    options: &sandbox::Options,
    args: &[String],
    terminal: bool,
    output: &mut dyn FnMut(&[u8]),
) -> Result<Exit, DebugError> {
    let folder = store.debug_folder();
    let _lock = store.lock_debug().map_err(RunError::from)?;
    let mut step = read(&folder.join("state")).ok_or(DebugError::Nothing)?;
    let mounted = |mount: &Mount| match mount {
        Mount::Tree { lowers, .. } => lowers.iter().all(|path| path.is_dir()),
        Mount::Cache { folder, .. } => folder.is_dir(),
        _ => true,
    };
    step.mounts.retain(mounted);
    if let Some(gone) = step.lowers.iter().chain([&step.upper]).find(|path| !path.is_dir()) {
        return Err(DebugError::Gone(gone.clone()));
    }
    step.args = args.iter().map(|arg| arg.clone().into_bytes()).collect();
    if step.args.is_empty() {
        step.args = vec![b"/bin/sh".to_vec()];
    }
    step.terminal = terminal;
    step.limits = sandbox::Limits::default();
    if terminal && !step.env.iter().any(|(name, _)| name == b"TERM") {
        step.env.push((b"TERM".to_vec(), Hidden(b"xterm".to_vec())));
    }
    let workshop = Workshop::open(store, options)?;
    // What an earlier look left in it is in the way.
    let _gone = workshop.remove(&step.scratch);
    std::fs::create_dir(&step.scratch)
        .map_err(|error| RunError::Folder { path: step.scratch.clone(), error })?;
    let exit = workshop.sandbox().run(&step, &mut |_, bytes| output(bytes));
    Ok(exit.map_err(RunError::from)?)
}

fn read(path: &Path) -> Option<Step> {
    postcard::from_bytes(&read_bounded(path, MAX_STATE).ok()?).ok()
}
