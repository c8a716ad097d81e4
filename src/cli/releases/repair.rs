//! `lith releases repair`

use std::process::ExitCode;

use lith::release::{Break, Environment, Ledger, Repair};
use serde_json::{Value, json};

use crate::cli::World;
use crate::cli::error::tell;
use crate::cli::format::{Format, FormatArg, print, print_json};
use crate::cli::ledger::{AuthorArgs, RepoArg};
use crate::cli::reach::Reach;

/// Let a ledger go on that has lost entries: by an entry that says what is lost
///
/// An entry that is missing or altered in the registry breaks the chain, and if it was the last one nothing can be released any
/// more. Nothing is taken out, nor is a gap closed: the new entry names what can't be read, which numbers are lost, and the
/// last entry before it that is whole, and `--verify` tells of it from then on. Tags of entries that were taken away or moved are
/// put back. What the environment has stays what it is: if the move to it is lost, the entry has what the tag ENV stands for.
///
/// Without --yes it is only shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith releases repair prod
  lith releases repair prod --yes -m \"the disk of the registry, see INC-12\"

Exit codes:
  0  nothing is lost, or the entry is written
  1  it failed; or nothing is lost, and something else is wrong
  4  something is lost, and nothing has been changed: `--yes` is missing")]
pub(super) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Environment,
    /// Write the entry, and put tags back. Without, it is only shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    repo: RepoArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let shelf = args.repo.shelf(&reach)?;
    let ledger = Ledger::new(&*shelf, args.environment.clone());
    let Some(repair) = ledger.damage()? else {
        if args.format.format == Format::Json {
            print_json(&json!({ "breaks": [], "number": null }))?;
        }
        tell(&format!("nothing is lost in the ledger of `{}`", args.environment));
        let problems = ledger.verify()?.1;
        if problems.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        for problem in &problems {
            tell(&format!("wrong, and nothing that a repair mends: {problem}"));
        }
        return Ok(ExitCode::FAILURE);
    };
    let number = match args.yes {
        true => Some(ledger.repair(&repair, args.author.author(world))?.link.entry.number),
        false => None,
    };
    show(args, &repair, number)?;
    Ok(if args.yes { ExitCode::SUCCESS } else { crate::cli::error::DIFFERENT.into() })
}

fn show(args: &Args, repair: &Repair, number: Option<u64>) -> anyhow::Result<()> {
    let digest = repair.image.digest();
    if args.format.format == Format::Json {
        let breaks: Vec<Value> = repair.breaks.iter().map(|one| break_json(None, one)).collect();
        return print_json(&json!({
            "breaks": breaks, "number": number, "digest": digest.to_string(), "adopts": repair.adopts,
        }));
    }
    for one in &repair.breaks {
        print(&format!("{one}\n"))?;
    }
    let environment = &args.environment;
    let by = if repair.adopts { "its tag says, and no entry that is left" } else { "the ledger says" };
    print(&format!("`{environment}` has `{digest}`, as {by}\n"))?;
    match number {
        Some(number) => print(&format!("entry {number}: repair\n")),
        None => print("`--yes` writes an entry that says so; nothing has been changed\n"),
    }
}

pub(super) fn break_json(by: Option<u64>, one: &Break) -> Value {
    let mut value = json!(one);
    if let Some(by) = by {
        value["by"] = json!(by);
    }
    value
}
