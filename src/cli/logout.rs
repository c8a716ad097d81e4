//! `lith logout`

use std::process::ExitCode;

use lith::text::shown;

use super::World;
use super::error::tell;
use super::login::{FileArg, parse_registry};

/// Forget the credentials for a registry
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lith logout ghcr.io")]
pub(crate) struct Args {
    /// The registry: `HOST[:PORT]`
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,
    #[command(flatten)]
    file: FileArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let registry = parse_registry(&args.registry)?;
    let forgotten = world.credential_file(&args.file)?.forget(&registry)?;
    if forgotten {
        tell(&format!("Logged out of {registry}"));
    } else {
        tell(&format!("Nobody was logged in to {registry}"));
    }
    if args.file.authfile.is_none()
        && let Some(path) = world.credential_files().whence(&registry, "")?
    {
        let path = shown(&path.display());
        tell(&format!("`{path}` has credentials for {registry} as well: `--authfile {path}` forgets them"));
    }
    Ok(ExitCode::SUCCESS)
}
