//! What the arguments of `lith build` mean: values of the library, from what was typed and the environment.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::sync::Arc;

use lith::build::{BuildFileChoice, Contexts, Request, git_environment};
use lith::compression::Compression;
use lith::context::git::commit_time;
use lith::context::{ContextSpec, Modes};
use lith::exec::run::RunOptions;
use lith::oci::{Epoch, Platform, Reference};
use lith::transport::registry::Registries;

use super::{Args, Shape};
use crate::cli::World;
use crate::cli::error::Hinted;
use crate::cli::outputs::{Sending, outputs};
use crate::cli::place::parse_name;

/// What the arguments mean.
pub(super) struct Wanted {
    pub(super) contexts: Contexts,
    pub(super) file: BuildFileChoice,
    pub(super) request: Request,
    /// All that the image will be called.
    pub(super) names: Vec<Reference>,
    pub(super) outputs: Vec<Sending>,
    pub(super) registries: Arc<Registries>,
}

impl Wanted {
    pub(super) fn read(args: &Args, world: &World) -> anyhow::Result<Self> {
        let main = ContextSpec::parse(&args.context).map_err(Hinted::usage)?;
        refuse_useless(&main)?;
        let file = build_file(args.file.as_deref());
        let tags = args.tag.iter().map(|tag| parse_name(tag)).collect::<Result<Vec<_>, _>>()?;
        let outputs = outputs(args, &tags, world)?;
        let (annotations, index_annotations) = annotations(args, &outputs)?;
        let request = Request {
            build_args: build_args(&args.build_arg, world)?,
            target: args.target.clone(),
            platforms: platforms(&args.platform, world)?,
            labels: pairs(&args.label, "--label")?.into_iter().collect(),
            annotations,
            index_annotations,
            modes: modes(&args.shape)?,
            epoch: epoch(&args.shape, &main, world)?,
            compression: compression(args, &outputs)?,
            threads: world.threads(),
            cache: !args.no_cache,
            trees: outputs.iter().any(Sending::wants_tree),
            pushed_only: !outputs.is_empty() && outputs.iter().all(Sending::is_pushed_only),
            run: RunOptions { no_network: args.locking.offline, ..args.steps.read(world)? },
            explain: args.explain,
            materials: args.record.is_some(),
        };
        if args.locking.offline && outputs.iter().any(Sending::is_push) {
            return Err(Hinted::usage("`--offline` refuses the network, which a push needs").into());
        }
        let registries = Arc::new(world.registries()?);
        let contexts = Contexts {
            main: Some(main),
            named: build_contexts(&args.build_context)?,
            registries: (!args.locking.offline).then(|| Arc::clone(&registries)),
            pull: args.pull,
            offline: args.locking.offline,
            policy: args.locking.policy()?,
            helpers: world.environment.for_helpers(),
            http: world.http()?,
        };
        let mut names = tags;
        for name in outputs.iter().flat_map(Sending::names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        Ok(Self { contexts, file, request, names, outputs, registries })
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

/// `--file`
pub(in crate::cli) fn build_file(path: Option<&Path>) -> BuildFileChoice {
    match path {
        Some(path) if path.as_os_str() == "-" => BuildFileChoice::Stdin,
        Some(path) => BuildFileChoice::Path(path.to_owned()),
        None => BuildFileChoice::LookUp,
    }
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
pub(in crate::cli) fn build_args(
    texts: &[String],
    world: &World,
) -> anyhow::Result<BTreeMap<String, String>> {
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

pub(in crate::cli) fn platforms(given: &[String], world: &World) -> anyhow::Result<Vec<Platform>> {
    let from_environment: Vec<String> =
        world.environment.get("DOCKER_DEFAULT_PLATFORM").map(Into::into).into_iter().collect();
    let texts = if given.is_empty() { &from_environment } else { given };
    let mut platforms: Vec<Platform> = Vec::new();
    for text in texts {
        let platform = text.trim().parse().map_err(Hinted::usage)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

pub(in crate::cli) fn build_contexts(texts: &[String]) -> anyhow::Result<BTreeMap<String, ContextSpec>> {
    let mut contexts = BTreeMap::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Hinted::usage(format!("`--build-context {text}`: expected NAME=VALUE")).into());
        };
        let spec = ContextSpec::parse(value).map_err(Hinted::usage)?;
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

/// What of a request shapes the layers of steps, beside the Buildfile.
pub(in crate::cli) fn shaped(shape: &Shape, main: &ContextSpec, world: &World) -> anyhow::Result<Request> {
    let compression = shape.compression.as_deref().map(said_compression).transpose()?;
    Ok(Request {
        modes: modes(shape)?,
        epoch: epoch(shape, main, world)?,
        compression: compression.unwrap_or_default(),
        ..Request::default()
    })
}

fn modes(shape: &Shape) -> anyhow::Result<Option<Modes>> {
    Ok(shape.context_modes.as_deref().map(str::parse).transpose().map_err(Hinted::usage)?)
}

fn epoch(shape: &Shape, main: &ContextSpec, world: &World) -> anyhow::Result<Option<Epoch>> {
    match shape.source_date_epoch.as_deref() {
        Some("git") => {
            let ContextSpec::Folder(folder) = main else {
                return Err(Hinted::usage("`--source-date-epoch git` needs a folder as the context").into());
            };
            let environment = git_environment(&world.environment.for_helpers(), world.environment.temp());
            let seconds = commit_time(folder, &environment)?;
            Ok(Epoch::from_seconds(seconds))
        }
        Some(text) => read_epoch(text, "--source-date-epoch").map(Some),
        None => epoch_said(world),
    }
}

/// `SOURCE_DATE_EPOCH`
pub(in crate::cli) fn epoch_said(world: &World) -> anyhow::Result<Option<Epoch>> {
    let said = world.environment.get("SOURCE_DATE_EPOCH");
    said.map(|text| read_epoch(text, "SOURCE_DATE_EPOCH")).transpose()
}

fn read_epoch(text: &str, name: &str) -> anyhow::Result<Epoch> {
    Ok(text.parse().map_err(|why| Hinted::usage(format!("{name}: {why}")))?)
}

fn said_compression(text: &str) -> anyhow::Result<Compression> {
    Ok(text.parse().map_err(|why| Hinted::usage(format!("`--compression {text}`: {why}")))?)
}

/// `--compression`, or what the outputs say, if they agree.
fn compression(args: &Args, outputs: &[Sending]) -> anyhow::Result<Compression> {
    if let Some(text) = &args.shape.compression {
        return said_compression(text);
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
