//! `lith tags`

use std::process::ExitCode;

use lith::oci::Repository;
use serde_json::json;

use super::World;
use super::format::{Format, FormatArg, print, print_json};
use super::place::parse_repository;
use super::reach::Reach;

/// List the tags of a repository in a registry
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lith tags registry.example/team/app\n  lith tags debian          docker.io/library/debian"
)]
pub(crate) struct Args {
    /// The repository: `[REGISTRY/]NAME`, without a tag
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let repository: Repository = parse_repository(&args.repository)?;
    let tags = Reach::new(world).registries()?.tags(&repository)?;
    match args.format.format {
        // A tag is checked to be one, which says nothing to a terminal; but it is a stranger's word.
        Format::Text => print(&tags.iter().map(|tag| lith::text::escaped(tag) + "\n").collect::<String>())?,
        Format::Json => print_json(&json!({"repository": repository.to_string(), "tags": tags}))?,
    }
    Ok(ExitCode::SUCCESS)
}
