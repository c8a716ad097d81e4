//! docker or podman, whichever is there and works.

use std::ffi::OsString;

use lith::transport::Daemon;

use super::World;
use super::error::Hinted;

/// Finds the one to load images into; `context` is one of docker's.
pub(super) fn find(context: Option<&str>, world: &World) -> anyhow::Result<String> {
    let path = world.environment.get("PATH").unwrap_or_default();
    let is_there = |program: &&str| std::env::split_paths(path).any(|folder| folder.join(program).is_file());
    let mut failures = Vec::new();
    for program in ["docker", "podman"].into_iter().filter(is_there) {
        match Daemon::new(program, Vec::new()).with_arguments(context_option(context)).probe() {
            Ok(()) => return Ok(program.into()),
            Err(error) => failures.push(error.to_string()),
        }
    }
    let message = match failures[..] {
        [] => "neither `docker` nor `podman` is there to load the image into".into(),
        _ => format!("the image can't be loaded: {}", failures.join("; ")),
    };
    Err(Hinted::new(message).hint("write an archive with `-o type=docker,dest=FILE` instead").into())
}

pub(super) fn context_option(context: Option<&str>) -> Vec<OsString> {
    context.iter().flat_map(|name| ["--context".into(), name.into()]).collect()
}
