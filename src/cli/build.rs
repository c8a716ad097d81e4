//! `lith build`: what can be typed, and what is done. What the arguments mean is in [`wanted`].

mod wanted;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use lith::build::{self, Outside};
use lith::buildfile::{Diagnostic, render};
use lith::exec::{Event, Report};
use lith::image::Artifact;
use lith::oci::Reference;
use serde_json::json;

use super::World;
use super::error::{Hinted, Shown};
use super::format::print;
use super::progress::{Mode, Progress};
use wanted::Wanted;

pub(super) use wanted::{build_args, build_contexts, build_file, platforms};

/// Build an image from a Buildfile and a context
///
/// Reads the Buildfile (the Dockerfile language), copies what it names from the context, and writes an image. The
/// image's digest is printed on stdout; it depends on the Buildfile, the context, the build arguments and the
/// options that shape the image, and on nothing else.
///
/// The image goes into lith's store with `-t`, and to each `-o`.
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

    /// Name the image in the store: `NAME[:TAG]`; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(super) tag: Vec<String>,

    /// Where the image goes: `type=TYPE,dest=PATH`; may be repeated
    ///
    /// Types: `oci` (a layout folder), `oci-archive`, `docker` (an archive for `docker load`), `local` (the root file
    /// system as a folder), `tar` (the root file system as a tar).
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
    /// (or `@DIGEST`), `oci-archive://FILE`, `docker-archive://FILE`, `docker-image://NAME` (of the store), a git or
    /// http(s) URL.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) build_context: Vec<String>,

    /// Make every layer anew
    #[arg(long)]
    pub(super) no_cache: bool,

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
    #[arg(long)]
    pub(super) load: bool,

    #[command(flatten)]
    pub(super) shape: Shape,

    #[command(flatten)]
    pub(super) later: Later,
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

/// docker's flags for parts that this version of lith does not have: taken, so that command lines carry over, and
/// said where leaving them out would matter.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "docker's options without effect in this version")]
pub(crate) struct Later {
    /// A secret for RUN steps, which this version cannot execute
    #[arg(long, value_name = "SECRET")]
    pub(super) secret: Vec<String>,

    /// An SSH agent for RUN steps, which this version cannot execute
    #[arg(long, value_name = "SSH")]
    pub(super) ssh: Vec<String>,

    /// Size of /dev/shm for RUN steps, which this version cannot execute
    #[arg(long, value_name = "BYTES")]
    pub(super) shm_size: Option<String>,

    /// Limits for RUN steps, which this version cannot execute
    #[arg(long, value_name = "ULIMIT")]
    pub(super) ulimit: Vec<String>,

    /// Hosts for RUN steps, which this version cannot execute
    #[arg(long, value_name = "HOST:IP")]
    pub(super) add_host: Vec<String>,

    /// Network for RUN steps, which this version cannot execute
    #[arg(long, value_name = "MODE")]
    pub(super) network: Option<String>,

    /// Ask the registry for newer bases: this version has no registry client
    #[arg(long)]
    pub(super) pull: bool,

    /// Push to a registry: this version has no registry client, and refuses
    #[arg(long)]
    pub(super) push: bool,
}

const OUTPUTS: &str = "\
Outputs:
  -o type=oci,dest=DIR            an OCI image layout in a folder (`name=NAME[:TAG]` names it there)
  -o type=oci-archive,dest=FILE   the same as one tar file
  -o type=docker,dest=FILE        an archive for `docker load` and `podman load`
  -o type=local,dest=DIR          the root file system as a folder (also: -o DIR)
  -o type=tar,dest=FILE           the root file system as a tar (also: -o - for stdout)
  `dest=-` writes archives to stdout; the digest then goes to stderr.

Examples:
  lith build -t app:1.0 .
  lith build -f deploy/Buildfile --target server --build-arg VERSION=1.2 -o type=oci,dest=out .
  lith build --build-context base=oci-layout://base-image --platform linux/amd64,linux/arm64 -t app .
  git archive HEAD | lith build -q -";

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let wanted = Wanted::read(args, world)?;
    let progress = Progress::new(if args.quiet { Mode::Quiet } else { args.progress });
    args.later.tell(&progress)?;
    let store = world.open_store()?;
    let outside = Outside::new(&store, wanted.contexts);
    let source = outside.source(&wanted.file)?;
    // Where colours aren't wanted, printing takes them away.
    let show = |diagnostics: &[Diagnostic]| progress.show(&render::render(&source, diagnostics, true));
    let built = build::build(&source, &wanted.request, &outside, &store, &progress, &show);
    let built = match built {
        Err(error) => match error.diagnostics(&outside) {
            Some(diagnostics) => {
                show(&diagnostics);
                return Err(Shown { hint: hint(&diagnostics) }.into());
            }
            None => return Err(error.into()),
        },
        Ok(built) => built,
    };
    for output in &wanted.outputs {
        output.write(&built, &store, &progress)?;
    }
    let digest = built.artifact.digest();
    if let Some(path) = &args.iidfile {
        write_file(path, digest.to_string().as_bytes())?;
    }
    if let Some(path) = &args.metadata_file {
        write_file(path, metadata(&built.artifact, &wanted.tags).as_bytes())?;
    }
    if wanted.outputs.iter().any(|output| output.is_stdout()) {
        progress.show(&digest.to_string());
    } else {
        print(&format!("{digest}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What helps where the Buildfile alone does not say it.
fn hint(diagnostics: &[Diagnostic]) -> Option<&'static str> {
    diagnostics.iter().any(|diagnostic| diagnostic.code == "resolve").then_some(
        "an image comes from the store (`lith copy oci:DIR NAME`) or from `--build-context NAME=oci-layout://DIR`",
    )
}

fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))
}

/// buildx's keys.
fn metadata(artifact: &Artifact, tags: &[Reference]) -> String {
    let mut value = json!({
        "containerimage.digest": artifact.digest(),
        "containerimage.descriptor": artifact.descriptor(),
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

impl Later {
    /// Says which options are taken without effect, and refuses what must not seem done.
    fn tell(&self, report: &dyn Report) -> anyhow::Result<()> {
        if self.push {
            let error = Hinted::usage("`--push`: this version of lith has no registry client");
            return Err(error.hint("write a layout with `-o type=oci,dest=DIR` and push that: `skopeo copy oci:DIR docker://NAME`").into());
        }
        let given = [
            ("--secret", !self.secret.is_empty()),
            ("--ssh", !self.ssh.is_empty()),
            ("--shm-size", self.shm_size.is_some()),
            ("--ulimit", !self.ulimit.is_empty()),
            ("--add-host", !self.add_host.is_empty()),
            ("--network", self.network.is_some()),
        ];
        for (flag, _) in given.iter().filter(|(_, given)| *given) {
            let text = format!("`{flag}` has no effect: this version of lith cannot run steps");
            report.report(Event::Warning { text: &text });
        }
        if self.pull {
            let text = "`--pull` has no effect: this version of lith has no registry client";
            report.report(Event::Warning { text });
        }
        Ok(())
    }
}
