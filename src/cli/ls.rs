//! `lith ls`

use std::collections::BTreeMap;
use std::process::ExitCode;

use lith::image::Image;
use lith::text::escaped;
use lith::tree::{Changes, ImagePath, Kind, Node};
use serde_json::{Value, json};

use super::World;
use super::format::{self, Format, print, print_json};
use super::place::{LookArgs, Place};
use super::reach::Reach;

/// List the files of an image, by layer, with their sizes and who wins
///
/// A file that a later layer replaces or removes is marked with that layer's number: its bytes are in the image all
/// the same.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lith ls app\n  lith ls oci:image\n  lith ls --format json app | jq '.layers[].files[] | select(.hiddenBy)'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    look: LookArgs,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let platform = args.look.platform.get()?;
    let reach = Reach::new(world);
    let only = platform.clone().unwrap_or_default();
    let found = Place::parse(&args.look.image)?.read(&reach, Some(&only))?;
    let image = found.image(platform.as_ref())?;
    let layers = found.layers(image, &reach)?;
    let hidden = hidden_by(&layers);
    match args.look.format.format {
        Format::Json => print_json(&describe(image, &layers, &hidden))?,
        Format::Text => print(&text(image, &layers, &hidden))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// For each layer: the paths that a later one replaces or removes, with that one's number, from 1.
fn hidden_by(layers: &[Changes]) -> Vec<BTreeMap<ImagePath, usize>> {
    let mut alive: BTreeMap<ImagePath, usize> = BTreeMap::new();
    let mut hidden = vec![BTreeMap::new(); layers.len()];
    for (index, changes) in layers.iter().enumerate() {
        let mut hide = |path: &ImagePath, below: bool, itself: bool| {
            let doomed: Vec<ImagePath> = alive
                .range(path.clone()..)
                .take_while(|(p, _)| p.as_bytes().starts_with(path.as_bytes()))
                .filter(|(p, _)| if *p == path { itself } else { below && p.starts_with(path) })
                .map(|(p, _)| p.clone())
                .collect();
            for path in doomed {
                if let Some(by) = alive.remove(&path) {
                    hidden[by].insert(path, index + 1);
                }
            }
        };
        changes.opaques.iter().for_each(|path| hide(path, true, false));
        changes.whiteouts.iter().for_each(|path| hide(path, true, true));
        for (path, node) in &changes.puts {
            hide(path, !node.is_dir(), true);
        }
        alive.extend(changes.puts.keys().map(|path| (path.clone(), index)));
    }
    hidden
}

fn describe(image: &Image, layers: &[Changes], hidden: &[BTreeMap<ImagePath, usize>]) -> Value {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .zip(layers.iter().zip(hidden))
        .map(|(layer, (changes, hidden))| {
            let files: Vec<Value> =
                changes.puts.iter().map(|(path, node)| describe_file(path, node, hidden.get(path))).collect();
            let names = |paths: &std::collections::BTreeSet<ImagePath>| -> Vec<String> {
                paths.iter().map(ImagePath::display).collect()
            };
            json!({
                "digest": layer.descriptor.digest().to_string(),
                "diffId": layer.diff_id,
                "size": layer.descriptor.size(),
                "files": files,
                "whiteouts": names(&changes.whiteouts),
                "opaques": names(&changes.opaques),
            })
        })
        .collect();
    json!({"digest": image.manifest.digest(), "platform": image.config.value.platform.to_string(), "layers": layers})
}

fn describe_file(path: &ImagePath, node: &Node, hidden_by: Option<&usize>) -> Value {
    let (kind, link) = kind(node);
    let mut value = json!({
        "path": path.display(),
        "type": kind,
        "mode": format!("{:04o}", node.meta.mode),
        "uid": node.meta.uid,
        "gid": node.meta.gid,
        "size": node.size(),
    });
    if let Some(link) = link {
        value["link"] = link.into();
    }
    if let Some(layer) = hidden_by {
        value["hiddenBy"] = (*layer).into();
    }
    value
}

fn kind(node: &Node) -> (&'static str, Option<String>) {
    match &node.kind {
        Kind::File { .. } => ("file", None),
        Kind::Dir => ("dir", None),
        Kind::Symlink(target) => ("symlink", Some(escaped(&String::from_utf8_lossy(target)))),
        Kind::Hardlink(target) => ("hardlink", Some(target.display())),
        Kind::CharDevice { .. } => ("char", None),
        Kind::BlockDevice { .. } => ("block", None),
        Kind::Fifo => ("fifo", None),
    }
}

fn text(image: &Image, layers: &[Changes], hidden: &[BTreeMap<ImagePath, usize>]) -> String {
    let mut lines = Vec::new();
    for (index, (layer, changes)) in image.layers.iter().zip(layers).enumerate() {
        let size = format::size(layer.descriptor.size());
        lines.push(format!("layer {} {} {size}", index + 1, layer.descriptor.digest()));
        for (path, node) in &changes.puts {
            let (kind, link) = kind(node);
            let letter = match kind {
                "file" => '-',
                "hardlink" => 'h',
                other => other.chars().next().unwrap_or('?'),
            };
            let link = link.map_or(String::new(), |link| format!(" -> {link}"));
            let by = hidden[index].get(path).map_or(String::new(), |by| format!("  (hidden by layer {by})"));
            let (meta, size) = (&node.meta, format::size(node.size()));
            lines.push(format!(
                "  {letter}{:04o} {:>5}:{:<5} {size:>8} {}{link}{by}",
                meta.mode,
                meta.uid,
                meta.gid,
                path.display()
            ));
        }
        lines.extend(changes.opaques.iter().map(|path| format!("  hides all below {}", path.display())));
        lines.extend(changes.whiteouts.iter().map(|path| format!("  removes {}", path.display())));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text.as_bytes()).expect("a path")
    }

    fn layer(puts: &[&str], whiteouts: &[&str]) -> Changes {
        let fifo = Node { kind: Kind::Fifo, ..Node::implicit_dir() };
        Changes {
            puts: puts
                .iter()
                .map(|p| (path(p), if p.ends_with('/') { Node::implicit_dir() } else { fifo.clone() }))
                .collect(),
            whiteouts: whiteouts.iter().map(|p| path(p)).collect(),
            ..Changes::default()
        }
    }

    #[test]
    fn the_last_layer_wins() {
        let hidden = hidden_by(&[
            layer(&["a", "d/", "d/x", "d-e", "k/", "k/y"], &[]),
            layer(&["a", "d/", "d/z"], &[]),
            layer(&["k"], &["d"]),
        ]);
        let names =
            |i: usize| -> Vec<String> { hidden[i].iter().map(|(p, by)| format!("{p} {by}")).collect() };
        assert_eq!(names(0), ["a 2", "d 2", "d/x 3", "k 3", "k/y 3"]);
        assert_eq!(names(1), ["d 3", "d/z 3"]);
        assert!(names(2).is_empty());
    }
}
