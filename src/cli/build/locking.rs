//! The lock file of a build: where it is, and what may become of it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lith::build::Outside;
use lith::buildfile::Source;
use lith::lock::{Memo, Policy, SourcePolicy, path_beside};
use lith::store::Vendor;

use crate::cli::error::Hinted;

/// For `Buildfile.lock`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for the lock file")]
pub(crate) struct Locking {
    /// The lock file [default: FILE.lock beside the Buildfile, if it is there; `lith lock` makes it]
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,

    /// Refuse to build if the lock file would have to change: for CI
    #[arg(long)]
    locked: bool,

    /// Refuse the network: all that is needed has to be in the store
    #[arg(long, conflicts_with = "pull")]
    pub(super) offline: bool,

    /// Where `lith lock --vendor` has put recorded bytes [default: FILE.vendor beside the Buildfile, if it is there]
    #[arg(long, value_name = "DIR")]
    vendor: Option<PathBuf>,

    /// Use, in the place of a source, what BuildKit's source policy (a JSON file) says
    #[arg(long, value_name = "FILE")]
    source_policy: Option<PathBuf>,
}

impl Locking {
    /// Gives the build its lock, if it has one.
    pub(in crate::cli) fn give(&self, outside: &mut Outside, source: &Source) -> anyhow::Result<()> {
        if let Some(folder) = vendor_path(self.vendor.as_deref(), outside) {
            outside.set_vendor(Vendor::new(folder));
        }
        let policy = if self.locked { Policy::Refuse } else { Policy::Add };
        let Some(path) = lock_path(self.lock_file.as_deref(), outside) else {
            if let Some(memo) = outside.lock_inside(source, policy)? {
                outside.set_lock(memo);
                return Ok(());
            }
            return if self.locked { Err(no_place("--locked").into()) } else { Ok(()) };
        };
        match Memo::open(&path, policy)? {
            Some(memo) => outside.set_lock(memo),
            None if self.locked || self.lock_file.is_some() => return Err(no_file(&path).into()),
            None => {}
        }
        Ok(())
    }

    pub(super) fn policy(&self) -> anyhow::Result<Option<SourcePolicy>> {
        self.source_policy.as_deref().map(source_policy).transpose()
    }
}

/// What was named, or the file beside the Buildfile; none for a Buildfile that is no file of this machine.
pub(in crate::cli) fn lock_path(given: Option<&Path>, outside: &Outside) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| outside.build_file().map(path_beside))
}

/// What was named, or the folder beside the Buildfile, if it is there.
pub(in crate::cli) fn vendor_path(given: Option<&Path>, outside: &Outside) -> Option<PathBuf> {
    let beside = || {
        let mut path = outside.build_file()?.as_os_str().to_owned();
        path.push(".vendor");
        Some(PathBuf::from(path)).filter(|path| path.is_dir())
    };
    given.map(Path::to_owned).or_else(beside)
}

pub(in crate::cli) fn no_file(path: &Path) -> Hinted {
    Hinted::new(format!("there is no lock file `{}`", path.display())).hint("`lith lock` makes it")
}

pub(in crate::cli) fn no_place(what: &str) -> Hinted {
    Hinted::usage(format!("{what} needs a lock file, and the Buildfile is no file of this machine"))
        .hint("name one with `--lock-file FILE`")
}

/// Reads a source policy.
pub(in crate::cli) fn source_policy(path: &Path) -> anyhow::Result<SourcePolicy> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?;
    text.parse().with_context(|| format!("reading `{}`", path.display()))
}
