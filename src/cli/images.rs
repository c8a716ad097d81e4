//! `lith images`, and how the other subcommands find an image of the store.

use std::process::ExitCode;

use lith::image::LoadError;
use lith::oci::{Descriptor, Digest, Platform, Reference};
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
    let store = world.open_store()?;
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

/// Reads a name for an image of the store. It can't carry a digest: that is the image's own.
pub(super) fn parse_name(text: &str) -> anyhow::Result<Reference> {
    let name: Reference = text.parse().map_err(|error| Hinted::usage(format!("{error}")))?;
    if name.digest().is_some() {
        let error = Hinted::usage(format!("`{text}` is a name with a digest"));
        return Err(error.hint("give the name alone, like `app:1.0`").into());
    }
    Ok(name)
}

/// Finds an image of the store by its name, its digest, or both.
pub(super) fn find(store: &Store, text: &str) -> anyhow::Result<Descriptor> {
    let missing =
        || Hinted::new(format!("the store has no image `{text}`")).hint("`lith images` lists what it has");
    if let Ok(digest) = text.parse::<Digest>() {
        return Ok(store.manifest(&digest)?.ok_or_else(missing)?);
    }
    let name: Reference = text.parse().map_err(|error| Hinted::usage(format!("{error}")))?;
    if let Some(image) = short_digest(store, &name, text)? {
        return Ok(image);
    }
    match name.digest() {
        Some(digest) => Ok(store.manifest(digest)?.ok_or_else(missing)?),
        None => Ok(store.resolve(&name)?.ok_or_else(missing)?),
    }
}

/// The named image whose digest begins so; a name that is just that goes first.
fn short_digest(store: &Store, name: &Reference, text: &str) -> anyhow::Result<Option<Descriptor>> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_short = hex.len() >= 7 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_short || store.resolve(name)?.is_some() {
        return Ok(None);
    }
    let start = format!("sha256:{hex}");
    let mut found: Vec<Descriptor> = store.tags()?.into_iter().map(|(_, image)| image).collect();
    found.retain(|image| image.digest().to_string().starts_with(&start));
    found.sort_by_key(|image| image.digest().to_string());
    found.dedup_by(|a, b| a.digest() == b.digest());
    match &found[..] {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        _ => Err(Hinted::new(format!("several images begin with `{text}`")).hint("give more digits").into()),
    }
}

/// `--platform`, for subcommands that look at one image of an index.
#[derive(Debug, clap::Args)]
pub(super) struct PlatformArg {
    /// Which image of an index [default: linux/amd64, or the only one]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
}

impl PlatformArg {
    pub(super) fn get(&self) -> anyhow::Result<Option<Platform>> {
        let parse = |text: &String| text.parse().map_err(|error| Hinted::usage(format!("{error}")));
        Ok(self.platform.as_ref().map(parse).transpose()?)
    }
}
