//! `lith current`

use std::process::ExitCode;

use lith::release::{Environment, Ledger};

use super::World;
use super::error::{Hinted, tell};
use super::format::{Format, FormatArg, print, print_json};
use super::ledger::{RepoArg, entry_json, pinned};
use super::reach::Reach;

/// Print what an environment has, as its ledger says it
///
/// If the environment's tag stands for something else, as somebody has moved it by hand, that is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  lith current prod --repo registry.example/team/app")]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Environment,
    #[command(flatten)]
    repo: RepoArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let shelf = args.repo.shelf(&reach)?;
    let chain = Ledger::new(&*shelf, args.environment.clone()).chain()?;
    let Some(current) = chain.current() else {
        return Err(chain.broken.map_or_else(|| anyhow::anyhow!("nothing was released"), Into::into));
    };
    match args.format.format {
        Format::Text => print(&format!("{}\n", pinned(&*shelf, &args.environment, &current.entry)))?,
        Format::Json => print_json(&entry_json(current, &chain))?,
    }
    if let Some(error) = &chain.broken {
        tell(&format!("the ledger breaks off: {error}"));
    }
    let tag = shelf.resolve(args.environment.tag())?.map(|found| found.digest().to_string());
    if tag.as_deref() == Some(&*current.entry.digest()) {
        return Ok(ExitCode::SUCCESS);
    }
    let found = tag.map_or("nothing".to_owned(), |tag| format!("`{tag}`"));
    let error = Hinted::new(format!("the tag `{}` stands for {found}", args.environment));
    Err(error.hint("release the image again: that moves the tag to where the ledger says").into())
}
