//! `lith pull`

use std::process::ExitCode;

use lith::exec::{Event, Report as _, Reported};
use lith::image::Artifact;
use lith::oci::{Digest, Platform, Reference};
use lith::transport::{Sink as _, Source as _, StoreSink, Watched, read};
use serde_json::{Value, json};

use super::World;
use super::format::{Format, FormatArg, print, print_json};
use super::place::{PlatformArg, parse_remote};
use super::progress::{Progress, ProgressArg};
use super::reach::Reach;

/// Pull images from registries into the store
///
/// An image is in the store whole, under its name. Where the name stands for an index of several platforms, the image for
/// one of them is kept, as docker does: that image's digest is then not the index's, which is said. With
/// `--all-platforms` the index is kept as it is, with every image in it; then the name has the same digest here and there.
/// A name with a digest and no tag is kept as it was written, or with the digest of the image that was chosen.
///
/// What the store has is not fetched again, and nothing is taken that is not what its digest says. The digest of what is
/// kept is printed for each name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith pull debian:12-slim
  lith pull --all-platforms registry.example/app:1.0
  lith pull registry.example/app@sha256:…")]
pub(crate) struct Args {
    /// The images: `[REGISTRY/]NAME[:TAG][@DIGEST]`
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    platform: PlatformArg,
    /// Keep the index with the images for all its platforms
    #[arg(long, conflicts_with = "platform")]
    all_platforms: bool,
    #[command(flatten)]
    progress: ProgressArg,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let names = args.names.iter().map(|name| parse_remote(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let platform = match args.all_platforms {
        true => None,
        false => match args.platform.get()? {
            Some(platform) => Some(platform),
            // As for a build: DOCKER_DEFAULT_PLATFORM counts.
            None => Some(super::build::platforms(&[], world)?.pop().unwrap_or_default()),
        },
    };
    let progress = args.progress.start();
    let reach = Reach::writing(world)?;
    let mut rows: Vec<Value> = Vec::new();
    for name in &names {
        let pulled =
            pull(name, platform.as_ref(), &reach, &progress).map_err(|error| progress.error(error))?;
        match args.format.format {
            Format::Text => print(&format!("{}\n", pulled.digest))?,
            Format::Json => rows.push(json!({
                "name": pulled.name.to_string(),
                "digest": pulled.digest,
                "registryDigest": pulled.there,
            })),
        }
    }
    if args.format.format == Format::Json {
        print_json(&rows.into())?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Pulled {
    name: Reference,
    digest: Digest,
    /// What the name stands for in the registry.
    there: Digest,
}

fn pull(
    name: &Reference,
    platform: Option<&Platform>,
    reach: &Reach<'_>,
    progress: &Progress,
) -> anyhow::Result<Pulled> {
    let source = reach.remote(name)?;
    let artifact = read(&source, platform)?;
    let there = Digest::try_from(source.root().digest())?;
    let digest = artifact.digest();
    let own = own_name(name, &digest)?;
    let reported = Reported(progress);
    StoreSink::new(reach.store()?, vec![own.clone()]).put(&artifact, &Watched::new(&source, &reported))?;
    if let Artifact::Image(image) = &artifact
        && digest != there
    {
        let (name, platform) = (name.familiar(), &image.config.value.platform);
        let text = format!(
            "note: `{name}` is an index, {there}; its image for {platform} is kept (`--all-platforms` keeps all)"
        );
        progress.report(Event::Input { text: &text });
    }
    Ok(Pulled { name: own, digest, there })
}

/// The name in the store: with the tag, if there is one, and else with the digest.
fn own_name(name: &Reference, digest: &Digest) -> anyhow::Result<Reference> {
    let text = match name.tag() {
        Some(tag) => format!("{}:{tag}", name.name()),
        None => format!("{}@{digest}", name.name()),
    };
    Ok(text.parse()?)
}
