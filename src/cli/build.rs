//! `lith build`: what can be typed, and what is done. What the arguments mean is in [`wanted`].

pub(super) mod locking;
pub(super) mod steps;
mod wanted;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgAction;
use lith::attest::provenance;
use lith::build::{self, BuildError, Built, Outside};
use lith::buildfile::Diagnostic;
use lith::exec::{Event, Report as _};
use lith::image::Artifact;
use lith::oci::{Digest, Reference};
use serde_json::json;

use super::World;
use super::docker::Docker;
use super::error::{Hinted, Shown};
use super::format::print;
use super::outputs::{Sending, Way};
use super::progress::{Mode, Progress};
use super::pushing::Pushing;
use locking::Locking;
use steps::Steps;
use wanted::Wanted;

pub(super) use steps::{allow, secrets};
pub(super) use wanted::{build_args, build_contexts, build_file, epoch_said, platforms, shaped};

/// Build an image from a Buildfile and a context
///
/// Reads the Buildfile (the Dockerfile language), copies what it names from the context, and writes an image. The
/// image's digest is printed on stdout; it depends on the Buildfile, the context, the build arguments and the
/// options that shape the image, and on nothing else.
///
/// The image goes into lith's store with `-t`, or with `--push` to the registry instead, and to each `-o`. A base comes
/// from a named context, from the store, or from its registry, in this order.
#[derive(Debug, clap::Args)]
#[command(after_long_help = OUTPUTS)]
pub(crate) struct Args {
    /// The build context: a folder, an archive, a git URL (`URL#ref:subdir`), an http(s) URL, or `-`
    ///
    /// `-` reads a tar archive, or a Buildfile, from stdin.
    #[arg(value_name = "CONTEXT", default_value = ".")]
    pub(super) context: String,

    /// The Buildfile; `-` for stdin [default: Buildfile, Dockerfile or Containerfile in the context]
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,

    /// Name the image, in the store or with `--push` in its registry: `NAME[:TAG]`; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(super) tag: Vec<String>,

    /// Where the image goes: `type=TYPE,dest=PATH`; may be repeated
    ///
    /// Types: `oci` (a layout folder, or with `tar=true` one file), `oci-archive`, `docker-archive`, `docker` (an
    /// archive for `docker load`; without `dest` it is loaded), `image` (the store; `name=NAME`, `push=true`),
    /// `registry` (a push; `name=REGISTRY/NAME`), `local` (the root file system as a folder), `tar` (the root file system
    /// as a tar).
    #[arg(short, long, value_name = "OUTPUT")]
    pub(super) output: Vec<String>,

    /// Print the digest alone: no progress
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Set a build argument: `NAME=VALUE`, or `NAME` to take its value from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(super) build_arg: Vec<String>,

    /// Build this stage instead of the last one
    #[arg(long, value_name = "STAGE")]
    pub(super) target: Option<String>,

    /// The platform: one makes an image, several (`linux/amd64,linux/arm64`) an index
    /// [default: DOCKER_DEFAULT_PLATFORM or linux/amd64]
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub(super) platform: Vec<String>,

    /// Set a label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) label: Vec<String>,

    /// Set an annotation of the manifest; `index:KEY=VALUE` for the index's
    #[arg(long, value_name = "[TYPE:]KEY=VALUE")]
    pub(super) annotation: Vec<String>,

    /// Another context or base: `NAME=FOLDER`, `NAME=oci-layout://DIR[:TAG]`, `NAME=oci-archive://FILE`, …
    ///
    /// It replaces the image or stage NAME wherever the Buildfile uses that. Values: a folder, `oci-layout://DIR[:TAG]`
    /// (or `@DIGEST`; also: `oci:DIR[:TAG]`), `oci-archive://FILE`, `docker-archive://FILE`, `docker-image://NAME` (of
    /// the store or a registry), a git or http(s) URL.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) build_context: Vec<String>,

    /// Make every layer anew
    #[arg(long)]
    pub(super) no_cache: bool,

    /// Tell why each step was built anew: what of its inputs is not as in the build before (also: `lith why`)
    #[arg(long)]
    pub(super) explain: bool,

    /// Write a record of the build to a file, for `lith verify`: an in-toto statement with SLSA provenance
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,

    /// Write the image's digest to a file
    #[arg(long, value_name = "FILE")]
    pub(super) iidfile: Option<PathBuf>,

    /// Write the build's results to a file, as JSON with docker buildx's keys
    #[arg(long, value_name = "FILE")]
    pub(super) metadata_file: Option<PathBuf>,

    /// How progress is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(super) progress: Mode,

    /// Load the image into docker or podman (whichever is there) as well
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(action = ArgAction::Set, default_value_t = false, hide_default_value = true, hide_possible_values = true)]
    pub(super) load: bool,

    /// Push the image to the registry that each of its names says; it is then not named in the store
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(action = ArgAction::Set, default_value_t = false, hide_default_value = true, hide_possible_values = true)]
    pub(super) push: bool,

    /// Let a push move tags that stand for another digest
    #[arg(long)]
    pub(super) move_tag: bool,

    /// Ask registries what the tags of bases stand for, even where the store knows them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(action = ArgAction::Set, default_value_t = false, hide_default_value = true, hide_possible_values = true)]
    pub(super) pull: bool,

    #[command(flatten)]
    pub(super) shape: Shape,

    #[command(flatten)]
    pub(super) locking: Locking,

    #[command(flatten)]
    pub(super) steps: Steps,

    #[command(flatten)]
    pub(super) docker: Docker,
}

/// What shapes the image beside the Buildfile: part of the digest's inputs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options that shape the image")]
pub(crate) struct Shape {
    /// The layers' compression: `gzip`, `zstd` or `none`, with a level if wanted (`zstd:9`) [default: gzip:2]
    #[arg(long, value_name = "KIND[:LEVEL]")]
    pub(super) compression: Option<String>,

    /// The one time in the image: seconds since 1970, or `git` for the context's last commit
    /// [default: SOURCE_DATE_EPOCH or 0]
    #[arg(long, value_name = "SECONDS|git")]
    pub(super) source_date_epoch: Option<String>,

    /// Which attributes of the context's files count: `git` (whether the owner may execute), or `keep` (all mode
    /// bits, extended attributes, hard links) [default: `# modes=` in the Buildfile, or git]
    #[arg(long, value_name = "HOW")]
    pub(super) context_modes: Option<String>,
}

const OUTPUTS: &str = "\
Outputs:
  -o type=oci,dest=DIR            an OCI image layout in a folder (`name=NAME[:TAG]` names it there)
  -o type=oci-archive,dest=FILE   the same as one tar file
  -o type=docker,dest=FILE        an archive for `docker load` and `podman load`
  -o type=registry,name=NAME      to the registry that NAME says (`--push` takes the names of `-t`)
  -o type=image,name=NAME         into the store; with `push=true` to the registry as well
  -o type=local,dest=DIR          the root file system as a folder (also: -o DIR)
  -o type=tar,dest=FILE           the root file system as a tar (also: -o - for stdout)
  -o type=cacheonly               nowhere: the steps are in the cache
  `dest=-` writes archives to stdout; the digest then goes to stderr.

Examples:
  lith build -t app:1.0 .
  lith build -t registry.example/app:1.0 --push .
  lith build -f deploy/Buildfile --target server --build-arg VERSION=1.2 -o type=oci,dest=out .
  lith build --build-context base=oci-layout://base-image --platform linux/amd64,linux/arm64 -t app .
  git archive HEAD | lith build -q -";

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    if args.docker.check() {
        return super::check::run(&super::check::Args::of_build(args), world);
    }
    let progress = Progress::new(if args.quiet { Mode::Quiet } else { args.progress });
    let (digest, stdout_is_taken) = build(args, world, &progress).map_err(|error| progress.error(error))?;
    if !stdout_is_taken {
        print(&format!("{digest}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives the digest, and whether an output has gone to stdout.
fn build(args: &Args, world: &World, progress: &Progress) -> anyhow::Result<(Digest, bool)> {
    let mut wanted = Wanted::read(args, world)?;
    args.docker.tell(progress)?;
    if !wanted.request.index_annotations.is_empty() && wanted.request.platforms.len() < 2 {
        let text = "annotations of the index have no effect: an image for one platform has no index";
        progress.report(Event::Warning { text });
    }
    let store = world.open_store()?;
    wanted.request.run.sandbox = Some(world.sandbox(&store));
    let mut outside = Outside::new(&store, wanted.contexts);
    let source = outside.source(&wanted.file)?;
    args.locking.give(&mut outside, &source)?;
    if args.record.is_some() {
        outside.note_resolved();
    }
    let show = |diagnostics: &[Diagnostic]| progress.diagnostics(&source, diagnostics);
    let built = build::build(&source, &wanted.request, &mut outside, &store, progress, &show);
    let built = built.map_err(|error| told(error, &outside, &show))?;
    if built.differing > 0 {
        let steps = super::format::count(built.differing, "step");
        let error = Hinted::different(format!("{steps} changed other things when run once more"));
        return Err(error.hint("docs/run.md tells the usual causes; `--clock epoch` stops the clock").into());
    }
    let pushing = Pushing { registries: &wanted.registries, world, move_tag: args.move_tag, store: &store };
    let way = Way { blobs: &outside.blobs()?, pushing };
    for output in &wanted.outputs {
        output.write(&built, &way, progress)?;
    }
    let digest = built.artifact.digest();
    if let Some(path) = &args.iidfile {
        write_file(path, digest.to_string().as_bytes())?;
    }
    if let Some(path) = &args.metadata_file {
        write_file(path, metadata(&built, &wanted.names).as_bytes())?;
    }
    if let Some(path) = &args.record {
        let names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
        let record = build::provenance(&source, &wanted.request, &outside, &built, &names)?;
        write_file(path, &provenance::text(&record))?;
    }
    let stdout_is_taken = wanted.outputs.iter().any(Sending::is_stdout);
    progress.built(&digest, stdout_is_taken);
    Ok((digest, stdout_is_taken))
}

/// Shows those of a failure's facts that are about the Buildfile; all else is for the one place that reports errors.
pub(super) fn told(error: BuildError, outside: &Outside, show: &dyn Fn(&[Diagnostic])) -> anyhow::Error {
    let diagnostics = error.diagnostics(outside);
    let error = anyhow::Error::from(error);
    // A damaged store has its own exit code, and is no matter of the Buildfile.
    let Some(mut diagnostics) = diagnostics.filter(|_| !super::facts::is_damage(&error)) else {
        return error;
    };
    diagnostics.iter_mut().for_each(advise);
    show(&diagnostics);
    Shown::diagnostics().into()
}

/// Adds to an error of the Buildfile which option helps.
fn advise(diagnostic: &mut Diagnostic) {
    // What a message is about is its first literal.
    let named = diagnostic.message.split('`').nth(1);
    let help = named.and_then(|name| super::facts::of_name(diagnostic.code, name));
    if let Some(help) = help.or_else(|| super::facts::of_code(diagnostic.code).map(Into::into)) {
        diagnostic.help.get_or_insert_with(|| help.into());
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))
}

/// buildx's keys, and what steps had of the world outside: its clock, a network.
fn metadata(built: &Built, tags: &[Reference]) -> String {
    let artifact = &built.artifact;
    let mut value = json!({
        "containerimage.digest": artifact.digest(),
        "containerimage.descriptor": artifact.descriptor(),
        "lith.clock": built.clock.to_string(),
        "lith.hermetic": built.hermetic,
    });
    if let Artifact::Image(image) = artifact {
        value["containerimage.config.digest"] = json!(image.config.digest());
    }
    if !tags.is_empty() {
        let names: Vec<String> = tags.iter().map(ToString::to_string).collect();
        value["image.name"] = names.join(",").into();
    }
    format!("{value:#}\n")
}
