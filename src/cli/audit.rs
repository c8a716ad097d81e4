//! `lith audit`

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use lith::audit::{Finding, Ledgers, Row, Standing, State, page, standings};
use lith::oci::{Digest, Reference, Repository};
use lith::pin::{FieldPath, Site, Target};
use lith::release::{RegistryShelf, Verdict, duration};
use lith::text::escaped;
use serde_json::{Value, json};

use super::World;
use super::error::{Hinted, tell, told};
use super::format::{Format, FormatArg, count, print_json, print_table};
use super::ledger::{entry_json, now, shelf};
use super::pin::read_files;
use super::reach::Reach;

/// Say what is deployed: for each image that files name, whether it is pinned, and which release it is
///
/// Files are those that `lith pin` reads. The ledgers that are looked into are those of the repositories that are named, and
/// those of --repo. A tag that floats is looked up: it counts for what it stands for now.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith audit -f deploy/
  lith audit -f compose.yaml k8s.yaml --format json
  lith audit -f deploy/ --html deployed.html
  lith audit -f deploy/ --check                  for CI

Exit codes:
  0  done; with --check: all is pinned, and what ledgers know of is what environments have now
  1  it failed, or a ledger is not whole; with --check: something is not pinned, or can't be looked up
  2  the command line is wrong
  4  with --check: all is pinned, and something is not what its environment has now, or is marked bad")]
pub(crate) struct Args {
    /// The files; a folder stands for its YAML files and Dockerfiles; `-` is stdin
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,

    /// Where other ledgers are: `REGISTRY/NAME` or `oci:DIR`; LITH_REPO; may be repeated
    #[arg(long, value_name = "REPOSITORY", env = "LITH_REPO", hide_env = true)]
    repo: Vec<String>,

    /// A field that names an image, beside those that are known; may be repeated (see `lith pin`)
    #[arg(long, value_name = "FIELD")]
    field: Vec<FieldPath>,

    /// Write a page too, that needs nothing else: the references, and each environment's releases over time
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Fail if something floats, or is not the current release
    ///
    /// A reference to a repository with ledgers has to be to what an environment has now: to the one that its tag names
    /// (`app:prod@sha256:…`), or else to any. One to a repository without ledgers has only to be pinned.
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    format: FormatArg,
}

/// What has been looked up, each once.
struct Found<'a> {
    reach: &'a Reach<'a>,
    ledgers: Vec<Ledgers>,
    /// Repositories that could not be read, and why.
    closed: BTreeMap<Repository, String>,
    /// How many of the ledgers are of `--repo`.
    given: usize,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    let sites = read_files(&args.files, &args.field)?;
    let mut found =
        Found { reach: &reach, ledgers: Vec::new(), closed: BTreeMap::new(), given: args.repo.len() };
    let pinned: BTreeSet<Digest> =
        sites.iter().filter_map(|(_, site)| name(site)?.digest().cloned()).collect();
    for place in &args.repo {
        let shelf = shelf(place, &reach)?;
        let ledgers = Ledgers::read(&*shelf);
        let mut ledgers = ledgers.with_context(|| format!("reading the ledgers of `{place}`"))?;
        ledgers.look_for(&*shelf, &pinned);
        found.ledgers.push(ledgers);
    }
    found.read_named(&sites, &pinned)?;
    let rows: Vec<Row> =
        sites.iter().map(|(file, site)| found.row(file, site)).collect::<anyhow::Result<_>>()?;
    let now = now();
    match args.format.format {
        Format::Text => print_table(&table(&rows, now))?,
        Format::Json => print_json(&document(&rows, &found.ledgers))?,
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page(&rows, &found.ledgers, now))
            .with_context(|| format!("writing `{}`", path.display()))?;
    }
    for row in &rows {
        if let Some(problem) = &row.problem {
            tell(&format!("{}:{}: {problem}", row.file, row.line));
        }
    }
    let broken = broken(&found.ledgers)?;
    if args.check { check(&sites, &rows, &found) } else { Ok(broken) }
}

/// Tells what is not as it should be.
fn check(sites: &[(String, Site)], rows: &[Row], found: &Found<'_>) -> anyhow::Result<ExitCode> {
    let (mut floating, mut other) = (0, 0);
    let mut bad: Vec<&str> = Vec::new();
    for ((_, site), row) in sites.iter().zip(rows) {
        let name = name(site);
        let place = name.as_ref().map(|name| Repository::from(name).to_string());
        let is_its = |of: &&Ledgers| Some(&of.place) == place.as_ref() && !of.environments.is_empty();
        let mut ledgers: Vec<&Ledgers> = found.ledgers.iter().filter(is_its).collect();
        // Those of `--repo` may know an image of a mirror; of one that they don't know, they say nothing.
        if ledgers.is_empty() {
            let knows = |of: &&Ledgers| row.standings.iter().any(|standing| standing.place == of.place);
            ledgers.extend(found.ledgers[..found.given].iter().filter(knows));
        }
        let tag = site.text.split('@').next().and_then(|text| text.rsplit_once(':')).map(|(_, tag)| tag);
        let at = format!("{}:{}: `{}`", row.file, row.line, escaped(&row.text));
        match row.finding(tag, &ledgers) {
            Finding::Fine => {}
            Finding::Floating => {
                floating += 1;
                if row.problem.is_none() {
                    tell(&format!("{at} is not pinned"));
                }
            }
            Finding::NotCurrent => {
                other += 1;
                tell(&format!("{at} is not what its environment has now"));
            }
            Finding::Bad => {
                let entry =
                    row.standings.iter().find(|one| one.is_current && one.verdict == Some(Verdict::Bad));
                let environment = entry.map_or("ENV", |one| &one.entry.environment);
                let it = escaped(environment);
                tell(&format!("{at} is what `{it}` has now, and that is marked bad"));
                bad.push(environment);
            }
        }
    }
    if floating > 0 {
        let error =
            Hinted::new(format!("{} not pinned, or not to be looked up", count(floating, "reference")));
        return Err(error.hint("`lith pin` pins them").into());
    }
    if other > 0 {
        let error = Hinted::different(format!("{} not to the current release", count(other, "reference")));
        return Err(error.hint("`lith pin --update` moves pins to what their tags stand for now").into());
    }
    if let Some(environment) = bad.first() {
        let error =
            Hinted::different(format!("{} to a release that is marked bad", count(bad.len(), "reference")));
        let hint = format!("`lith rollback {environment}` goes back to one that is not");
        return Err(error.hint(hint).into());
    }
    Ok(ExitCode::SUCCESS)
}

/// That a ledger is not whole is no matter of the files, but nobody must miss it.
fn broken(ledgers: &[Ledgers]) -> anyhow::Result<ExitCode> {
    let mut number = 0;
    for error in ledgers.iter().flat_map(|of| &of.environments).filter_map(|(_, chain)| chain.broken.as_ref())
    {
        tell(&format!("a ledger breaks off: {error}"));
        number += 1;
    }
    if number == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let error = Hinted::new(format!("{} not whole", count(number, "ledger")));
    Err(error.hint("`lith releases ENV --verify` says what is wrong").into())
}

impl Found<'_> {
    /// The ledgers of the repositories that are named. One that can't be read is a row's problem.
    fn read_named(&mut self, sites: &[(String, Site)], pinned: &BTreeSet<Digest>) -> anyhow::Result<()> {
        for (_, site) in sites {
            let Some(name) = name(site) else { continue };
            let repository = Repository::from(&name);
            let place = repository.to_string();
            if self.closed.contains_key(&repository) || self.ledgers.iter().any(|of| of.place == place) {
                continue;
            }
            let shelf = RegistryShelf::new(self.reach.registries()?, repository.clone());
            match Ledgers::read(&shelf) {
                Ok(mut ledgers) => {
                    ledgers.look_for(&shelf, pinned);
                    self.ledgers.push(ledgers);
                }
                Err(error) => {
                    self.closed.insert(repository, told(&error.into()).0);
                }
            }
        }
        Ok(())
    }

    fn row(&self, file: &str, site: &Site) -> anyhow::Result<Row> {
        let name = name(site);
        let closed = name.as_ref().and_then(|name| self.closed.get(&Repository::from(name)));
        let (mut digest, mut problem) =
            (name.as_ref().and_then(|name| name.digest().cloned()), closed.cloned());
        if let (Some(name), None, None) = (&name, &digest, &problem) {
            match self.reach.registries()?.resolve(name) {
                Ok(Some(root)) => digest = Digest::try_from(root.digest()).ok(),
                Ok(None) => problem = Some(format!("`{name}` is not there")),
                Err(error) => problem = Some(told(&error.into()).0),
            }
        }
        let standings = digest.as_ref().map(|digest| standings(&self.ledgers, digest)).unwrap_or_default();
        let (file, line, text) = (file.to_owned(), site.line, site.text.clone());
        let (state, floats) = (State::of(site), site.floats());
        Ok(Row { file, line, text, state, floats, digest, standings, problem })
    }
}

/// What a site names, with its digest.
fn name(site: &Site) -> Option<Reference> {
    let Target::Image(named) = &site.target else { return None };
    match &named.digest {
        Some(digest) => format!("{}@{digest}", named.tagged).parse().ok(),
        None => named.reference.clone(),
    }
}

fn table(rows: &[Row], now: u64) -> Vec<Vec<String>> {
    let heading = ["WHERE", "IMAGE", "STATE", "RELEASE", "CURRENT", "AGE", "REVISION"];
    let mut table = vec![heading.map(String::from).to_vec()];
    for row in rows {
        let (at, image) = (format!("{}:{}", row.file, row.line), short(&row.text));
        let start = vec![at, image, row.state.word().to_owned()];
        if row.standings.is_empty() {
            let dash = || "-".to_owned();
            table.push([start.clone(), vec![dash(), dash(), dash(), dash()]].concat());
        }
        table.extend(row.standings.iter().map(|standing| [start.clone(), cells(standing, now)].concat()));
    }
    table
}

/// A digest says enough with its first digits.
fn short(text: &str) -> String {
    match text.split_once("@sha256:") {
        Some((name, hex)) => format!("{name}@sha256:{}", hex.chars().take(12).collect::<String>()),
        None => text.to_owned(),
    }
}

fn cells(standing: &Standing, now: u64) -> Vec<String> {
    let entry = &standing.entry;
    let current = match (standing.verdict, standing.is_current) {
        (Some(Verdict::Bad), _) => "marked bad",
        (_, true) => "yes",
        (_, false) => "no",
    };
    let revision = entry.revision.as_deref().unwrap_or("-").chars().take(12).collect();
    let platform = standing.platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
    let release = format!("{} {}{platform}", entry.environment, entry.number);
    vec![release, current.into(), duration(now.saturating_sub(entry.time)), revision]
}

fn document(rows: &[Row], ledgers: &[Ledgers]) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let releases: Vec<Value> = row.standings.iter().map(standing_json).collect();
            let mut value = json!({
                "file": row.file, "line": row.line, "image": row.text, "state": row.state.word(),
                "digest": row.digest.as_ref().map(ToString::to_string), "releases": releases,
            });
            if let State::Left(why) = &row.state {
                value["why"] = json!(why);
            }
            if let Some(problem) = &row.problem {
                value["problem"] = json!(problem);
            }
            value
        })
        .collect();
    let mut places = Vec::new();
    for of in ledgers {
        for (environment, chain) in &of.environments {
            let entries: Vec<Value> = chain.links.iter().map(|link| entry_json(link, chain)).collect();
            places.push(json!({
                "repository": of.place, "environment": environment.tag(), "entries": entries,
                "broken": chain.broken.as_ref().map(ToString::to_string),
            }));
        }
    }
    json!({ "references": rows, "ledgers": places })
}

fn standing_json(standing: &Standing) -> Value {
    let entry = &standing.entry;
    json!({
        "repository": standing.place, "environment": entry.environment, "number": entry.number, "time": entry.time,
        "source": entry.source, "revision": entry.revision, "verdict": standing.verdict,
        "current": standing.is_current, "platform": standing.platform,
    })
}
