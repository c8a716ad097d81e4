//! `lith rollback`

mod difference;

use std::process::ExitCode;

use lith::image::Artifact;
use lith::oci::Digest;
use lith::release::{
    Author, Chain, Entry, Environment, Kind, Ledger, Link, ReleaseError, Shelf, Verdict, whole,
};
use lith::text::escaped;
use serde_json::{Value, json};

use self::difference::{Difference, between};
use super::World;
use super::error::{Hinted, tell, told};
use super::format::{Format, FormatArg, print, print_json};
use super::gates::{Direction, GateArgs};
use super::ledger::{AuthorArgs, RepoArg, pinned};
use super::reach::Reach;
use super::releases::no_release;

/// Give an environment its last good image back
///
/// That is the last one before the current one that is not marked bad, that nobody has gone back from, that is there with all its
/// blobs, and that passes the gates. It becomes a new entry of the ledger: nothing is taken out of it. What becomes different is
/// told as `lith diff` does; files are compared where no more than 32 MiB have to be fetched for that.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith rollback prod -m \"1.4 loses sessions\" --repo registry.example/team/app
  lith rollback prod --dry-run
  lith rollback prod --to 11")]
pub(crate) struct Args {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: Environment,
    /// Go back to this release: its number, its image's digest or the beginning of that, or the tag that it was released by
    #[arg(long, value_name = "N|DIGEST|TAG")]
    to: Option<String>,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    gates: GateArgs,
    #[command(flatten)]
    repo: RepoArg,
    #[command(flatten)]
    format: FormatArg,
}

/// Where to go.
struct Way<'a> {
    from: &'a Link,
    to: &'a Link,
    image: Artifact,
    gates: Vec<String>,
    statements: Vec<Digest>,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let shelf = args.repo.shelf(&reach)?;
    let ledger = Ledger::new(&*shelf, args.environment.clone());
    let mut chain = ledger.chain()?;
    if chain.current().is_none()
        && let Some(error) = chain.broken.take()
    {
        return Err(error.into());
    }
    let author = args.author.author(world);
    let way = choose(args, (&*shelf, &reach), &ledger, &chain, author.time)?;
    let changes = changes(&*shelf, &way);
    let entry = if args.dry_run { None } else { Some(go(&ledger, &chain, &way, author)?) };
    // Only then: going back must not wait for it, nor fail with it.
    let differences = || {
        let digests = (way.from.entry.digest(), way.to.entry.digest());
        between(&*shelf, (&digests.0, &digests.1), &reach).unwrap_or_else(|error| {
            tell(&format!("warning: the images can't be compared: {}", escaped(&told(&error).0)));
            Vec::new()
        })
    };
    show(args, &*shelf, &way, (&changes, &differences), entry.as_ref())?;
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(
    args: &Args,
    (shelf, reach): (&dyn Shelf, &Reach<'_>),
    ledger: &Ledger<'_>,
    chain: &'a Chain,
    now: u64,
) -> anyhow::Result<Way<'a>> {
    let fits = |from: &'a Link, to: &'a Link| {
        let image = whole(shelf, &to.entry.image)?;
        let way = Direction::Back(&to.entry);
        let (facts, gates) = args.gates.pass(&image, (shelf, reach), &args.environment, now, way)?;
        anyhow::Ok(Way { from, to, image, gates, statements: facts.evidence.statements })
    };
    let candidates = chain.good(ledger)?;
    if let Some(wanted) = &args.to {
        let to = chain.find(wanted).ok_or_else(|| no_release(&args.environment, wanted))?;
        let number = to.entry.number;
        if to.entry.image.digest() == candidates.current.entry.image.digest() {
            return Err(
                Hinted::new(format!("`{}` has what entry {number} says already", args.environment)).into()
            );
        }
        if chain.verdict(number) == Some(Verdict::Bad) {
            let error = Hinted::new(format!("entry {number} of `{}` is marked bad", args.environment));
            let hint =
                format!("`lith releases mark {} {number} good -m REASON`, if it is not", args.environment);
            return Err(error.hint(hint).into());
        }
        return fits(candidates.current, to);
    }
    for to in candidates.links {
        match fits(candidates.current, to) {
            Ok(way) => return Ok(way),
            Err(error) => {
                tell(&format!("entry {} is passed over: {}", to.entry.number, escaped(&told(&error).0)));
            }
        }
    }
    // What lies behind a broken link may be good, but nothing bears it out.
    let nothing = ReleaseError::NothingToGoBackTo { environment: args.environment.clone() };
    let broken = chain.broken.as_ref().map(|error| format!("; the ledger breaks off: {error}"));
    let error = Hinted::new(format!("{nothing}{}", broken.unwrap_or_default()));
    let hint = format!(
        "`lith releases {}` lists what there was; `--to N` names one that was gone back from",
        args.environment
    );
    Err(error.hint(hint).into())
}

fn go(ledger: &Ledger<'_>, chain: &Chain, way: &Way<'_>, author: Author) -> anyhow::Result<Entry> {
    let entry = Entry {
        kind: Kind::Rollback { to: way.to.entry.number },
        previous: None,
        time: author.time,
        actor: author.actor,
        reason: author.reason,
        gates: way.gates.clone(),
        statements: way.statements.clone(),
        ..way.to.entry.clone()
    };
    let head = chain.links.first().map(|link| &link.descriptor);
    Ok(ledger.append(&entry, head)?.link.entry)
}

/// What it is, before and after.
type Row = (&'static str, String, String);

/// What becomes different, as far as the documents say it.
fn changes(shelf: &dyn Shelf, way: &Way<'_>) -> Vec<Row> {
    let (from, to) = (&way.from.entry, &way.to.entry);
    let mut rows = vec![("digest", from.digest(), to.digest())];
    let mut add = |name, before: String, after: String| {
        if before != after {
            rows.push((name, before, after));
        }
    };
    add("tags", from.tags.join(" "), to.tags.join(" "));
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    add("source", text(&from.source), text(&to.source));
    add("revision", text(&from.revision), text(&to.revision));
    // The one that is left may be damaged: that is no reason to stay.
    if let Ok(left) = shelf.image(&from.image) {
        let layers = |image: &Artifact| {
            let blobs = image.contents();
            blobs.iter().map(|blob| blob.digest().to_string()).collect::<std::collections::BTreeSet<_>>()
        };
        let (before, after) = (layers(&left), layers(&way.image));
        let common = before.intersection(&after).count();
        if before != after {
            add("layers", format!("{} ({common} in both)", before.len()), format!("{}", after.len()));
        }
    }
    rows
}

fn show(
    args: &Args,
    shelf: &dyn Shelf,
    way: &Way<'_>,
    (changes, differences): (&[Row], &dyn Fn() -> Vec<Difference>),
    entry: Option<&Entry>,
) -> anyhow::Result<()> {
    let name = pinned(shelf, &args.environment, &way.to.entry);
    if args.format.format == Format::Json {
        let rows: Vec<Value> =
            changes.iter().map(|(what, from, to)| json!({"what": what, "from": from, "to": to})).collect();
        return print_json(&json!({
            "name": name, "from": way.from.entry.number, "to": way.to.entry.number, "changes": rows,
            "images": differences(), "number": entry.map(|entry| entry.number),
        }));
    }
    for (what, from, to) in changes {
        tell(&format!("{what:<9} {} -> {}", escaped(from), escaped(to)));
    }
    if entry.is_none() {
        tell("nothing has been changed: it is a dry run");
    }
    print(&format!("{name}\n"))?;
    difference::words(&differences()).iter().for_each(|line| tell(line));
    Ok(())
}
