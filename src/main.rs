//! `lith`: arguments → run → error, hint, exit code. Or a sandbox's worker, which is lith started by itself.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    if let Some(ended) = lith::sandbox::worker_main() {
        return ended;
    }
    let cli = cli::Cli::parse();
    cli::run(cli, cli::Environment::read()).unwrap_or_else(|error| cli::report(&error))
}
