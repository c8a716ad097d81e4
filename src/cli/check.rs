//! `lith check`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use lith::build::{Contexts, Outside};
use lith::buildfile::{self, Diagnostic, LowerOptions, Source, check, render};
use lith::context::ContextSpec;
use lith::lock::{Memo, Policy};
use serde_json::json;

use super::World;
use super::build::locking::lock_path;
use super::build::{build_args, build_contexts, build_file, platforms};
use super::format::{print, print_json, print_table};

/// Check a Buildfile without building it
///
/// Errors of the language, and the named checks that docker's users know. A directive `# check=skip=NAME,…` in the
/// Buildfile leaves checks out; `# check=error=true` makes warnings errors. The exit code is 1 if there are errors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lith check\n  lith check -f deploy/Buildfile --format sarif . > lith.sarif"
)]
pub(crate) struct Args {
    /// The build context, a folder: for the check that nothing copied is ignored
    #[arg(value_name = "CONTEXT", default_value = ".")]
    context: PathBuf,

    /// The Buildfile; `-` for stdin [default: Buildfile, Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Set a build argument, as `lith build` does
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,

    /// Check what this stage needs, instead of all stages
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,

    /// The platform that a build would be for [default: linux/amd64]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,

    /// Another context or base, as `lith build` has it
    #[arg(long, value_name = "NAME=VALUE")]
    build_context: Vec<String>,

    /// List the checks
    #[arg(long)]
    list: bool,

    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl Args {
    /// What `lith build --check` checks.
    pub(super) fn of_build(args: &super::build::Args) -> Self {
        Self {
            context: args.context.clone().into(),
            file: args.file.clone(),
            build_arg: args.build_arg.clone(),
            target: args.target.clone(),
            platform: args.platform.first().cloned(),
            build_context: args.build_context.clone(),
            list: false,
            format: Format::Text,
        }
    }
}

/// Beside text and JSON, the format that code hosts read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For code hosts and editors (SARIF 2.1.0)
    Sarif,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    if args.list {
        return list(args.format);
    }
    let contexts = Contexts {
        main: Some(ContextSpec::Folder(args.context.clone())),
        named: build_contexts(&args.build_context)?,
        ..Contexts::default()
    };
    let store = world.look_at_store()?;
    let mut outside = Outside::new(&store, contexts);
    let source = outside.source(&build_file(args.file.as_deref()))?;
    // What the lock knows of an image is enough to check what stands on it.
    if let Some(path) = lock_path(None, &outside)
        && let Some(memo) = Memo::open(&path, Policy::Look)?
    {
        outside.set_lock(memo);
    }
    let diagnostics = diagnose(&source, args, &mut outside, world)?;
    match args.format {
        // Where colours aren't wanted, printing takes them away.
        Format::Text => print(&render::render(&source, &diagnostics, true))?,
        Format::Json => print_json(&check::json(&source, &diagnostics))?,
        Format::Sarif => print_json(&check::sarif(&source, &diagnostics))?,
    }
    Ok(ExitCode::from(u8::from(diagnostics.iter().any(Diagnostic::is_error))))
}

fn diagnose(
    source: &Source,
    args: &Args,
    outside: &mut Outside,
    world: &World,
) -> anyhow::Result<Vec<Diagnostic>> {
    let parsed = buildfile::parse(source);
    let ignore = outside.ignore()?.filter(|ignore| !ignore.has_exceptions());
    let ignored = |path: &str| ignore.as_ref().is_some_and(|ignore| ignore.excludes(path.as_bytes()));
    let options = LowerOptions {
        build_args: build_args(&args.build_arg, world)?,
        target: args.target.clone(),
        platform: platforms(args.platform.as_slice(), world)?.pop(),
        ignored: Some(&ignored),
        ..LowerOptions::default()
    };
    Ok(lith::build::check(&parsed, &options, outside))
}

fn list(format: Format) -> anyhow::Result<ExitCode> {
    if format == Format::Text {
        let row = |rule: &&check::Rule| vec![rule.name.to_owned(), rule.description.to_owned()];
        print_table(&check::RULES.iter().map(row).collect::<Vec<_>>())?;
    } else {
        let row = |rule: &&check::Rule| json!({"name": rule.name, "description": rule.description, "url": rule.url});
        print_json(&check::RULES.iter().map(row).collect::<Vec<_>>().into())?;
    }
    Ok(ExitCode::SUCCESS)
}
