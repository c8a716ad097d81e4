//! `lith debug`

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use lith::exec::run::debug;

use super::World;

/// Look around in the state in which the last step failed
///
/// Starts a shell, or the command that is given, with what the failed step of this store had: its files as it left
/// them, environment, user and mounts, but no secrets. What is changed there goes nowhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Don't give it the terminal, though there is one
    #[arg(long)]
    no_tty: bool,

    /// What to run instead of /bin/sh
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let store = world.open_store()?;
    let terminal = !args.no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut lost = None;
    let mut output = |bytes: &[u8]| {
        let mut stdout = std::io::stdout().lock();
        lost = stdout.write_all(bytes).and_then(|()| stdout.flush()).err();
    };
    let exit = debug(&store, &world.sandbox(&store), &args.command, terminal, &mut output)?;
    if let Some(error) = lost {
        return Err(error.into());
    }
    Ok(ExitCode::from(u8::try_from(exit.status.code()).unwrap_or(1)))
}
