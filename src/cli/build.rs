//! `lith build`

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use lith::build::{self, BuildError, BuildFileChoice, Contexts, Outside, Request, git_environment};
use lith::buildfile::Diagnostic;
use lith::compression::Compression;
use lith::context::ContextSpec;
use lith::context::git::commit_time;
use lith::image::Artifact;
use lith::oci::{Epoch, Platform, Reference};
use serde_json::json;

use super::World;
use super::docker::Docker;
use super::error::{Hinted, Shown};
use super::format::print;
use super::outputs::{Sending, outputs};
use super::progress::{Mode, Progress};

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
    /// Types: `oci` (a layout folder, or with `tar=true` one file), `oci-archive`, `docker-archive`, `docker` (an
    /// archive for `docker load`; without `dest` it is loaded), `image` (the store; `name=NAME`), `local` (the root
    /// file system as a folder), `tar` (the root file system as a tar).
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

    /// The platform: one makes an image, several (`linux/amd64,linux/arm64`) an index [default: linux/amd64]
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
  -o type=local,dest=DIR          the root file system as a folder (also: -o DIR)
  -o type=tar,dest=FILE           the root file system as a tar (also: -o - for stdout)
  `dest=-` writes archives to stdout; the digest then goes to stderr.

Examples:
  lith build -t app:1.0 .
  lith build -f deploy/Buildfile --target server --build-arg VERSION=1.2 -o type=oci,dest=out .
  lith build --build-context base=oci-layout://base-image --platform linux/amd64,linux/arm64 -t app .
  git archive HEAD | lith build -q -";

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    if args.docker.check() {
        return super::check::run(&super::check::Args::of_build(args), world);
    }
    let progress = Progress::new(if args.quiet { Mode::Quiet } else { args.progress });
    build(args, world, &progress).map_err(|error| progress.error(error))?;
    Ok(ExitCode::SUCCESS)
}

fn build(args: &Args, world: &World, progress: &Progress) -> anyhow::Result<()> {
    let wanted = Wanted::read(args, world)?;
    args.docker.tell(progress)?;
    let store = world.open_store()?;
    let outside = Outside::new(&store, wanted.contexts);
    let source = outside.source(&wanted.file)?;
    let colour = world.colour();
    let show = |diagnostics: &[Diagnostic]| progress.diagnostics(&source, diagnostics, colour);
    let built = match build::build(&source, &wanted.request, &outside, &store, progress, &show) {
        Err(BuildError::Buildfile(mut diagnostics)) => {
            diagnostics.iter_mut().for_each(advise);
            show(&diagnostics);
            return Err(Shown::diagnostics().into());
        }
        built => built?,
    };
    for output in &wanted.outputs {
        output.write(&built, &store, progress)?;
    }
    let digest = built.artifact.digest();
    if let Some(path) = &args.iidfile {
        write_file(path, digest.to_string().as_bytes())?;
    }
    if let Some(path) = &args.metadata_file {
        write_file(path, metadata(&built.artifact, &wanted.tags).as_bytes())?;
    }
    let stdout_is_taken = wanted.outputs.iter().any(Sending::is_stdout);
    progress.built(&digest, stdout_is_taken);
    if stdout_is_taken { Ok(()) } else { print(&format!("{digest}\n")) }
}

/// Adds to an error of the Buildfile which option helps.
pub(super) fn advise(diagnostic: &mut Diagnostic) {
    if diagnostic.code == "resolve" && diagnostic.message.starts_with("no image ") {
        diagnostic.help.get_or_insert_with(|| super::facts::NO_REGISTRY.into());
    }
}

/// What the arguments mean.
struct Wanted {
    contexts: Contexts,
    file: BuildFileChoice,
    request: Request,
    tags: Vec<Reference>,
    outputs: Vec<Sending>,
}

impl Wanted {
    fn read(args: &Args, world: &World) -> anyhow::Result<Self> {
        let main = ContextSpec::parse(&args.context).map_err(usage)?;
        refuse_useless(&main)?;
        let file = match &args.file {
            Some(path) if path.as_os_str() == "-" => BuildFileChoice::Stdin,
            Some(path) => BuildFileChoice::Path(path.clone()),
            None => BuildFileChoice::LookUp,
        };
        let tags =
            args.tag.iter().map(|tag| super::images::parse_name(tag)).collect::<Result<Vec<_>, _>>()?;
        let outputs = outputs(args, &tags, world)?;
        let (annotations, index_annotations) = annotations(args, &outputs)?;
        let request = Request {
            build_args: build_args(&args.build_arg, world)?,
            target: args.target.clone(),
            platforms: platforms(&args.platform, world)?,
            labels: pairs(&args.label, "--label")?.into_iter().collect(),
            annotations,
            index_annotations,
            modes: args.shape.context_modes.as_deref().map(str::parse).transpose().map_err(usage)?,
            epoch: epoch(args, &main, world)?,
            compression: compression(args, &outputs)?,
            threads: world.threads(),
            cache: !args.no_cache,
            trees: outputs.iter().any(Sending::wants_tree),
        };
        let contexts = Contexts {
            main: Some(main),
            named: build_contexts(&args.build_context)?,
            helpers: world.environment.for_helpers(),
            http: world.environment.http(),
        };
        Ok(Self { contexts, file, request, tags, outputs })
    }
}

/// What is no context, or would wait for somebody to type one.
fn refuse_useless(main: &ContextSpec) -> anyhow::Result<()> {
    match main {
        ContextSpec::Archive(path) if is_text(path) => {
            let error = Hinted::usage(format!(
                "the context `{}` is a file, and no archive; expected a folder, an archive, a URL or `-`",
                path.display()
            ));
            Err(error.hint(format!("a Buildfile is named with `-f {}`", path.display())).into())
        }
        ContextSpec::Stdin if std::io::stdin().is_terminal() => {
            let error = Hinted::usage("the context is to come from stdin, which is a terminal");
            Err(error.hint("pipe an archive or a Buildfile to it: `lith build - <FILE`").into())
        }
        _ => Ok(()),
    }
}

/// Whether it is a file that begins with text, as no archive does.
fn is_text(path: &Path) -> bool {
    let mut start = Vec::new();
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let read = |file: std::fs::File| file.take(512).read_to_end(&mut start);
    is_file
        && std::fs::File::open(path).and_then(read).is_ok()
        && !start.is_empty()
        && !start.contains(&0)
        && std::str::from_utf8(&start).map_or_else(|error| error.error_len().is_none(), |_| true)
}

fn usage(error: impl std::fmt::Display) -> Hinted {
    Hinted::usage(error.to_string())
}

/// `KEY=VALUE`s.
fn pairs(texts: &[String], flag: &str) -> anyhow::Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        // docker takes a label without a value.
        None if flag == "--label" && !text.is_empty() => Ok((text.clone(), String::new())),
        _ => Err(Hinted::usage(format!("`{flag} {text}`: expected KEY=VALUE")).into()),
    };
    texts.iter().map(pair).collect()
}

/// `NAME=VALUE`, or `NAME` for what the environment has. One that the environment has not is left unset.
pub(super) fn build_args(texts: &[String], world: &World) -> anyhow::Result<BTreeMap<String, String>> {
    let mut args = BTreeMap::new();
    for text in texts {
        match text.split_once('=') {
            Some(("", _)) => {
                return Err(Hinted::usage(format!("`--build-arg {text}`: expected NAME=VALUE")).into());
            }
            Some((name, value)) => drop(args.insert(name.to_owned(), value.to_owned())),
            None => {
                if let Some(value) = world.environment.get(text) {
                    args.insert(text.clone(), value.to_owned());
                }
            }
        }
    }
    Ok(args)
}

pub(super) fn platforms(given: &[String], world: &World) -> anyhow::Result<Vec<Platform>> {
    let from_environment: Vec<String> =
        world.environment.get("DOCKER_DEFAULT_PLATFORM").map(Into::into).into_iter().collect();
    let texts = if given.is_empty() { &from_environment } else { given };
    let mut platforms: Vec<Platform> = Vec::new();
    for text in texts {
        let platform = text.trim().parse().map_err(usage)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

pub(super) fn build_contexts(texts: &[String]) -> anyhow::Result<BTreeMap<String, ContextSpec>> {
    let mut contexts = BTreeMap::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Hinted::usage(format!("`--build-context {text}`: expected NAME=VALUE")).into());
        };
        let spec = ContextSpec::parse(value).map_err(usage)?;
        contexts.insert(name.to_owned(), spec);
    }
    Ok(contexts)
}

fn annotations(
    args: &Args,
    outputs: &[Sending],
) -> anyhow::Result<(BTreeMap<String, String>, BTreeMap<String, String>)> {
    let (mut manifest, mut index) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in pairs(&args.annotation, "--annotation")? {
        // `manifest,index:KEY=VALUE`; a key may hold a colon itself.
        let (levels, key) = match key.split_once(':') {
            Some((levels, key)) if levels.split(',').all(|level| matches!(level, "manifest" | "index")) => {
                (levels.to_owned(), key.to_owned())
            }
            Some((level, _)) if matches!(level, "manifest-descriptor" | "index-descriptor") => {
                let error =
                    Hinted::usage(format!("`--annotation {level}:…`: lith annotates manifests and indexes"));
                return Err(error.hint("use `manifest:` or `index:`").into());
            }
            _ => ("manifest".to_owned(), key),
        };
        for level in levels.split(',') {
            let map = if level == "index" { &mut index } else { &mut manifest };
            map.insert(key.clone(), value.clone());
        }
    }
    manifest.extend(outputs.iter().flat_map(Sending::annotations).cloned());
    Ok((manifest, index))
}

fn epoch(args: &Args, main: &ContextSpec, world: &World) -> anyhow::Result<Option<Epoch>> {
    let read = |text: &str, name: &str| -> anyhow::Result<Option<Epoch>> {
        Ok(Some(text.parse().map_err(|why| Hinted::usage(format!("{name}: {why}")))?))
    };
    match (args.shape.source_date_epoch.as_deref(), world.environment.get("SOURCE_DATE_EPOCH")) {
        (Some("git"), _) => {
            let ContextSpec::Folder(folder) = main else {
                return Err(Hinted::usage("`--source-date-epoch git` needs a folder as the context").into());
            };
            let environment = git_environment(&world.environment.for_helpers(), std::env::temp_dir());
            let seconds = commit_time(folder, &environment)?;
            Ok(Epoch::from_seconds(seconds))
        }
        (Some(text), _) => read(text, "--source-date-epoch"),
        (None, Some(text)) => read(text, "SOURCE_DATE_EPOCH"),
        (None, None) => Ok(None),
    }
}

/// `--compression`, or what the outputs say, if they agree.
fn compression(args: &Args, outputs: &[Sending]) -> anyhow::Result<Compression> {
    if let Some(text) = &args.shape.compression {
        return Ok(text.parse().map_err(usage)?);
    }
    let mut said: Vec<Compression> = outputs.iter().filter_map(Sending::compression).collect();
    said.dedup();
    match said[..] {
        [] => Ok(Compression::default()),
        [one] => Ok(one),
        _ => {
            Err(Hinted::usage("the outputs ask for different compressions, which would be different images")
                .into())
        }
    }
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
