//! `lith fsck`

use std::process::ExitCode;

use lith::store::fsck;
use serde_json::json;

use super::World;
use super::error::Hinted;
use super::format::{Format, FormatArg, count, print, print_json};

/// Check the store: recompute every digest, follow every reference
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Move damaged blobs out of the way, to `lith/quarantine` in the store
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let store = world.look_at_store()?;
    let problems = fsck::check(&store, world.threads())?;
    let moved = if args.repair { fsck::quarantine(&store, &problems)? } else { 0 };
    if args.format.format == Format::Json {
        let rows: Vec<_> = problems
            .iter()
            .map(|p| json!({"path": p.path.to_string_lossy(), "problem": p.what.to_string(), "remedy": p.what.remedy()}))
            .collect();
        print_json(&json!({"problems": rows, "moved": moved}))?;
    } else if problems.is_empty() {
        print("the store is whole\n")?;
    }
    if !problems.is_empty() && args.format.format == Format::Json {
        return Ok(ExitCode::from(3));
    }
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let told: Vec<String> = problems
        .iter()
        .map(|p| format!("\n  {}: {}; {}", p.path.display(), p.what, p.what.remedy()))
        .collect();
    let error =
        Hinted::damaged(format!("the store has {}:{}", count(problems.len(), "problem"), told.concat()));
    let hint = if args.repair {
        format!("moved to `lith/quarantine`: {moved}; build or copy the images again that lack them")
    } else {
        "`lith fsck --repair` moves damaged blobs away; build or copy the images again that lack them".into()
    };
    Err(error.hint(hint).into())
}
