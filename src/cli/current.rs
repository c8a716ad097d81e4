//! `lith current`

use std::process::ExitCode;

use lith::release::{Environment, Ledger, Link, ReleaseError, Shelf};
use serde_json::json;

use super::World;
use super::error::{Hinted, tell};
use super::format::{Format, FormatArg, print, print_json};
use super::ledger::{RepoArg, entry_json, pinned};
use super::reach::Reach;

/// Print what an environment has, as its ledger says it; without ENV, what each of them has
///
/// If the environment's tag stands for something else, as somebody has moved it by hand, that is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith current prod --repo registry.example/team/app
  lith current                                         all environments of LITH_REPO")]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Option<Environment>,
    #[command(flatten)]
    repo: RepoArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let shelf = args.repo.shelf(&reach)?;
    let Some(environment) = &args.environment else { return all(args, &*shelf) };
    let chain = Ledger::new(&*shelf, environment.clone()).chain()?;
    let Some(current) = chain.current() else {
        return Err(chain.broken.map_or_else(|| anyhow::anyhow!("nothing was released"), Into::into));
    };
    match args.format.format {
        Format::Text => print(&format!("{}\n", pinned(&*shelf, environment, &current.entry)))?,
        Format::Json => print_json(&entry_json(current, &chain))?,
    }
    if let Some(error) = &chain.broken {
        tell(&format!("the ledger breaks off: {error}"));
    }
    match astray(&*shelf, environment, current)? {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => Err(error.into()),
    }
}

/// That the environment's tag stands for something else.
fn astray(shelf: &dyn Shelf, environment: &Environment, current: &Link) -> anyhow::Result<Option<Hinted>> {
    let tag = shelf.resolve(environment.tag())?.map(|found| found.digest().to_string());
    if tag.as_deref() == Some(&*current.entry.digest()) {
        return Ok(None);
    }
    let found = tag.map_or("nothing".to_owned(), |tag| format!("`{tag}`"));
    let error = Hinted::new(format!("the tag `{environment}` stands for {found}"));
    Ok(Some(error.hint("release the image again: that moves the tag to where the ledger says")))
}

/// What each environment has; what is wrong with one keeps nobody from seeing the others.
fn all(args: &Args, shelf: &dyn Shelf) -> anyhow::Result<ExitCode> {
    let (mut rows, mut wrong) = (Vec::new(), 0);
    for environment in Environment::all(shelf.tags()?.iter().map(String::as_str)) {
        let chain = match Ledger::new(shelf, environment.clone()).chain() {
            // Somebody has claimed the first number, and no more.
            Err(ReleaseError::Empty(_)) => continue,
            chain => chain?,
        };
        let mut problem = chain.broken.as_ref().map(ToString::to_string);
        if let Some(current) = chain.current() {
            match args.format.format {
                Format::Text => print(&format!("{}\n", pinned(shelf, &environment, &current.entry)))?,
                Format::Json => rows.push(entry_json(current, &chain)),
            }
            problem = problem.or(astray(shelf, &environment, current)?.map(|error| error.to_string()));
        }
        if let Some(problem) = problem {
            tell(&format!("{environment}: {problem}"));
            wrong += 1;
        }
    }
    if args.format.format == Format::Json {
        print_json(&json!({ "environments": rows }))?;
    }
    if wrong == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let error = Hinted::new(format!("{wrong} of the environments are not as their ledgers say"));
    Err(error.hint("`lith releases ENV --verify` says what is wrong").into())
}
