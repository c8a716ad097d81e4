//! `lith`: arguments → run → error, hint, exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    cli::run(cli, cli::Environment::read()).unwrap_or_else(|error| cli::report(&error))
}
