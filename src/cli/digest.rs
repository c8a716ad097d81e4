//! `lith digest`

use std::process::ExitCode;

use lith::oci::Descriptor;
use serde_json::json;

use super::World;
use super::format::{Format, print, print_json};
use super::place::{LookArgs, Place};
use super::reach::Reach;

/// Print the digest of an image, and nothing else
///
/// Of an image in a registry it is asked for with one request, and nothing is pulled. Of an index it is the index's own,
/// unless `--platform` chooses one of its images.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith digest app:1.0
  lith digest docker://debian:12-slim
  echo \"FROM debian:12-slim@$(lith digest docker://debian:12-slim)\"")]
pub(crate) struct Args {
    #[command(flatten)]
    look: LookArgs,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let source = Place::parse(&args.look.image)?.source(&reach)?;
    let root: Descriptor = match args.look.platform.get()? {
        None => source.root().clone(),
        Some(platform) => lith::image::load(&*source, source.root(), &platform)?.manifest.descriptor,
    };
    match args.look.format.format {
        Format::Text => print(&format!("{}\n", root.digest()))?,
        Format::Json => print_json(&json!({
            "digest": root.digest().to_string(),
            "mediaType": root.media_type().to_string(),
            "size": root.size(),
        }))?,
    }
    Ok(ExitCode::SUCCESS)
}
