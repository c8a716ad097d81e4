//! `lith inspect`

use std::io::Write as _;
use std::process::ExitCode;

use lith::image::{Artifact, Image};
use lith::text::escaped;
use serde_json::{Value, json};

use super::World;
use super::format::{self, Format, print, print_json};
use super::place::{LookArgs, Place};
use super::reach::Reach;

/// Show what an image is: digest, platform, configuration, layers, history
///
/// Nothing of what is shown is taken on trust: documents are verified against their digests. An image in a registry is
/// looked at there, and not pulled.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lith inspect app:1.0\n  lith inspect docker://debian:12-slim --platform linux/arm64\n  lith inspect --format json oci:image | jq .images[0].config"
)]
pub(crate) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// Print the manifest, or the index, byte for byte
    #[arg(long, conflicts_with = "format")]
    raw: bool,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let platform = args.look.platform.get()?;
    let reach = Reach::new(world);
    let found = Place::parse(&args.look.image)?.read(&reach, platform.as_ref())?;
    let artifact = match platform {
        Some(platform) => Artifact::Image(found.image(Some(&platform))?.clone()),
        None => found.artifact,
    };
    if args.raw {
        return raw(&artifact);
    }
    match args.look.format.format {
        Format::Json => print_json(&describe(&artifact))?,
        Format::Text => print(&text(&artifact))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The document that the digest is of, also to a terminal: it is asked for as it is.
fn raw(artifact: &Artifact) -> anyhow::Result<ExitCode> {
    let bytes = match artifact {
        Artifact::Image(image) => &image.manifest.bytes,
        Artifact::Index(index) => &index.document.bytes,
        Artifact::Other(manifest) => &manifest.bytes,
    };
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}

fn describe(artifact: &Artifact) -> Value {
    let images: Vec<Value> = artifact.images().iter().map(|image| describe_image(image)).collect();
    json!({
        "digest": artifact.digest(),
        "mediaType": artifact.descriptor().media_type().to_string(),
        "images": images,
    })
}

fn describe_image(image: &Image) -> Value {
    json!({
        "digest": image.manifest.digest(),
        "platform": image.config.value.platform.to_string(),
        "manifest": image.manifest.value,
        "config": image.config.value,
    })
}

fn text(artifact: &Artifact) -> String {
    let mut lines = vec![format!("digest     {}", artifact.digest())];
    for image in artifact.images() {
        if artifact.digest() != image.manifest.digest() {
            lines.push(format!("\nimage      {}", image.manifest.digest()));
        }
        image_lines(image, &mut lines);
    }
    lines.join("\n") + "\n"
}

fn image_lines(image: &Image, lines: &mut Vec<String>) {
    let config = &image.config.value;
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<10} {}", escaped(&value)));
        }
    };
    row("platform", config.platform.to_string());
    row("created", config.created.clone().unwrap_or_default());
    row("author", config.author.clone().unwrap_or_default());
    let runtime = &config.config;
    let words = |words: &Option<Vec<String>>| words.as_ref().map_or(String::new(), |w| json!(w).to_string());
    row("entrypoint", words(&runtime.entrypoint));
    row("cmd", words(&runtime.cmd));
    row("workdir", runtime.working_dir.clone());
    row("user", runtime.user.clone());
    row("ports", runtime.exposed_ports.iter().cloned().collect::<Vec<_>>().join(" "));
    row("volumes", runtime.volumes.iter().cloned().collect::<Vec<_>>().join(" "));
    for pair in &runtime.env {
        row("env", pair.clone());
    }
    for (name, value) in &runtime.labels {
        row("label", format!("{name}={value}"));
    }
    for layer in &image.layers {
        row("layer", format!("{} {}", layer.descriptor.digest(), format::size(layer.descriptor.size())));
    }
    for line in &config.history {
        row("history", line.created_by.clone().unwrap_or_default());
    }
}
