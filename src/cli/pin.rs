//! `lith pin`: what can be typed, and what is done. Files are [`files`]' matter, names and folders [`lookup`]'s.

mod building;
mod files;
mod lookup;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use lith::pin::{self, Change, FieldPath, Language, Mode, Pinned, Site, Target};
use lith::tree::pattern::Glob;

use super::World;
use super::error::{Hinted, tell};
use super::format::{Format, FormatArg, count, print};
use super::reach::Reach;
use files::Input;
use lookup::Lookup;

/// Pin the images that manifests, compose files and Dockerfiles name to digests
///
/// `image: app:1.2` becomes `image: app:1.2@sha256:…`, in place: all else in the file stays byte for byte. Found are `image`
/// fields anywhere in YAML (Kubernetes, compose, workflows' `container` and `uses: docker://…`), the `repository`, `tag` and
/// `digest` of a chart's values, the `images` of a kustomization, and in Dockerfiles FROM, `COPY --from` and `RUN --mount=from=`.
///
/// What floats and can't be pinned (a name with variables, a folder without --build) is left alone, told, and an error in the end.
///
/// The digest is the index's, where an image has several platforms. If a file is not valid, or an image is not there,
/// nothing at all is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith pin deploy/                               pin all files of a folder
  lith pin --check deploy/ compose.yaml          for CI: fail if something is not pinned; asks no registry
  lith pin --update k8s.yaml                     move the pins to what the tags are now
  helm template chart | lith pin - | kubectl apply -f -
  lith pin --build --repo r.example/team --push --stdout k8s.yaml
  lith pin --compose-override compose.pinned.yaml compose.yaml

Exit codes:
  0  all is pinned, but for what --except names
  1  something is not pinned, not valid or not there; without --check, what can be pinned is
  2  the command line is wrong
  4  --check --update: all is pinned, and tags have moved")]
pub(crate) struct Args {
    /// The files; a folder stands for its YAML files and Dockerfiles; `-` is stdin, which goes to stdout
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Fail if something is not pinned, and change nothing; with --update also if a tag has moved
    #[arg(long)]
    check: bool,

    /// Move what is pinned to what its tag stands for now
    #[arg(long)]
    update: bool,

    /// Build what is named by a folder (`./app`, `lith://app`), which is looked for beside the file
    #[arg(long, requires = "repo")]
    build: bool,

    /// What the names of built images begin with: the folder's name follows
    #[arg(long, value_name = "REGISTRY/NAME")]
    repo: Option<String>,

    /// Push what is built
    #[arg(long, requires = "build")]
    push: bool,

    /// A field that names an image, beside those that are known; may be repeated
    ///
    /// Keys with dots between them, `*` for any one, `**` for any number: `initImage`, `.spec.**.runner`.
    #[arg(long, value_name = "FIELD")]
    field: Vec<FieldPath>,

    /// Leave references alone that match this glob; may be repeated
    #[arg(long, value_name = "GLOB")]
    except: Vec<String>,

    /// What the files are written in [default: as their names say; stdin is YAML]
    #[arg(long = "type", value_name = "TYPE")]
    language: Option<Kind>,

    /// Write the pinned text of one file to stdout, and leave the file as it is
    #[arg(long, conflicts_with = "check")]
    stdout: bool,

    /// Write kbld's ImagesLock of all that is pinned, too
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    images_lock: Option<PathBuf>,

    /// Write the pins of compose files to an override file, and leave these files as they are
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    compose_override: Option<PathBuf>,

    #[command(flatten)]
    format: FormatArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// YAML, or JSON
    Yaml,
    /// The Dockerfile language
    Dockerfile,
}

/// A file with what becomes of it.
pub(super) struct Done {
    input: Input,
    pinned: Pinned,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let inputs = read(args)?;
    let mode = if args.update { Mode::Update } else { Mode::New };
    if args.check && !args.update {
        let done: Vec<Done> = inputs.into_iter().map(Input::unchanged).collect();
        return check(&done, args);
    }
    let reach = Reach::new(world);
    let lookup = Lookup::new(&reach, args)?;
    let files: Vec<&pin::File> = inputs.iter().map(|input| &input.file).collect();
    let answers = pin::ask(&files, mode, &lookup).map_err(|error| lookup::words(error, &inputs))?;
    let done: Vec<Done> = inputs
        .into_iter()
        .map(|input| Done { pinned: pin::pinned(&input.file, &answers, mode), input })
        .collect();
    if args.check { check(&done, args) } else { write(&done, args) }
}

fn read(args: &Args) -> anyhow::Result<Vec<Input>> {
    let language = args.language.map(|kind| match kind {
        Kind::Yaml => Language::Yaml,
        Kind::Dockerfile => Language::Buildfile,
    });
    let globs = args.except.iter().map(|glob| Glob::new(glob)).collect::<Result<Vec<_>, _>>();
    let globs = globs.map_err(|error| Hinted::usage(format!("--except: {error}")))?;
    let mut inputs =
        files::read(&args.files, language, &args.field, "say it with `--type yaml` or `--type dockerfile`")?;
    let excepted = |site: &Site| {
        let name = match &site.target {
            Target::Image(named) => named.tagged.as_str(),
            _ => &site.text,
        };
        globs.iter().any(|glob| glob.matches(site.text.as_bytes()) || glob.matches(name.as_bytes()))
    };
    for input in &mut inputs {
        input.file.sites.retain(|site| !excepted(site));
        input.file.sites.iter_mut().for_each(|site| input.place.root(&mut site.target));
    }
    let to_stdout = args.stdout || inputs.iter().any(|input| input.place.is_stdin());
    if to_stdout && !args.check {
        if inputs.len() != 1 {
            return Err(Hinted::usage("one file at a time can go to stdout").into());
        }
        if args.format.format == Format::Json {
            let error = Hinted::usage("stdout is taken by the file itself");
            return Err(error.hint("leave `--format json` out, or name a file").into());
        }
    }
    Ok(inputs)
}

/// The references of files, each with the file it is in.
pub(super) fn read_files(paths: &[PathBuf], fields: &[FieldPath]) -> anyhow::Result<Vec<(String, Site)>> {
    let mut sites = Vec::new();
    let unknown = "names say it: `*.yaml`, `*.yml`, `*.json`, `Dockerfile`; what goes to `-`, stdin, is YAML";
    for input in files::read(paths, None, fields, unknown)? {
        let place = input.place.shown();
        if let Some(line) = input.file.template {
            tell(&format!("{place}:{line}: it is a template: give what it is filled in to"));
        }
        sites.extend(input.file.sites.into_iter().map(|site| (place.clone(), site)));
    }
    Ok(sites)
}

fn write(done: &[Done], args: &Args) -> anyhow::Result<ExitCode> {
    let pairs: Vec<(&pin::File, &[Change])> =
        done.iter().map(|done| (&done.input.file, &done.pinned.changes[..])).collect();
    let mut beside = Vec::new();
    if let Some(path) = &args.images_lock {
        beside.push((path.as_path(), pin::images_lock(&pairs)));
    }
    if let Some(path) = &args.compose_override {
        beside.push((path.as_path(), pin::compose_override(&pairs)));
    }
    let is_left = |done: &Done| args.compose_override.is_some() && done.input.is_compose();
    let to_stdout = |done: &Done| args.stdout || done.input.place.is_stdin();
    let changed = |done: &&Done| !done.pinned.changes.is_empty() && !is_left(done) && !to_stdout(done);
    let mut writes: Vec<(&std::path::Path, &str)> = Vec::new();
    for done in done.iter().filter(changed) {
        writes.extend(done.input.place.path().map(|path| (path, done.pinned.text.as_str())));
    }
    writes.extend(beside.iter().map(|(path, text)| (*path, text.as_str())));
    files::write_all(&writes)?;
    report::left(done);
    match done {
        [done] if to_stdout(done) => {
            report::changes_aside(done);
            print(&done.pinned.text)?;
        }
        _ => report::changes(done, args.format.format)?,
    }
    match report::findings(done, true).len() {
        0 => Ok(ExitCode::SUCCESS),
        left => Err(unpinned(left).hint(EXCEPT).into()),
    }
}

const EXCEPT: &str = "`--except GLOB` leaves out what can't be pinned";

fn unpinned(number: usize) -> Hinted {
    Hinted::new(format!("{} not pinned", count(number, "reference")))
}

fn check(done: &[Done], args: &Args) -> anyhow::Result<ExitCode> {
    report::left(done);
    let found = report::findings(done, false);
    report::show(&found, args.format.format)?;
    let floating = found.iter().filter(|found| found.now.is_none()).count();
    match (floating, found.len()) {
        (0, 0) => Ok(ExitCode::SUCCESS),
        (0, moved) => {
            let error =
                Hinted::different(format!("{} not to what their tags are now", count(moved, "reference")));
            Err(error.hint("`lith pin --update` moves them").into())
        }
        _ => Err(unpinned(floating).hint(format!("`lith pin` pins them; {EXCEPT}")).into()),
    }
}
