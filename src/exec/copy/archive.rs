//! ADD of an archive: unpacking it over a folder.
//!
//! The destination is a folder, made like any, and then the whole world to the archive: links on the way are
//! followed inside it. An entry replaces what has its name, a folder with all that is in it too, unless both are
//! folders: then the one there gets the archive's attributes. The archive's root leaves the destination's alone.
//! `--chown` owns all of it; `--chmod` and `--exclude` don't reach inside.

use super::CopyError;
use super::job::Job;
use super::transfer::{Inodes, own};
use crate::exec::resolve_path::{ResolveError, resolve};
use crate::tree::{ImagePath, Meta, Node, Tree};

/// Says where to.
pub(super) fn unpack(job: &mut Job<'_>, archive: &Tree) -> Result<ImagePath, CopyError> {
    let fail = |dest: &str, source| CopyError::Dest { dest: dest.to_owned(), source };
    let dest = resolve(&job.root, &ImagePath::root(), &job.dest_path()?)
        .map_err(|source| fail(&job.copy.dest, source))?;
    job.root.make_dirs(&dest, &job.parent_meta()).map_err(|source| fail(&job.copy.dest, source))?;
    let mut inodes = Inodes::default();
    let mut last: Option<(ImagePath, ImagePath)> = None;
    for (path, node) in archive.iter().filter(|(path, _)| !path.is_root()) {
        let parent = path.parent().unwrap_or_default();
        let folder = match &last {
            Some((known, folder)) if *known == parent => folder.clone(),
            _ => parent_in(job, &dest, &parent).map_err(|source| fail(&path.display(), source))?,
        };
        let target = folder.join_bytes(path.name()).map_err(|e| fail(&path.display(), e.into()))?;
        let mut node = node.clone();
        own(&mut node.meta, job.ids.as_ref());
        inodes.renew(&mut node);
        merge(job, target, node);
        last = Some((parent, folder));
    }
    Ok(dest)
}

/// The folder that an entry goes into. An archive need not have an entry for it.
fn parent_in(job: &mut Job<'_>, dest: &ImagePath, parent: &ImagePath) -> Result<ImagePath, ResolveError> {
    let folder = resolve(&job.root, dest, parent)?;
    job.root.make_dirs(&folder, &Meta::root_owned(0o755))?;
    Ok(folder)
}

fn merge(job: &mut Job<'_>, target: ImagePath, mut node: Node) {
    if node.is_dir()
        && let Some(there) = job.root.folder(&target)
    {
        let added = std::mem::replace(&mut node.meta.xattrs, there.meta.xattrs);
        node.meta.xattrs.extend(added);
    }
    job.root.put(target, node);
}
