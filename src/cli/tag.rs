//! `lith tag`

use std::process::ExitCode;

use super::format::FormatArg;
use super::{World, place};

/// Give an image of the store another name
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lith tag app:1.0 app:stable")]
pub(crate) struct Args {
    /// The image: a name, or a digest of at least 7 hex digits
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The new name: `NAME[:TAG]`
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let store = world.open_store()?;
    let descriptor = place::find(&store, &args.image)?;
    let name = place::parse_name(&args.name)?;
    store.tag(&name, &descriptor)?;
    super::images::print_named(&store, &name, &descriptor, args.format.format)?;
    Ok(ExitCode::SUCCESS)
}
