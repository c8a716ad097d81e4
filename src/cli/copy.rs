//! `lith copy`

use std::process::ExitCode;

use lith::exec::Reported;
use lith::oci::Digest;
use lith::transport::{Watch, Watched, read};
use serde_json::json;

use super::World;
use super::format::{Format, print, print_json};
use super::place::{Place, SendArgs, check_target};
use super::progress::Progress;
use super::reach::Reach;

/// Copy an image between the store, registries, layouts and archives
///
/// Every blob is verified on its way; the digest stays what it is. An index is copied with every image in it, unless
/// `--platform` chooses one. From one registry to another nothing is kept here.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Places:
  NAME[:TAG]                      the store; as FROM, the registry if the store has it not
  store:NAME                      the store
  docker://NAME                   the registry
  oci:DIR[:TAG]                   an OCI image layout in a folder
  oci-archive:FILE[:TAG]          the same as one tar file
  docker-archive:FILE             an archive of `docker save`, for `docker load`
  docker-daemon:NAME              docker's or podman's own store; as TO alone

Examples:
  lith copy app:1.0 oci:image
  lith copy docker-archive:saved.tar app:1.0
  lith copy docker://debian:12-slim docker://registry.example/debian:12-slim")]
pub(crate) struct Args {
    /// The image
    #[arg(value_name = "FROM")]
    from: String,
    /// Where to
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    send: SendArgs,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let progress = args.send.progress.start();
    let digest = copy(args, world, &progress).map_err(|error| progress.error(error))?;
    match args.send.format.format {
        Format::Text => print(&format!("{digest}\n"))?,
        Format::Json => print_json(&json!({"digest": digest}))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn copy(args: &Args, world: &World, progress: &Progress) -> anyhow::Result<Digest> {
    let platform = args.send.platform.get()?;
    let (from, to) = (Place::parse(&args.from)?, Place::parse(&args.to)?);
    if let Place::Registry(name) = &to {
        check_target(name, &args.to)?;
    }
    let reach = match &to {
        Place::Name(_) | Place::Store(_) => Reach::writing(world)?,
        _ => Reach::new(world),
    };
    let (source, is_remote) = from.look(&reach)?;
    let artifact = read(&*source, platform.as_ref())?;
    let reported = Reported(progress);
    let pushing = (args.send.move_tag, &reported as &dyn Watch);
    let mut sink = to.sink(&reach, from.name().as_ref(), pushing)?;
    // What is pushed is told of by the push.
    Ok(match is_remote && !matches!(to, Place::Registry(_)) {
        true => sink.put(&artifact, &Watched::new(&*source, &reported))?,
        false => sink.put(&artifact, &*source)?,
    })
}
