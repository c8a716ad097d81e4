//! `lith gc`

mod remote;

use std::path::Path;
use std::process::ExitCode;

use lith::store::gc;
use serde_json::json;

use super::World;
use super::format::{self, Format, FormatArg, count, print, print_json};
use super::removal::Removal;

/// Remove what no name of the store needs
///
/// What is removed: blobs that no named image refers to, and the build cache's entries for them. Builds under way
/// are waited for, so nothing that one needs is taken. Ledgers of releases that are in the store stay whole, with their images.
///
/// With --remote REPOSITORY it is about a registry: what goes are the images of old releases that no tag leads to, what
/// is about them, and what was left over. What an environment has, what it can go back to and the ledgers themselves always
/// stay. Without --yes it is only shown (docs/releases.md).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith gc --dry-run
  lith gc --remote registry.example/team/app --keep 20 --keep-for 90d
  lith gc --remote registry.example/team/app --yes")]
pub(crate) struct Args {
    /// Show what would go, and leave it
    #[arg(long)]
    dry_run: bool,

    /// Keep the layers of the build cache, and what `lith debug` shows
    #[arg(long)]
    keep_cache: bool,

    /// Remove the cache mounts of RUN steps too
    #[arg(long)]
    cache_mounts: bool,

    /// Remove what was recorded of the network for locked steps too: servers may not have it any more
    #[arg(long)]
    recorded: bool,

    #[command(flatten)]
    remote: remote::RemoteArgs,

    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    if let Some(repository) = &args.remote.remote {
        return remote::run(&args.remote, repository, args.format.format, world);
    }
    let options = gc::Options {
        keep_cache: args.keep_cache,
        recorded: args.recorded,
        cache_mounts: args.cache_mounts,
        dry_run: args.dry_run,
    };
    let removal = Removal::new(world);
    let garbage = gc::collect_with(&world.store_path()?, &options, &|path: &Path| removal.remove(path))?;
    let bytes: u64 = garbage.blobs.iter().map(|(_, size)| size).sum();
    if args.format.format == Format::Json {
        let blobs: Vec<_> =
            garbage.blobs.iter().map(|(digest, size)| json!({"digest": digest, "size": size})).collect();
        print_json(&json!({
            "blobs": blobs, "bytes": bytes, "memos": garbage.memos, "leftovers": garbage.leftovers,
            "roots": garbage.roots, "dryRun": args.dry_run, "keptBlobs": garbage.kept_blobs,
            "kept": garbage.kept.iter().map(|(name, digest)| json!({"name": name.to_string(), "digest": digest}))
                .collect::<Vec<_>>(),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (digest, size) in &garbage.blobs {
        print(&format!("{digest}  {}\n", format::size(*size)))?;
    }
    if garbage.roots_left > 0 {
        log::warn!(
            "{} of steps stayed: who owns the files is none of this user's ids",
            count(garbage.roots_left, "folder")
        );
    }
    let verb = if args.dry_run { "would free" } else { "freed" };
    print(&format!(
        "{verb} {} in {}, {}, {} and {}\n",
        format::size(bytes),
        count(garbage.blobs.len(), "blob"),
        count(garbage.memos, "cache record"),
        count(garbage.roots, "unpacked layer"),
        count(garbage.leftovers, "leftover")
    ))?;
    if args.dry_run {
        let of = if garbage.kept.is_empty() { "" } else { ", of these names and of what was to be kept" };
        print(&format!("stays: {}{of}\n", count(garbage.kept_blobs, "blob")))?;
        for (name, digest) in &garbage.kept {
            print(&format!("  {digest}  {}\n", name.familiar()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
