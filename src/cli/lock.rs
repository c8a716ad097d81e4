//! `lith lock`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use lith::build::{self, Contexts, Outside, Request};
use lith::buildfile::{Diagnostic, Source};
use lith::context::ContextSpec;
use lith::exec::run::RunOptions;
use lith::layer::FORMAT_PROFILE;
use lith::lock::{Change, Entry, Kind, Lock, Memo, PlatformName, Policy, changes, load};
use lith::oci::Platform;
use lith::store::Vendor;
use lith::text::{escaped, shown};
use serde_json::json;

use super::World;
use super::build::steps::Steps;
use super::build::{Shape, build_args, build_contexts, build_file, locking, platforms, shaped, told};
use super::error::{DIFFERENT, Hinted, tell};
use super::format::{Format, FormatArg, count, print, print_json};
use super::progress::{Mode, Progress};

/// Pin what a Buildfile names outside: images, URLs, git references
///
/// Writes `Buildfile.lock` beside the Buildfile (`<file>.lock`), for version control: builds use what it says, and no
/// tag that moves changes them. What is locked already stays as it is; what is new in the Buildfile is added, and what
/// nothing asks for goes. All stages are locked, unless there is `--target`. What changed is printed on stdout.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The build context, as `lith build` has it
    #[arg(value_name = "CONTEXT", default_value = ".")]
    context: String,

    /// The Buildfile; `-` for stdin [default: Buildfile, Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The lock file [default: FILE.lock beside the Buildfile]
    #[arg(long, value_name = "FILE")]
    lock_file: Option<PathBuf>,

    /// Lock anew what these names stand for now, or all: an image's name, with or without its tag, a URL (of an `ADD` or
    /// a locked step), a repository
    #[arg(short, long, value_name = "NAME", num_args = 0..)]
    update: Option<Vec<String>>,

    /// Change nothing, and say what is missing or stale, and what has moved: in registries, at URLs, in repositories
    #[arg(long, conflicts_with_all = ["update", "import", "export"])]
    check: bool,

    /// Ask nothing of the network
    #[arg(long, conflicts_with = "update")]
    offline: bool,

    /// Lock what BuildKit's source policy (a JSON file) says
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,

    /// Print the lock for another builder
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["update", "import"])]
    export: Option<Export>,

    /// Set a build argument, as `lith build` does
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,

    /// Lock what this stage needs, instead of all stages
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,

    /// The platforms to lock for [default: those that are locked already, or linux/amd64]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,

    /// Another context or base, as `lith build` has it
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,

    /// Copy the blobs that the lock file names into a folder: images, files, repositories, the network of locked steps
    ///
    /// `lith build` takes them from there: from the folder that `--vendor` names, or `FILE.vendor` beside the Buildfile.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "export"])]
    vendor: Option<PathBuf>,

    #[command(flatten)]
    shape: Shape,

    #[command(flatten)]
    steps: Steps,

    #[command(flatten)]
    format: FormatArg,
}

/// What other builders read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Export {
    /// BuildKit's source policy, as JSON
    SourcePolicy,
}

/// Requests of steps that are told to somebody who may have meant one.
const NEAR: usize = 10;

const AFTER_HELP: &str = "\
Exit codes of --check:
  0  the lock file is whole, and nothing has moved
  1  something is missing or stale (or the check failed): `lith lock` mends it
  4  it is whole, and something has moved: `lith lock --update` takes what is there now

Examples:
  lith lock                         write or complete Buildfile.lock
  lith lock --update                lock what all names stand for now
  lith lock --update debian node    of these two
  lith lock --check --offline       in CI: is the lock of this Buildfile? (asks nobody)
  lith lock --export source-policy > policy.json";

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let progress = Progress::new(Mode::Plain);
    let call = Call::new(args, world, &progress)?;
    let old = load(&call.path)?;
    match (args.export, args.check) {
        (Some(Export::SourcePolicy), _) => {
            let lock = old.ok_or_else(|| locking::no_file(&call.path))?;
            print(&lock.to_source_policy())?;
            Ok(ExitCode::SUCCESS)
        }
        (None, true) => call.check(&old.ok_or_else(|| locking::no_file(&call.path))?),
        (None, false) => call.write(old),
    }
}

/// One call.
struct Call<'a> {
    args: &'a Args,
    world: &'a World,
    progress: &'a Progress,
    store: std::sync::Arc<lith::store::Store>,
    source: Source,
    path: PathBuf,
}

impl<'a> Call<'a> {
    fn new(args: &'a Args, world: &'a World, progress: &'a Progress) -> anyhow::Result<Self> {
        let store = world.open_store()?;
        // Only to read the Buildfile: each resolving has a world of its own.
        let mut outside = Outside::new(&store, contexts(args, world, false)?);
        let source = outside.source(&build_file(args.file.as_deref()))?;
        let path = locking::lock_path(args.lock_file.as_deref(), &outside);
        let path = path.ok_or_else(|| locking::no_place("`lith lock`"))?;
        Ok(Self { args, world, progress, store, source, path })
    }

    /// Completes the lock file.
    fn write(&self, old: Option<Lock>) -> anyhow::Result<ExitCode> {
        let mut lock = match &old {
            Some(lock) if lock.profile == FORMAT_PROFILE => lock.clone(),
            _ => self.empty()?,
        };
        if let Some(names) = &self.args.update {
            forget(&mut lock, names, &self.args.context)?;
        }
        if let Some(path) = &self.args.import {
            lock.forget_against(&locking::source_policy(path)?);
        }
        let platforms = self.platforms(old.as_ref())?;
        let memo = Memo::new(&self.path, Policy::Add, old.clone(), lock);
        let memo = self.resolve(memo, platforms.clone(), self.args.update.is_some())?;
        let mut memo = self.record(memo, platforms)?;
        let found = changes(&old.map_or_else(|| self.empty(), Ok)?, memo.lock());
        let was_written = memo.save()?;
        self.print(&found)?;
        let what = if was_written { "written" } else { "unchanged" };
        tell(&format!("`{}`: {what}", shown(&self.path.display())));
        Ok(ExitCode::SUCCESS)
    }

    /// Says what `lith lock` would do, and what `lith lock --update` would.
    fn check(&self, old: &Lock) -> anyhow::Result<ExitCode> {
        let platforms = self.platforms(Some(old))?;
        let memo = Memo::new(&self.path, Policy::Refuse, Some(old.clone()), old.clone());
        let memo = self.resolve(memo, platforms.clone(), false)?;
        let unused = changes(old, memo.lock());
        if !unused.is_empty() {
            self.print(&unused)?;
            let message =
                format!("the lock file `{}` has entries that nothing asks for", self.path.display());
            return Err(Hinted::new(message).hint("`lith lock` removes them").into());
        }
        if self.args.offline {
            return Ok(ExitCode::SUCCESS);
        }
        let memo = Memo::new(&self.path, Policy::Add, None, self.empty()?);
        let fresh = self.resolve(memo, platforms, true)?;
        let mut moved: Vec<Change> =
            changes(old, fresh.lock()).into_iter().filter(|c| c.kind != Kind::Network).collect();
        moved.extend(self.moved_network(old)?);
        self.print(&moved)?;
        Ok(if moved.is_empty() { ExitCode::SUCCESS } else { DIFFERENT.into() })
    }

    /// What of the answers to locked steps is another by now.
    fn moved_network(&self, old: &Lock) -> anyhow::Result<Vec<Change>> {
        let mut outside = Outside::new(&self.store, contexts(self.args, self.world, true)?);
        outside.set_lock(Memo::new(&self.path, Policy::Refuse, Some(old.clone()), old.clone()));
        let run = self.args.steps.read(self.world)?;
        let request = Request { run, ..self.request(Vec::new())? };
        let moved = build::moved_network(&outside, &request);
        for unknown in &moved.unknown {
            tell(&format!("warning: whether it has moved is not known: {unknown}"));
        }
        Ok(moved.changes)
    }

    fn resolve(&self, memo: Memo, platforms: Vec<Platform>, newest: bool) -> anyhow::Result<Memo> {
        let mut outside = Outside::new(&self.store, contexts(self.args, self.world, newest)?);
        outside.set_lock(memo);
        let request = self.request(platforms)?;
        // What the Buildfile could do better, `lith build` and `lith check` say.
        build::resolve(&self.source, &request, &mut outside, self.progress, &|_| {})
            .map_err(|error| told(error, &outside, &|diagnostics| self.show(diagnostics)))?;
        Ok(outside.into_lock().expect("it was given one"))
    }

    /// Runs the steps whose network is locked, for what they ask for.
    fn record(&self, memo: Memo, platforms: Vec<Platform>) -> anyhow::Result<Memo> {
        let contexts = contexts(self.args, self.world, false)?;
        let mut outside = Outside::new(&self.store, contexts);
        outside.source(&build_file(self.args.file.as_deref()))?;
        if let Some(folder) = locking::vendor_path(self.args.vendor.as_deref(), &outside) {
            outside.set_vendor(Vendor::new(folder));
        }
        outside.set_lock(memo);
        let run = RunOptions {
            sandbox: Some(self.world.sandbox(&self.store)),
            no_network: self.args.offline,
            ..self.args.steps.read(self.world)?
        };
        let request = Request { threads: self.world.threads(), cache: true, run, ..self.request(platforms)? };
        let failed = |error, outside: &_| told(error, outside, &|diagnostics| self.show(diagnostics));
        build::record_network(&self.source, &request, &mut outside, &self.store, self.progress)
            .map_err(|error| failed(error, &outside))?;
        if let Some(path) = &self.args.vendor {
            let folder = Vendor::new(path.clone());
            let new = build::vendor(&self.source, &request, &outside, &self.store, self.progress, &folder);
            let new = count(new.map_err(|error| failed(error, &outside))?, "new blob");
            tell(&format!("`{}`: {new}", shown(&path.display())));
        }
        Ok(outside.into_lock().expect("it was given one"))
    }

    fn request(&self, platforms: Vec<Platform>) -> anyhow::Result<Request> {
        Ok(Request {
            build_args: build_args(&self.args.build_arg, self.world)?,
            target: self.args.target.clone(),
            platforms,
            ..shaped(&self.args.shape, &context(self.args)?, self.world)?
        })
    }

    fn show(&self, diagnostics: &[Diagnostic]) {
        self.progress.diagnostics(&self.source, diagnostics);
    }

    fn empty(&self) -> anyhow::Result<Lock> {
        let (fingerprint, _) = build::locked_origin(&self.source)?;
        Ok(Lock::new(FORMAT_PROFILE, fingerprint))
    }

    fn platforms(&self, old: Option<&Lock>) -> anyhow::Result<Vec<Platform>> {
        let given = platforms(&self.args.platform, self.world)?;
        let known = old.iter().flat_map(|lock| &lock.platforms).map(PlatformName::platform);
        Ok(if given.is_empty() { known.collect() } else { given })
    }

    fn print(&self, found: &[Change]) -> anyhow::Result<()> {
        if self.args.format.format == Format::Json {
            return print_json(&json!(found));
        }
        print(&found.iter().map(line).collect::<String>())
    }
}

fn context(args: &Args) -> anyhow::Result<ContextSpec> {
    Ok(ContextSpec::parse(&args.context).map_err(Hinted::usage)?)
}

fn contexts(args: &Args, world: &World, newest: bool) -> anyhow::Result<Contexts> {
    let main = context(args)?;
    let policy = args.import.as_deref().map(locking::source_policy).transpose()?;
    let registries = if args.offline { None } else { Some(std::sync::Arc::new(world.registries()?)) };
    Ok(Contexts {
        main: Some(main),
        named: build_contexts(&args.build_context)?,
        registries,
        pull: newest && !args.offline,
        offline: args.offline,
        policy,
        http: world.http()?,
        helpers: world.environment.for_helpers(),
    })
}

/// Takes those entries away that are to be resolved anew: all, where none is named.
fn forget(lock: &mut Lock, names: &[String], context: &str) -> anyhow::Result<()> {
    if names.is_empty() {
        for name in lock.names().map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
            lock.remove(&name);
        }
        return Ok(());
    }
    for name in names {
        let found: Vec<String> = lock
            .names()
            .filter(|(_, entry)| entry.is_meant_by(name))
            .map(|(name, _)| name.to_owned())
            .collect();
        if found.is_empty() {
            return Err(unknown(lock, name, context).into());
        }
        found.iter().for_each(|name| lock.remove(name));
    }
    Ok(())
}

fn unknown(lock: &Lock, name: &str, context: &str) -> Hinted {
    let error = Hinted::usage(format!("the lock file has no `{name}`"));
    if context == "." && Path::new(name).is_dir() {
        return error.hint(format!("the context stands before the option: `lith lock {name} --update …`"));
    }
    let is_network = |entry: &Entry<'_>| entry.kind == Kind::Network;
    // Of what steps ask for, there is mostly too much to be told.
    let near = lock.names().filter(|(known, entry)| is_network(entry) && known.contains(name)).take(NEAR);
    let named = lock.names().filter(|(_, entry)| !is_network(entry));
    let known: Vec<String> = named.chain(near).map(|(name, _)| format!("`{}`", shown(name))).collect();
    match known.as_slice() {
        [] => error.hint("it has nothing that could be updated; `lith lock` completes it"),
        known => error.hint(format!("there is {}", known.join(", "))),
    }
}

fn line(change: &Change) -> String {
    let platform = change.platform.as_ref().map_or_else(String::new, |platform| format!(" ({platform})"));
    let what = format!("{} {}{platform}", change.kind, change.name);
    let line = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("moved    {what}: {from} -> {to}"),
        (None, Some(to)) => format!("added    {what}: {to}"),
        (Some(from), None) => format!("removed  {what}: {from}"),
        (None, None) => what,
    };
    format!("{}\n", escaped(&line))
}
