//! `lith referrers`

use std::process::ExitCode;

use lith::oci::{Descriptor, Digest};
use serde_json::{Value, json};

use super::World;
use super::format::{self, Format, FormatArg, print_json, print_table};
use super::place::parse_remote;
use super::reach::{Reach, not_there};

/// List what says something of an image in a registry: signatures, SBOMs, attestations
///
/// These are manifests of their own, whose `subject` is the image's digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith referrers registry.example/app:1.0
  lith referrers --artifact-type application/spdx+json registry.example/app@sha256:…")]
pub(crate) struct Args {
    /// The image: `[REGISTRY/]NAME[:TAG][@DIGEST]`
    #[arg(value_name = "IMAGE")]
    image: String,
    /// List those of this type alone
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let name = parse_remote(&args.image)?;
    let reach = Reach::new(world);
    let registries = reach.registries()?;
    let subject = match name.digest() {
        Some(digest) => digest.clone(),
        None => {
            let root = registries.resolve(&name)?.ok_or_else(|| not_there(&name))?;
            Digest::try_from(root.digest())?
        }
    };
    let found = registries.referrers(&(&name).into(), &subject, args.artifact_type.as_deref())?;
    if args.format.format == Format::Json {
        let rows: Vec<Value> = found.iter().map(|descriptor| json!(descriptor)).collect();
        print_json(&json!({"subject": subject, "referrers": rows}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = vec![["DIGEST", "TYPE", "SIZE"].map(String::from).to_vec()];
    table.extend(found.iter().map(row));
    print_table(&table)?;
    Ok(ExitCode::SUCCESS)
}

fn row(descriptor: &Descriptor) -> Vec<String> {
    let kind = descriptor.artifact_type().as_ref().unwrap_or(descriptor.media_type());
    vec![descriptor.digest().to_string(), kind.to_string(), format::size(descriptor.size())]
}
