//! `lith pin --build`: the image of a folder.

use std::path::Path;
use std::sync::Arc;

use lith::build::{self, BuildFileChoice, Contexts, Outside, Request};
use lith::buildfile::Diagnostic;
use lith::context::ContextSpec;
use lith::oci::{Digest, Reference};
use lith::transport::{Sink as _, StoreSink};

use crate::cli::World;
use crate::cli::build::locking::Locking;
use crate::cli::build::{epoch_said, platforms, told};
use crate::cli::progress::{Mode, Progress};
use crate::cli::pushing::Pushing;

/// Builds a folder as `lith build` does without options, and names the image in the store or in its registry.
pub(super) fn build(folder: &Path, name: &Reference, push: bool, world: &World) -> anyhow::Result<Digest> {
    let progress = Progress::new(Mode::Plain);
    let digest = build_with(folder, name, push, world, &progress);
    digest.map_err(|error| progress.error(error))
}

fn build_with(
    folder: &Path,
    name: &Reference,
    push: bool,
    world: &World,
    progress: &Progress,
) -> anyhow::Result<Digest> {
    let store = world.open_store()?;
    let registries = Arc::new(world.registries()?);
    let mut request = Request {
        platforms: platforms(&[], world)?,
        epoch: epoch_said(world)?,
        threads: world.threads(),
        cache: true,
        pushed_only: push,
        ..Request::default()
    };
    request.run.sandbox = Some(world.sandbox(&store));
    let contexts = Contexts {
        main: Some(ContextSpec::Folder(folder.to_owned())),
        registries: Some(Arc::clone(&registries)),
        helpers: world.environment.for_helpers(),
        http: world.http()?,
        ..Contexts::default()
    };
    let mut outside = Outside::new(&store, contexts);
    let source = outside.source(&BuildFileChoice::LookUp)?;
    Locking::default().give(&mut outside, &source)?;
    let show = |diagnostics: &[Diagnostic]| progress.diagnostics(&source, diagnostics);
    let built = build::build(&source, &request, &mut outside, &store, progress, &show);
    let built = built.map_err(|error| told(error, &outside, &show))?;
    if push {
        let pushing = Pushing { registries: &registries, world, move_tag: false, store: &store };
        pushing.push(&built.artifact, &outside.blobs()?, std::slice::from_ref(name), progress)?;
    } else {
        StoreSink::new(&store, vec![name.clone()]).put(&built.artifact, &*store)?;
    }
    Ok(built.artifact.digest())
}
