//! Sending what was built where `-t`, `-o`, `--load` and `--push` say.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use lith::build::{Built, BuiltBlobs};
use lith::compression::Compression;
use lith::exec::{Event, Report};
use lith::oci::Reference;
use lith::transport::{
    Daemon, Destination, DockerArchiveSink, LayoutSink, Name, OciArchiveSink, Output, OutputKind, Sink as _,
    Split, StoreSink, folder_name, joined, write_folder, write_tar,
};

use super::build::Args;
use super::error::Hinted;
use super::place::check_target;
use super::pushing::Pushing;
use super::{World, daemon};

/// One output, with all the names that the image has there.
#[derive(Debug)]
pub(super) struct Sending {
    output: Output,
    names: Vec<Reference>,
    /// For [`OutputKind::Docker`].
    daemon: Option<String>,
}

/// What outputs are written with.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// Of what was built, wherever they are.
    pub(super) blobs: &'a BuiltBlobs<'a>,
    pub(super) pushing: Pushing<'a>,
}

/// The outputs that were asked for: the store if there are names that are not pushed, then each `-o`, then `--load`.
pub(super) fn outputs(args: &Args, tags: &[Reference], world: &World) -> anyhow::Result<Vec<Sending>> {
    let mut outputs = Vec::new();
    for text in &args.output {
        outputs.push(Output::parse(text).map_err(Hinted::usage)?);
    }
    if args.push {
        push_too(&mut outputs);
    }
    // As in docker: what is pushed under a name is not kept under it as well.
    let is_elsewhere = |output: &Output| {
        matches!(output.kind, OutputKind::CacheOnly) || is_push(&output.kind) && output.names.is_empty()
    };
    if !tags.is_empty() && !outputs.iter().any(is_elsewhere) {
        outputs.insert(0, plain(OutputKind::Image { push: false }));
    }
    if args.load {
        outputs.push(plain(OutputKind::Docker { context: None }));
    }
    let stdout = outputs.iter().filter(|output| is_stdout(&output.kind)).count();
    if stdout > 1 {
        return Err(Hinted::usage("only one output can go to standard output").into());
    }
    if stdout == 1 {
        refuse_terminal()?;
    }
    outputs.into_iter().map(|output| sending(output, args, tags, world)).collect()
}

/// `--push`: an image that goes into the store goes to its registry as well; without one, it goes there alone.
fn push_too(outputs: &mut Vec<Output>) {
    let into_store = outputs.iter_mut().find(|output| matches!(output.kind, OutputKind::Image { .. }));
    if let Some(output) = into_store {
        output.kind = OutputKind::Image { push: true };
    } else if !outputs.iter().any(|output| is_push(&output.kind)) {
        outputs.push(plain(OutputKind::Registry { by_digest: false }));
    }
}

fn is_push(kind: &OutputKind) -> bool {
    matches!(kind, OutputKind::Registry { .. } | OutputKind::Image { push: true })
}

/// An archive on a terminal helps nobody.
pub(super) fn refuse_terminal() -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        return Ok(());
    }
    let error = Hinted::usage("an archive is to go to standard output, which is a terminal");
    Err(error.hint("name a file, or redirect: `>FILE`").into())
}

fn plain(kind: OutputKind) -> Output {
    Output { kind, names: Vec::new(), compression: None, annotations: Vec::new() }
}

fn sending(output: Output, args: &Args, tags: &[Reference], world: &World) -> anyhow::Result<Sending> {
    let mut names = match is_push(&output.kind) && !output.names.is_empty() {
        // What is called something of its own in the registry isn't called there as it is here.
        true => Vec::new(),
        false => tags.to_vec(),
    };
    names.extend(output.names.iter().filter(|name| !tags.contains(name)).cloned());
    let daemon = match &output.kind {
        OutputKind::Docker { context } => Some(daemon::find(context.as_deref(), world)?),
        OutputKind::Image { .. } | OutputKind::Registry { .. } => {
            if names.is_empty() {
                return Err(Hinted::usage("the image needs a name: `-t NAME`, or `name=NAME` in `-o`").into());
            }
            if is_push(&output.kind) {
                check_names(&names, args)?;
            }
            None
        }
        OutputKind::Layout(_)
        | OutputKind::OciArchive(_)
        | OutputKind::DockerArchive(_)
        | OutputKind::Local(_)
        | OutputKind::Tar(_)
        | OutputKind::CacheOnly => None,
    };
    Ok(Sending { output, names, daemon })
}

/// Each name to push to must have been written with its registry.
fn check_names(names: &[Reference], args: &Args) -> anyhow::Result<()> {
    let typed = args.tag.iter().chain(&args.output).cloned().collect::<Vec<_>>().join(" ");
    names.iter().try_for_each(|name| check_target(name, &typed))
}

fn is_stdout(kind: &OutputKind) -> bool {
    matches!(
        kind,
        OutputKind::OciArchive(Destination::Stdout)
            | OutputKind::DockerArchive(Destination::Stdout)
            | OutputKind::Tar(Split { to: Destination::Stdout, .. })
    )
}

/// Whether each platform's root file system goes into a folder of its own.
fn is_split<T>(split: &Split<T>, built: &Built) -> bool {
    split.by_platform.unwrap_or(built.trees.len() > 1)
}

fn write_as_tar(split: &Split<Destination>, built: &Built) -> anyhow::Result<()> {
    let tree = match (&built.trees[..], is_split(split, built)) {
        ([(_, only)], false) => Arc::clone(only),
        (trees, own_folders) => {
            Arc::new(joined(trees.iter().map(|(platform, tree)| (platform, &**tree)), own_folders))
        }
    };
    Ok(write_tar(&tree, built.epoch, &split.to)?)
}

impl Sending {
    pub(super) fn is_stdout(&self) -> bool {
        is_stdout(&self.output.kind)
    }

    /// Whether a registry gets it.
    pub(super) fn is_push(&self) -> bool {
        is_push(&self.output.kind)
    }

    /// Whether it is the root file system that goes there.
    pub(super) fn wants_tree(&self) -> bool {
        matches!(self.output.kind, OutputKind::Local(_) | OutputKind::Tar(_))
    }

    pub(super) fn compression(&self) -> Option<Compression> {
        self.output.compression
    }

    pub(super) fn annotations(&self) -> &[(String, String)] {
        &self.output.annotations
    }

    /// Whether it goes to a registry and nowhere else.
    pub(super) fn is_pushed_only(&self) -> bool {
        matches!(self.output.kind, OutputKind::Registry { .. })
    }

    pub(super) fn names(&self) -> &[Reference] {
        &self.names
    }

    /// Puts the image there, whole or not at all.
    pub(super) fn write(&self, built: &Built, way: &Way<'_>, report: &dyn Report) -> anyhow::Result<()> {
        let names = || self.names.iter().map(Name::from).collect::<Vec<_>>();
        let (artifact, references, store) = (&built.artifact, self.names.clone(), way.pushing.store);
        match &self.output.kind {
            OutputKind::Image { push } => {
                StoreSink::new(store, references).put(artifact, store)?;
                if *push {
                    way.pushing.push(artifact, way.blobs, &self.names, report)?;
                }
            }
            OutputKind::Registry { by_digest: true } => {
                way.pushing.push_untagged(artifact, way.blobs, &self.names, report)?;
            }
            OutputKind::Registry { by_digest: false } => {
                way.pushing.push(artifact, way.blobs, &self.names, report)?;
            }
            OutputKind::Layout(folder) => drop(LayoutSink::new(folder, names()).put(artifact, store)?),
            OutputKind::OciArchive(to) => {
                drop(OciArchiveSink::new(to.clone(), names()).put(artifact, store)?);
            }
            OutputKind::DockerArchive(to) => {
                drop(DockerArchiveSink::new(to.clone(), references).put(artifact, store)?);
            }
            OutputKind::Docker { context } => {
                let program = self.daemon.clone().expect("found when the output was read");
                let arguments = daemon::context_option(context.as_deref());
                drop(Daemon::new(program, references).with_arguments(arguments).put(artifact, store)?);
            }
            OutputKind::Local(split) => self.write_local(split, built, report)?,
            OutputKind::Tar(split) => write_as_tar(split, built)?,
            OutputKind::CacheOnly => return Ok(()),
        }
        report.report(Event::Output { text: &self.describe() });
        Ok(())
    }

    fn write_local(
        &self,
        split: &Split<std::path::PathBuf>,
        built: &Built,
        report: &dyn Report,
    ) -> anyhow::Result<()> {
        let own_folders = is_split(split, built);
        for (platform, tree) in &built.trees {
            let folder = if own_folders { split.to.join(folder_name(platform)) } else { split.to.clone() };
            for warning in write_folder(tree, &folder)? {
                report.report(Event::Warning { text: &warning.to_string() });
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let path = |path: &Path| format!("`{}`", path.display());
        let to = |to: &Destination| match to {
            Destination::Stdout => "standard output".to_owned(),
            Destination::File(file) => path(file),
        };
        let names: Vec<String> = self.names.iter().map(Reference::familiar).collect();
        match &self.output.kind {
            OutputKind::Image { push: false } => format!("named {} in the store", names.join(", ")),
            OutputKind::Image { push: true } => {
                format!("named {} in the store, and pushed", names.join(", "))
            }
            OutputKind::Registry { by_digest: true } => {
                let names: Vec<String> = self.names.iter().map(Reference::name).collect();
                format!("pushed to {}, without a tag", names.join(", "))
            }
            OutputKind::Registry { by_digest: false } => format!("pushed {}", names.join(", ")),
            OutputKind::Layout(folder) => format!("wrote the layout {}", path(folder)),
            OutputKind::OciArchive(file) | OutputKind::DockerArchive(file) => {
                format!("wrote the archive {}", to(file))
            }
            OutputKind::Docker { .. } => {
                format!("loaded into {}", self.daemon.as_deref().unwrap_or("docker"))
            }
            OutputKind::Local(split) => format!("wrote the root file system to {}", path(&split.to)),
            OutputKind::Tar(split) => format!("wrote the root file system to {}", to(&split.to)),
            OutputKind::CacheOnly => String::new(),
        }
    }
}
