//! `lith push`

use std::process::ExitCode;

use lith::oci::{Digest, Reference};
use serde_json::json;

use super::World;
use super::error::Hinted;
use super::format::{Format, print, print_json};
use super::place::{Place, SendArgs, check_target, parse_target};
use super::pushing::Pushing;
use super::reach::Reach;

/// Push an image to a registry
///
/// What the registry has is not sent again; what another repository of it has is mounted from there; what broke off is
/// gone on with if the registry can. A tag that stands for another digest is not moved, unless it is `latest` or `--move-tag` is given.
/// Each name is printed with the digest that the registry has answered.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith push registry.example/app:1.0
  lith push app registry.example/app:1.0 registry.example/app:stable --move-tag
  lith push oci:image registry.example/app:1.0")]
pub(crate) struct Args {
    /// The image: a name or digest of the store, or `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE`
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Where to: `REGISTRY/NAME[:TAG]` [default: the image's own name]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    send: SendArgs,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let progress = args.send.progress.start();
    let pushed = push(args, world, &progress).map_err(|error| progress.error(error))?;
    let (digest, names) = pushed;
    let pinned = |name: &Reference| format!("{name}@{digest}");
    match args.send.format.format {
        Format::Text => print(&names.iter().map(|name| pinned(name) + "\n").collect::<String>())?,
        Format::Json => {
            print_json(&json!({"digest": digest, "names": names.iter().map(pinned).collect::<Vec<_>>()}))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn push(
    args: &Args,
    world: &World,
    progress: &super::progress::Progress,
) -> anyhow::Result<(Digest, Vec<Reference>)> {
    let place = match Place::parse(&args.image)? {
        // What isn't here can't be pushed: it would go where it came from.
        Place::Name(name) => Place::Store(name),
        place => place,
    };
    let names = names(args, &place)?;
    let reach = Reach::new(world);
    let source = place.source(&reach)?;
    let artifact = lith::transport::read(&*source, args.send.platform.get()?.as_ref())?;
    let (registries, store) = (reach.registries()?, reach.store()?);
    let pushing = Pushing { registries, world, move_tag: args.send.move_tag, store };
    Ok((pushing.push(&artifact, &*source, &names, progress)?, names))
}

fn names(args: &Args, place: &Place) -> anyhow::Result<Vec<Reference>> {
    if !args.names.is_empty() {
        return args.names.iter().map(|name| parse_target(name)).collect();
    }
    let name = place.name().filter(|name| name.digest().is_none()).ok_or_else(|| {
        Hinted::usage(format!("`{}` does not say where to push it", args.image))
            .hint("name the destination: `lith push IMAGE REGISTRY/NAME:TAG`")
    })?;
    check_target(&name, &args.image)?;
    Ok(vec![name])
}
