//! `lith images`

use std::process::ExitCode;

use lith::image::LoadError;
use lith::oci::{Descriptor, Reference};
use lith::store::Store;
use serde_json::{Value, json};

use super::World;
use super::error::Hinted;
use super::format::{self, Format, FormatArg, print_json, print_table};

/// List the images of the store
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let store = world.look_at_store()?;
    let mut tags = store.tags()?;
    tags.sort_by_cached_key(|(name, _)| name.to_string());
    let rows: Vec<Row<'_>> = tags.iter().map(|(name, image)| Row::read(&store, name, image)).collect();
    match args.format.format {
        Format::Json => print_json(&rows.iter().map(Row::json).collect::<Vec<_>>().into())?,
        Format::Text => {
            let mut table = vec![["NAME", "DIGEST", "PLATFORM", "SIZE"].map(String::from).to_vec()];
            table.extend(rows.iter().map(Row::text));
            print_table(&table)?;
        }
    }
    let unreadable: Vec<String> = rows.iter().filter_map(Row::unreadable).collect();
    if unreadable.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let error = Hinted::damaged(format!("images can't be read:{}", unreadable.concat()));
    Err(error.hint("`lith fsck` says what is damaged, and how it can be mended").into())
}

/// An image as it is listed. A damaged one is listed, too.
struct Row<'a> {
    name: &'a Reference,
    image: &'a Descriptor,
    contents: Result<Contents, LoadError>,
}

struct Contents {
    platforms: Vec<String>,
    /// Of all blobs.
    size: u64,
}

impl<'a> Row<'a> {
    fn read(store: &Store, name: &'a Reference, image: &'a Descriptor) -> Self {
        let contents = lith::image::load_all(store, image).map(|artifact| Contents {
            platforms: artifact
                .images()
                .iter()
                .map(|image| image.config.value.platform.to_string())
                .collect(),
            size: artifact.documents().iter().map(|(blob, _)| blob.size()).sum::<u64>()
                + artifact.contents().iter().map(|blob| blob.size()).sum::<u64>(),
        });
        Self { name, image, contents }
    }

    fn text(&self) -> Vec<String> {
        let digest = self.image.digest().to_string().chars().take(19).collect();
        let (platforms, size) = match &self.contents {
            Ok(contents) => (contents.platforms.join(","), format::size(contents.size)),
            Err(_) => ("?".into(), "damaged".into()),
        };
        vec![self.name.familiar(), digest, platforms, size]
    }

    fn json(&self) -> Value {
        let contents = self.contents.as_ref().ok();
        json!({
            "name": self.name.familiar(),
            "reference": self.name.to_string(),
            "digest": self.image.digest().to_string(),
            "mediaType": self.image.media_type().to_string(),
            "platforms": contents.map(|contents| &contents.platforms),
            "size": contents.map(|contents| contents.size),
        })
    }

    fn unreadable(&self) -> Option<String> {
        let error = self.contents.as_ref().err()?;
        Some(format!("\n  {}: {error}", self.name.familiar()))
    }
}

/// Says which image a name stands for.
pub(super) fn print_named(
    store: &Store,
    name: &Reference,
    descriptor: &Descriptor,
    format: Format,
) -> anyhow::Result<()> {
    match format {
        Format::Json => print_json(&Row::read(store, name, descriptor).json()),
        Format::Text => format::print(&format!("{}\n", descriptor.digest())),
    }
}
