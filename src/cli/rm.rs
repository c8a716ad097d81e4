//! `lith rm`

use std::process::ExitCode;

use serde_json::json;

use super::World;
use super::error::Hinted;
use super::format::{Format, FormatArg, print, print_json};
use super::place::parse_name;

/// Remove names from the store; what they named goes with the next `lith gc`
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lith rm app:1.0 && lith gc")]
pub(crate) struct Args {
    /// The names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let store = world.open_store()?;
    // All names are looked at before the first is removed: half a removal is no help.
    let names = args.names.iter().map(|name| parse_name(name)).collect::<Result<Vec<_>, _>>()?;
    for name in &names {
        if store.resolve(name)?.is_none() {
            let error = Hinted::new(format!("the store has no image `{}`", name.familiar()));
            return Err(error.hint("`lith images` lists what it has").into());
        }
    }
    for name in &names {
        store.untag(name)?;
        if args.format.format == Format::Text {
            print(&format!("{}\n", name.familiar()))?;
        }
    }
    if args.format.format == Format::Json {
        let removed: Vec<String> = names.iter().map(ToString::to_string).collect();
        print_json(&json!({"removed": removed}))?;
    }
    Ok(ExitCode::SUCCESS)
}
