//! `lith release`

use std::process::ExitCode;

use lith::release::{Entry, Environment, Kind, Ledger, whole};

use super::World;
use super::error::tell;
use super::format::{Format, FormatArg, print, print_json};
use super::gates::{Direction, GateArgs};
use super::ledger::{AuthorArgs, Found, pinned};
use super::reach::Reach;

/// Give an environment an image, and write it down
///
/// First it is checked that the image is there with all its blobs on every platform, and that it passes the gates of the
/// policy. Then an entry is added to the environment's ledger, which names the entry before it and can't be changed
/// unnoticed; and then the tag ENV of the image's repository is moved to the image's digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith release staging registry.example/team/app:1.4 -m \"the new search\"
  lith release prod registry.example/team/app@sha256:… --policy policy.toml
  lith release test oci:image:latest")]
pub(crate) struct Args {
    /// The environment: `prod`, `staging`, …
    #[arg(value_name = "ENV")]
    environment: Environment,
    /// The image: `REGISTRY/NAME[:TAG][@DIGEST]`, or `oci:DIR[:TAG]`
    #[arg(value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let found = Found::new(&args.image, &reach)?;
    let (shelf, environment) = (&*found.shelf, &args.environment);
    let image = whole(shelf, &found.root)?;
    let author = args.author.author(world);
    let (facts, gates) = args.gates.pass(&image, (shelf, &reach), environment, author.time, Direction::On)?;
    let ledger = Ledger::new(shelf, environment.clone());
    if let Some(current) =
        ledger.current()?.filter(|current| current.entry.image.digest() == found.root.digest())
    {
        // A tag that somebody has moved by hand is moved back.
        ledger.point()?;
        tell(&format!("`{environment}` has this image already, since entry {}", current.entry.number));
        return show(args, &found, &current.entry, false);
    }
    let entry = Entry {
        environment: environment.tag().to_owned(),
        number: 0,
        kind: Kind::Release,
        image: found.root.clone(),
        previous: None,
        time: author.time,
        actor: author.actor,
        reason: author.reason,
        tags: found.tags.clone(),
        source: facts.source,
        revision: facts.revision,
        gates,
        statements: facts.evidence.statements,
    };
    let appended = ledger.append(&entry, None)?;
    if appended.overtaken {
        let number = appended.link.entry.number;
        tell(&format!(
            "somebody else released to `{environment}` at the same time and came first; this is entry {number}"
        ));
    }
    show(args, &found, &appended.link.entry, true)
}

fn show(args: &Args, found: &Found<'_>, entry: &Entry, is_new: bool) -> anyhow::Result<ExitCode> {
    let name = pinned(&*found.shelf, &args.environment, entry);
    match args.format.format {
        Format::Text => print(&format!("{name}\n"))?,
        Format::Json => print_json(&serde_json::json!({
            "name": name, "number": entry.number, "digest": entry.digest(), "new": is_new, "gates": entry.gates,
        }))?,
    }
    Ok(ExitCode::SUCCESS)
}
