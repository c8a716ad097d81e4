//! `lith completions`

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lith completions bash > ~/.local/share/bash-completion/completions/lith")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "lith", &mut script);
    super::format::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
