//! `lith man`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

/// Write the manual pages to a folder, or lith(1) to stdout
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  lith man --dir ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// The folder to write a page for each subcommand to
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let command = super::Cli::command();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("making `{}`", dir.display()))?;
        clap_mangen::generate_to(command, dir)
            .with_context(|| format!("writing manual pages to `{}`", dir.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        super::format::print(&String::from_utf8_lossy(&page))?;
    }
    Ok(ExitCode::SUCCESS)
}
