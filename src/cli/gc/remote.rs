//! `lith gc --remote`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use lith::oci::{Descriptor, Digest, Reference, Repository};
use lith::release::{Keep, Kept, RegistryShelf, Tidying, Use, Waste, Why, seconds};
use lith::text::escaped;
use serde_json::{Value, json};

use crate::cli::World;
use crate::cli::error::Hinted;
use crate::cli::format::{Format, count, print, print_json, print_table};
use crate::cli::ledger::now;
use crate::cli::place::parse_repository;
use crate::cli::reach::Reach;

/// What is typed of a repository, beside its name.
#[derive(Debug, clap::Args)]
pub(super) struct RemoteArgs {
    /// Remove what a repository of a registry needs no more, in place of the store's: see below
    #[arg(long, value_name = "REPOSITORY", conflicts_with_all = ["keep_cache", "cache_mounts", "recorded"])]
    pub(super) remote: Option<String>,

    /// With --remote: how many good images each environment can still go back to, at least
    ///
    /// 10, or 1 with --keep-for. What an environment has now always stays.
    #[arg(long, value_name = "N", requires = "remote", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,

    /// With --remote: keep what environments had in the last 30m, 24h, 90d
    #[arg(long, value_name = "TIME", requires = "remote", value_parser = parse_time)]
    keep_for: Option<u64>,

    /// With --remote: a file with digests, one a line, that may go too if nothing needs them
    #[arg(long, value_name = "FILE", requires = "remote")]
    also: Option<PathBuf>,

    /// With --remote: remove it. Without, it is only shown
    #[arg(long, requires = "remote", conflicts_with = "dry_run")]
    yes: bool,
}

fn parse_time(text: &str) -> Result<u64, String> {
    seconds(text).ok_or_else(|| "expected a time like `30m`, `24h`, `90d`".into())
}

pub(super) fn run(args: &RemoteArgs, name: &str, format: Format, world: &World) -> anyhow::Result<ExitCode> {
    let repository = parse_repository(name)?;
    let reach = Reach::new(world);
    let registries = reach.registries()?;
    let shelf = RegistryShelf::new(registries, repository.clone());
    let known = known(args, &repository, &reach)?;
    let now = now();
    let last = args.keep.unwrap_or(if args.keep_for.is_some() { 1 } else { 10 });
    let since = args.keep_for.map(|time| now.saturating_sub(time));
    let keep = Keep { last: usize::try_from(last).unwrap_or(usize::MAX), since, now };
    let tidying = shelf.waste(&keep, &known)?;
    let waste = &tidying.waste;
    if args.yes {
        for (gone, one) in waste.iter().enumerate() {
            shelf.dispose(one).with_context(|| {
                format!("removing `{}`, after {}", one.descriptor.digest(), count(gone, "manifest"))
            })?;
        }
    }
    show(&repository, &tidying, args.yes, format)?;
    Ok(ExitCode::SUCCESS)
}

/// What the store remembers to have pushed there, and what a file names.
fn known(args: &RemoteArgs, repository: &Repository, reach: &Reach<'_>) -> anyhow::Result<Vec<Descriptor>> {
    let mut known = reach.store()?.manifests_of(repository)?;
    let Some(path) = &args.also else { return Ok(known) };
    let reading = || format!("reading `{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(reading)?;
    for (line, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let wrong = |error| Hinted::usage(format!("{}:{}: {error}", path.display(), line + 1));
        let digest: Digest =
            text.trim().parse().map_err(|error: lith::oci::ParseDigestError| wrong(error.to_string()))?;
        let name: Reference = format!("{repository}@{digest}").parse()?;
        known.extend(reach.registries()?.resolve(&name)?);
    }
    Ok(known)
}

fn show(repository: &Repository, tidying: &Tidying, done: bool, format: Format) -> anyhow::Result<()> {
    let waste = &tidying.waste;
    if format == Format::Json {
        let rows: Vec<Value> = waste.iter().map(row).collect();
        return print_json(&json!({
            "repository": repository.to_string(), "manifests": rows, "dryRun": !done,
            "kept": tidying.kept.iter().map(kept_row).collect::<Vec<_>>(),
            "entries": tidying.entries.iter().map(|(name, number)| (name.tag(), *number)).collect::<BTreeMap<_, _>>(),
        }));
    }
    let goes = |one: &Waste| vec!["goes".to_owned(), one.descriptor.digest().to_string(), told(&one.why)];
    let mut rows: Vec<Vec<String>> = waste.iter().map(goes).collect();
    if !done {
        rows.extend(tidying.kept.iter().map(|one| vec!["stays".to_owned(), one.digest.clone(), uses(one)]));
    }
    print_table(&rows)?;
    for (environment, number) in tidying.entries.iter().filter(|_| !done) {
        let entries = count(*number, "entry").replace("entrys", "entries");
        print(&format!("stays  the ledger of `{environment}`: {entries}\n"))?;
    }
    let what = count(waste.len(), "manifest");
    let end = if waste.is_empty() || done { "" } else { "; `--yes` removes them" };
    print(&format!("{} {what} of {repository}{end}\n", if done { "removed" } else { "would remove" }))
}

fn row(one: &Waste) -> Value {
    let mut row = json!({
        "digest": one.descriptor.digest().to_string(),
        "mediaType": one.descriptor.media_type().to_string(),
        "why": kind(&one.why),
    });
    match &one.why {
        Why::Release { environment, number } => {
            row["environment"] = json!(environment.tag());
            row["number"] = json!(number);
        }
        Why::Lost { environment } => row["environment"] = json!(environment.tag()),
        Why::Part { of } | Why::Referrer { of } => row["of"] = json!(of),
        _ => {}
    }
    row
}

fn kept_row(kept: &Kept) -> Value {
    let uses = kept.uses.iter().map(|own| match own {
        Use::Tag(tag) => json!({"why": "tag", "tag": tag}),
        Use::Current(environment) => json!({"why": "current", "environment": environment.tag()}),
        Use::Back { environment, number } => {
            json!({"why": "back", "environment": environment.tag(), "number": number})
        }
        Use::Lately { environment, number } => {
            json!({"why": "lately", "environment": environment.tag(), "number": number})
        }
        _ => json!({"why": "claim"}),
    });
    json!({"digest": kept.digest, "uses": uses.collect::<Vec<_>>()})
}

fn uses(kept: &Kept) -> String {
    let tags: Vec<String> = kept
        .uses
        .iter()
        .filter_map(|own| match own {
            Use::Tag(tag) => Some(format!("`{}`", escaped(tag))),
            _ => None,
        })
        .collect();
    let mut words: Vec<String> = Vec::new();
    if !tags.is_empty() {
        words.push(format!("tagged {}", tags.join(", ")));
    }
    words.extend(kept.uses.iter().filter_map(|own| match own {
        Use::Tag(_) => None,
        Use::Current(environment) => Some(format!("`{environment}` has it")),
        Use::Back { environment, number } => {
            Some(format!("`{environment}` can go back to it: release {number}"))
        }
        Use::Lately { environment, number } => {
            Some(format!("`{environment}` had it lately: release {number}"))
        }
        _ => Some("somebody may just be releasing it".into()),
    }));
    words.join("; ")
}

fn kind(why: &Why) -> &'static str {
    match why {
        Why::Release { .. } => "release",
        Why::Part { .. } => "part",
        Why::Referrer { .. } => "referrer",
        Why::Lost { .. } => "lost",
        _ => "known",
    }
}

fn told(why: &Why) -> String {
    let short = |digest: &str| digest.chars().take("sha256:".len() + 12).collect::<String>();
    match why {
        Why::Release { environment, number } => format!("`{environment}` had it, last by release {number}"),
        Why::Part { of } => format!("a part of {}", short(of)),
        Why::Referrer { of } => format!("about {}", short(of)),
        Why::Lost { environment } => format!("an entry of `{environment}` that never came to count"),
        _ => "was put there, and no tag leads to it".into(),
    }
}
