//! `lith releases`, `lith releases mark` and `lith releases repair`

mod repair;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use lith::release::{Chain, Environment, Ledger, Link, Problem, Verdict};
use serde_json::{Value, json};

use super::World;
use super::error::{Hinted, tell};
use super::format::{Format, FormatArg, count, print, print_json, print_table};
use super::ledger::{AuthorArgs, RepoArg, entry_json, what, when};
use super::reach::Reach;

/// List what an environment had, the last first
///
/// `--verify` also checks that the chain is whole: that each entry is there and is what its digest says, that each leads to the
/// one before it, that none stands beside the chain, and that the tags are where the last entry says. What is lost and
/// acknowledged (`lith releases repair`) is told, and is no error.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  lith releases prod --repo registry.example/team/app
  lith releases prod --verify
  lith releases mark prod 12 bad -m \"loses sessions\"
  lith releases repair prod                      what is lost, and how the ledger can go on")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The environment
    #[arg(value_name = "ENV", required = true)]
    environment: Option<Environment>,
    /// Check the chain and its tags: exit code 1 if something is wrong
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    repo: RepoArg,
    #[command(flatten)]
    format: FormatArg,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say of a release that it is bad, or good: `lith rollback` goes by it
    Mark(Mark),
    Repair(repair::Args),
}

#[derive(Debug, clap::Args)]
struct Mark {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Environment,
    /// The release: its number, its image's digest or the beginning of that, or the tag that it was released by
    #[arg(value_name = "N|DIGEST|TAG")]
    release: String,
    /// What it is
    #[arg(value_name = "VERDICT")]
    verdict: Word,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    repo: RepoArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// Nothing goes back to it
    Bad,
    /// It may be gone back to
    Good,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(Command::Mark(mark)) => return mark.run(world),
        Some(Command::Repair(args)) => return repair::run(args, world),
        None => {}
    }
    let reach = Reach::new(world);
    let shelf = args.repo.shelf(&reach)?;
    let environment = args.environment.clone().expect("clap asks for it");
    let ledger = Ledger::new(&*shelf, environment.clone());
    let (chain, problems) = if args.verify { ledger.verify()? } else { (ledger.chain()?, Vec::new()) };
    match args.format.format {
        Format::Text => print_table(&table(&chain))?,
        Format::Json => print_json(&document(&chain, &problems, args.verify))?,
    }
    problems.iter().for_each(|problem| tell(&format!("wrong: {problem}")));
    for (number, one) in chain.breaks() {
        tell(&format!("entry {number} acknowledges: {one}"));
    }
    if !problems.is_empty() {
        let number = count(problems.len(), "thing");
        let error = Hinted::new(format!("the ledger of `{environment}` is not what it was: {number}"));
        let is_lost = problems.iter().any(|problem| match problem {
            Problem::Broken(_) => true,
            // What a repair has left out another can take back.
            Problem::Fork { number, .. } => chain.breaks().any(|(_, one)| one.lost.contains(number)),
            _ => false,
        });
        let hint = format!("`lith releases repair {environment}` shows how it can go on");
        return Err(if is_lost { error.hint(hint) } else { error }.into());
    }
    if let Some(error) = chain.broken {
        let error = anyhow::Error::from(error).context("the ledger breaks off");
        return Err(error);
    }
    if args.verify {
        let entries = count(chain.links.len(), "entry").replace("entrys", "entries");
        let but = match chain.breaks().count() {
            0 => String::new(),
            number => format!(", but for {}, which an entry names", count(number, "break")),
        };
        tell(&format!("the ledger of `{environment}` is whole{but}: {entries}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(chain: &Chain) -> Vec<Vec<String>> {
    let heading = ["", "N", "TIME", "WHAT", "DIGEST", "TAGS", "REVISION", "ACTOR", "REASON"];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(chain.links.iter().map(|link| row(link, chain)));
    rows
}

fn row(link: &Link, chain: &Chain) -> Vec<String> {
    let entry = &link.entry;
    let verdict = chain.verdict(entry.number).filter(|_| entry.moves());
    let state = match verdict {
        _ if chain.current() == Some(link) => "*",
        Some(Verdict::Bad) => "bad",
        Some(Verdict::Good) => "good",
        None => "",
    };
    let short = |text: &str, length| text.chars().take(length).collect::<String>();
    vec![
        state.into(),
        entry.number.to_string(),
        when(entry),
        what(entry),
        short(&entry.digest(), "sha256:".len() + 12),
        entry.tags.join(" "),
        short(entry.revision.as_deref().unwrap_or_default(), 12),
        entry.actor.clone(),
        entry.reason.clone(),
    ]
}

fn document(chain: &Chain, problems: &[Problem], verified: bool) -> Value {
    let entries: Vec<Value> = chain.links.iter().map(|link| entry_json(link, chain)).collect();
    let mut document = json!({ "entries": entries });
    if verified {
        document["problems"] = json!(problems.iter().map(ToString::to_string).collect::<Vec<_>>());
        let breaks = chain.breaks().map(|(number, one)| repair::break_json(Some(number), one));
        document["acknowledged"] = json!(breaks.collect::<Vec<_>>());
    }
    document
}

impl Mark {
    fn run(&self, world: &World) -> anyhow::Result<ExitCode> {
        let reach = Reach::new(world);
        let shelf = self.repo.shelf(&reach)?;
        let ledger = Ledger::new(&*shelf, self.environment.clone());
        let chain = ledger.chain()?;
        let found = chain.find(&self.release).ok_or_else(|| no_release(&self.environment, &self.release))?;
        let verdict = match self.verdict {
            Word::Bad => Verdict::Bad,
            Word::Good => Verdict::Good,
        };
        let marked = ledger.mark(found, verdict, self.author.author(world))?;
        print(&format!("entry {}: {}\n", marked.link.entry.number, what(&marked.link.entry)))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// That there is none that is called so.
pub(super) fn no_release(environment: &Environment, wanted: &str) -> Hinted {
    let error = Hinted::new(format!("`{environment}` has no release `{wanted}`"));
    error.hint(format!("`lith releases {environment}` lists them"))
}
