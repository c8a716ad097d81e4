//! `lith images`

use std::process::ExitCode;

use lith::oci::{Descriptor, Reference};
use lith::store::Store;
use serde_json::{Value, json};

use super::World;
use super::format::{self, Format, FormatArg, print_json, print_table};

/// List the images of the store
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let store = world.open_store()?;
    let mut tags = store.tags()?;
    tags.sort_by_cached_key(|(name, _)| name.to_string());
    match args.format.format {
        Format::Json => {
            print_json(&tags.iter().map(|(name, d)| describe(name, d)).collect::<Vec<_>>().into())?;
        }
        Format::Text => {
            let mut rows = vec![["NAME", "DIGEST", "PLATFORM", "SIZE"].map(String::from).to_vec()];
            for (name, descriptor) in &tags {
                let (platforms, size) = summary(&store, descriptor);
                let digest = descriptor.digest().to_string().chars().take(19).collect();
                rows.push(vec![name.familiar(), digest, platforms, size]);
            }
            print_table(&rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The platforms and the size of all blobs; a damaged image is listed, too.
fn summary(store: &Store, descriptor: &Descriptor) -> (String, String) {
    let Ok(artifact) = lith::image::load_all(store, descriptor) else {
        return ("?".into(), "damaged".into());
    };
    let platforms: Vec<String> =
        artifact.images().iter().map(|image| image.config.value.platform.to_string()).collect();
    let documents: u64 = artifact.documents().iter().map(|(descriptor, _)| descriptor.size()).sum();
    let contents: u64 = artifact.contents().iter().map(|descriptor| descriptor.size()).sum();
    (platforms.join(","), format::size(documents + contents))
}

fn describe(name: &Reference, descriptor: &Descriptor) -> Value {
    json!({
        "name": name.familiar(),
        "reference": name.to_string(),
        "digest": descriptor.digest().to_string(),
        "mediaType": descriptor.media_type().to_string(),
        "size": descriptor.size(),
    })
}

/// Says which image a name stands for.
pub(super) fn print_named(name: &Reference, descriptor: &Descriptor, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => print_json(&describe(name, descriptor)),
        Format::Text => format::print(&format!("{}\n", descriptor.digest())),
    }
}
