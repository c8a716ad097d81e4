//! `lith copy`

use std::process::ExitCode;

use serde_json::json;

use super::World;
use super::format::{Format, FormatArg, print, print_json};
use super::place::{Place, PlatformArg};

/// Copy an image between the store, layouts and archives
///
/// Every blob is verified on its way; the digest stays what it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Places:
  NAME[:TAG], store:NAME          the store
  oci:DIR[:TAG]                   an OCI image layout in a folder
  oci-archive:FILE[:TAG]          the same as one tar file
  docker-archive:FILE             an archive of `docker save`, for `docker load`

Examples:
  lith copy app:1.0 oci:image
  lith copy docker-archive:saved.tar app:1.0")]
pub(crate) struct Args {
    /// The image
    #[arg(value_name = "FROM")]
    from: String,
    /// Where to
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    platform: PlatformArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let platform = args.platform.get()?;
    let (from, to) = (Place::parse(&args.from)?, Place::parse(&args.to)?);
    let store = world.open_store()?;
    let source = from.source(&store)?;
    let name = match &from {
        Place::Store(name) => name.parse().ok(),
        Place::At(..) => None,
    };
    let mut sink = to.sink(&store, name.as_ref())?;
    let digest = lith::transport::copy(&*source, &mut *sink, platform.as_ref())?;
    match args.format.format {
        Format::Text => print(&format!("{digest}\n"))?,
        Format::Json => print_json(&json!({"digest": digest}))?,
    }
    Ok(ExitCode::SUCCESS)
}
