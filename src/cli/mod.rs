//! The command line: all of environment, colour, wording and progress. One file per subcommand.
//!
//! What was typed (the clap structs) and what it means (the library's types) are kept apart: each subcommand
//! turns its arguments into values, calls the library, and prints data on stdout and everything else on stderr.

mod audit;
mod build;
mod check;
mod completions;
mod config;
mod copy;
mod current;
mod daemon;
mod debug;
mod diff;
mod digest;
mod docker;
mod env;
mod error;
mod facts;
mod format;
mod fsck;
mod gates;
mod gc;
mod images;
mod inspect;
mod ledger;
mod lock;
mod log;
mod login;
mod logout;
mod ls;
mod man;
mod outputs;
mod pin;
mod place;
mod progress;
mod pull;
mod push;
mod pushing;
mod reach;
mod referrers;
mod registries;
mod release;
mod releases;
mod removal;
mod rm;
mod rollback;
mod tag;
mod tags;
mod terminal;
mod verify;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

pub(crate) use env::Environment;
pub(crate) use error::report;

/// Build reproducible OCI images: the same inputs give the same digest, on any machine.
#[derive(Debug, Parser)]
#[command(name = "lith", version, propagate_version = true, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true)]
#[command(max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Where images and the build cache are kept: LITH_STORE, or [default: $XDG_DATA_HOME/lith, which is
    /// mostly ~/.local/share/lith]
    #[arg(long, global = true, value_name = "DIR", env = "LITH_STORE", hide_env = true)]
    #[arg(help_heading = "Global options")]
    store: Option<PathBuf>,

    /// How many threads may work: LITH_THREADS, or [default: one for each core]
    #[arg(long, global = true, value_name = "N", env = "LITH_THREADS", hide_env = true)]
    #[arg(help_heading = "Global options", value_parser = parse_threads)]
    threads: Option<std::num::NonZeroUsize>,

    #[command(flatten)]
    registries: registries::Args,

    /// Tell more on stderr: -v whose credentials are shown to registries and what is tried again, -vv each request too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    #[arg(help_heading = "Global options")]
    verbose: u8,
}

const AFTER_HELP: &str = "\
Examples:
  lith build -t app .                        build ./Buildfile (or Dockerfile) and keep it as `app`
  lith build -o type=oci,dest=image .        write an OCI layout to the folder `image`
  IMAGE=$(lith build -q .)                   the digest alone is on stdout
  lith build -t r.example/app:1.0 --push .   push it, under that name
  lith ls app                                the files of an image, by layer

Exit codes:
  0  done
  1  it failed: the build, a check, or what was asked for is not there
  2  the command line is wrong
  3  the store is damaged: `lith fsck` says what of it
  4  what was compared differs: `lith diff --exit-code`, `lith build --check-reproducible`, `lith lock --check`,
     `lith pin --check --update`, `lith audit --check`, `lith releases repair` without `--yes`
  5  `lith verify` built another image, or from other inputs than the recorded ones
`lith debug` has that of the program that it ran.";

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<build::Args>),
    Check(check::Args),
    Lock(Box<lock::Args>),
    Inspect(inspect::Args),
    Ls(ls::Args),
    Diff(diff::Args),
    Images(images::Args),
    Tag(tag::Args),
    Rm(rm::Args),
    Copy(copy::Args),
    Pull(pull::Args),
    Push(push::Args),
    Tags(tags::Args),
    Digest(digest::Args),
    Referrers(referrers::Args),
    Pin(pin::Args),
    Release(release::Args),
    Releases(releases::Args),
    Current(current::Args),
    Rollback(rollback::Args),
    Audit(audit::Args),
    Login(login::Args),
    Logout(logout::Args),
    Gc(gc::Args),
    Fsck(fsck::Args),
    Verify(verify::Args),
    Why(why::Args),
    Debug(debug::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Does what was typed.
pub(crate) fn run(cli: Cli, environment: Environment) -> anyhow::Result<ExitCode> {
    log::start(cli.verbose);
    let world = World {
        environment,
        store: cli.store,
        threads: cli.threads,
        registry_args: cli.registries,
        config: std::sync::OnceLock::new(),
    };
    match cli.command {
        Command::Build(args) => build::run(&args, &world),
        Command::Check(args) => check::run(&args, &world),
        Command::Lock(args) => lock::run(&args, &world),
        Command::Inspect(args) => inspect::run(&args, &world),
        Command::Ls(args) => ls::run(&args, &world),
        Command::Diff(args) => diff::run(&args, &world),
        Command::Images(args) => images::run(&args, &world),
        Command::Tag(args) => tag::run(&args, &world),
        Command::Rm(args) => rm::run(&args, &world),
        Command::Copy(args) => copy::run(&args, &world),
        Command::Pull(args) => pull::run(&args, &world),
        Command::Push(args) => push::run(&args, &world),
        Command::Tags(args) => tags::run(&args, &world),
        Command::Digest(args) => digest::run(&args, &world),
        Command::Referrers(args) => referrers::run(&args, &world),
        Command::Pin(args) => pin::run(&args, &world),
        Command::Release(args) => release::run(&args, &world),
        Command::Releases(args) => releases::run(&args, &world),
        Command::Current(args) => current::run(&args, &world),
        Command::Rollback(args) => rollback::run(&args, &world),
        Command::Audit(args) => audit::run(&args, &world),
        Command::Login(args) => login::run(&args, &world),
        Command::Logout(args) => logout::run(&args, &world),
        Command::Gc(args) => gc::run(&args, &world),
        Command::Fsck(args) => fsck::run(&args, &world),
        Command::Verify(args) => verify::run(&args, &world),
        Command::Why(args) => why::run(&args, &world),
        Command::Debug(args) => debug::run(&args, &world),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

fn parse_threads(text: &str) -> Result<std::num::NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a number from 1".into())
}

/// What every subcommand stands in: the environment, read once, and where the store is.
#[derive(Debug)]
pub(crate) struct World {
    environment: Environment,
    store: Option<PathBuf>,
    threads: Option<std::num::NonZeroUsize>,
    registry_args: registries::Args,
    config: std::sync::OnceLock<config::Config>,
}

impl World {
    /// Opens the store: `--store`, `LITH_STORE`, or the user's data folder (XDG Base Directory rules).
    fn open_store(&self) -> anyhow::Result<std::sync::Arc<lith::store::Store>> {
        // Whoever runs steps has another working folder.
        let path = std::path::absolute(self.store_path()?)?;
        Ok(std::sync::Arc::new(lith::store::Store::open(&path)?))
    }

    /// What steps are run with: lith itself, started again.
    fn sandbox(&self, store: &lith::store::Store) -> lith::sandbox::Options {
        lith::sandbox::Options { program: "/proc/self/exe".into(), temp: store.temp_folder() }
    }

    /// How many threads may work. It has no influence on what they make.
    fn threads(&self) -> usize {
        self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from)
    }

    /// Opens the store if there is one: who only looks must not make it. In its place stands an empty one, which is
    /// gone afterwards.
    fn look_at_store(&self) -> anyhow::Result<Seen> {
        let path = self.store_path()?;
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("reading the store `{}`", path.display()));
            }
            Ok(_) => return Ok(Seen { store: self.open_store()?, _folder: None }),
        }
        let folder = tempfile::tempdir_in(self.environment.temp()).context("making a temporary folder")?;
        let store = lith::store::Store::open(&folder.path().join("store"))?;
        Ok(Seen { store: std::sync::Arc::new(store), _folder: Some(folder) })
    }

    fn store_path(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.store {
            return Ok(path.clone());
        }
        let data = self.environment.data_home().ok_or_else(|| {
            error::Hinted::new("there is no folder for the store: neither XDG_DATA_HOME nor HOME is set")
                .hint("name one with `--store DIR` or LITH_STORE")
        })?;
        Ok(data.join("lith"))
    }
}

/// A store to look at.
#[derive(Debug)]
pub(crate) struct Seen {
    store: std::sync::Arc<lith::store::Store>,
    _folder: Option<tempfile::TempDir>,
}

impl std::ops::Deref for Seen {
    type Target = std::sync::Arc<lith::store::Store>;

    fn deref(&self) -> &Self::Target {
        &self.store
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_readme_has_the_exit_codes_of_the_help() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        let (_, codes) = AFTER_HELP.split_once("Exit codes:\n").unwrap();
        let codes = codes.replace("\n     ", " ");
        let rows = codes.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  "));
        let rows: Vec<String> = rows.map(|(code, meaning)| format!("| {code} | {meaning} |")).collect();
        assert_eq!(rows.len(), 6);
        let is_code = |line: &&str| {
            line.starts_with('|') && line[1..].trim_start().starts_with(|c: char| c.is_ascii_digit())
        };
        assert_eq!(readme.lines().filter(is_code).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn every_subcommand_and_flag_is_documented() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "`{}` says nothing of itself", command.get_name());
            for arg in command.get_arguments() {
                let help = arg.get_help().is_some_and(|help| !help.to_string().is_empty());
                assert!(help, "`{}` says nothing of `{}`", command.get_name(), arg.get_id());
            }
        }
    }
}
