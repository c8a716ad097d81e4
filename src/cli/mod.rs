//! The command line: all of environment, colour, wording and progress. One file per subcommand.
//!
//! What was typed (the clap structs) and what it means (the library's types) are kept apart: each subcommand
//! turns its arguments into values, calls the library, and prints data on stdout and everything else on stderr.

mod build;
mod check;
mod completions;
mod copy;
mod debug;
mod docker;
mod env;
mod error;
mod facts;
mod format;
mod fsck;
mod gc;
mod images;
mod inspect;
mod ls;
mod man;
mod outputs;
mod place;
mod progress;
mod rm;
mod tag;

use std::path::PathBuf;
use std::process::ExitCode;

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
}

const AFTER_HELP: &str = "\
Examples:
  lith build -t app .                        build ./Buildfile (or Dockerfile) and keep it as `app`
  lith build -o type=oci,dest=image .        write an OCI layout to the folder `image`
  IMAGE=$(lith build -q .)                   the digest alone is on stdout
  lith ls app                                the files of an image, by layer

Exit codes:
  0  done
  1  it failed: the build, a check, or what was asked for is not there
  2  the command line is wrong
  3  `lith fsck` found the store damaged";

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<build::Args>),
    Check(check::Args),
    Inspect(inspect::Args),
    Ls(ls::Args),
    Images(images::Args),
    Tag(tag::Args),
    Rm(rm::Args),
    Copy(copy::Args),
    Gc(gc::Args),
    Fsck(fsck::Args),
    Debug(debug::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Does what was typed.
pub(crate) fn run(cli: Cli, environment: Environment) -> anyhow::Result<ExitCode> {
    let world = World { environment, store: cli.store, threads: cli.threads };
    match cli.command {
        Command::Build(args) => build::run(&args, &world),
        Command::Check(args) => check::run(&args, &world),
        Command::Inspect(args) => inspect::run(&args, &world),
        Command::Ls(args) => ls::run(&args, &world),
        Command::Images(args) => images::run(&args, &world),
        Command::Tag(args) => tag::run(&args, &world),
        Command::Rm(args) => rm::run(&args, &world),
        Command::Copy(args) => copy::run(&args, &world),
        Command::Gc(args) => gc::run(&args, &world),
        Command::Fsck(args) => fsck::run(&args, &world),
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
}

impl World {
    /// Opens the store: `--store`, `LITH_STORE`, or the user's data folder (XDG Base Directory rules).
    fn open_store(&self) -> anyhow::Result<std::sync::Arc<lith::store::Store>> {
        let path = self.store_path()?;
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

    /// The way to registries.
    #[expect(dead_code, reason = "the verbs come next")]
    fn registries(&self) -> anyhow::Result<lith::transport::registry::Registries> {
        use lith::transport::registry::{NoKeychain, Registries, Settings};
        let settings = Settings { http: self.environment.http(), ..Settings::default() };
        Ok(Registries::new(settings, std::sync::Arc::new(NoKeychain)))
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

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
