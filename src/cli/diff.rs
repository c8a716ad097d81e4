//! `lith diff`

pub(super) mod text;

use std::process::ExitCode;

use lith::diff::{self, ImageDiff, Options};
use lith::image::Image;
use lith::oci::Platform;
use lith::tree::ImagePath;
use lith::tree::pattern::Glob;
use serde::Serialize;

use super::World;
use super::error::{DIFFERENT, Hinted};
use super::format::{Format, FormatArg, plain_json, print};
use super::place::{Found, Place, PlatformArg};
use super::reach::Reach;

/// Tell how two images differ: configuration, history, layers and files, down to the bytes and the likely cause
///
/// Images with the same digest are the same, and are not read. Otherwise the layers are listed, and only contents that
/// differ are looked at: texts by their lines, archives (tar, zip, wheel, jar, deb, gzip, xz, zstd) by what is in them, all
/// else by the first byte that differs. Causes are guesses (docs/diff.md).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  lith diff app:1.0 app:1.1
  lith diff app docker://registry.example/app --platform linux/arm64
  lith diff oci:out docker-archive:saved.tar --exit-code
  lith diff --path etc --path '**/*.py' --format json app:1.0 app:1.1

Exit codes: 0, also if they differ; with `--exit-code` 4 if they differ. 1 if they can't be compared.")]
pub(crate) struct Args {
    /// An image: a name or digest of the store, else of a registry; `docker://NAME` for the registry's, or
    /// `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE`
    #[arg(value_name = "A")]
    a: String,
    /// The other image
    #[arg(value_name = "B")]
    b: String,
    /// Compare what is in each layer, too, not only what they make together
    #[arg(long)]
    layers: bool,
    /// Compare only these files: a path with all below it, or a pattern (`**/*.py`); may be repeated
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Leave times of files out of the comparison
    #[arg(long)]
    no_times: bool,
    /// Exit with 4 if they differ
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    platform: PlatformArg,
    #[command(flatten)]
    format: FormatArg,
}

/// What is printed as JSON (docs/diff.md).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    differs: bool,
    summary: String,
    a: Side,
    b: Side,
    images: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct Side {
    name: String,
    digest: String,
    /// Those that the other has not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    platforms: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Pair {
    platform: String,
    a: String,
    b: String,
    summary: String,
    #[serde(flatten)]
    diff: ImageDiff,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let platform = args.platform.get()?;
    let reach = Reach::new(world);
    let find = |text: &str| Place::parse(text)?.read(&reach, platform.as_ref());
    let (a, b) = (find(&args.a)?, find(&args.b)?);
    let report = compare(args, &reach, platform.as_ref(), (&a, &b))?;
    match args.format.format {
        Format::Json => print(&format!("{}\n", plain_json(&serde_json::to_string_pretty(&report)?)))?,
        Format::Text => print(&words(&report))?,
    }
    Ok(if report.differs && args.exit_code { DIFFERENT.into() } else { ExitCode::SUCCESS })
}

fn compare(
    args: &Args,
    reach: &Reach<'_>,
    platform: Option<&Platform>,
    (a, b): (&Found<'_>, &Found<'_>),
) -> anyhow::Result<Report> {
    let globs = globs(&args.path)?;
    let counts = |path: &ImagePath| globs.iter().any(|wanted| wanted.covers(path));
    let filter = (!globs.is_empty()).then_some(&counts as &dyn Fn(&ImagePath) -> bool);
    let options = Options { times: !args.no_times, layers: args.layers, filter };
    let mut images = Vec::new();
    let (pairs, only) = pairs(platform, a, b)?;
    for (old, new) in pairs {
        if old.manifest.digest() == new.manifest.digest() {
            continue;
        }
        if !diff::has_same_layers(old, new) {
            a.bring(old, reach)?;
            b.bring(new, reach)?;
        }
        let mut found = diff::images(reach.store()?, old, new, options)?;
        if filter.is_some() {
            found = ImageDiff { files: found.files, ..ImageDiff::default() };
        }
        if filter.is_some() && found.files.is_empty() {
            continue;
        }
        images.push(Pair {
            platform: new.config.value.platform.to_string(),
            a: old.manifest.digest().to_string(),
            b: new.manifest.digest().to_string(),
            summary: diff::sentence(&found),
            diff: found,
        });
    }
    let side = |name: &String, found: &Found<'_>, platforms| Side {
        name: name.clone(),
        digest: found.digest(platform),
        platforms,
    };
    let (a, b) = (side(&args.a, a, only.0), side(&args.b, b, only.1));
    let is_alone = |side: &Side| filter.is_none() && !side.platforms.is_empty();
    let differs =
        !images.is_empty() || filter.is_none() && a.digest != b.digest || is_alone(&a) || is_alone(&b);
    let summary = summary(&images, (&a, &b), differs);
    Ok(Report { differs, summary, a, b, images })
}

fn summary(images: &[Pair], (a, b): (&Side, &Side), differs: bool) -> String {
    match images {
        _ if !differs && a.digest == b.digest => format!("identical: {}", a.digest),
        _ if !differs => "no difference in these files".into(),
        [only] if a.platforms.is_empty() && b.platforms.is_empty() => only.summary.clone(),
        [] if a.platforms.is_empty() && b.platforms.is_empty() => "the same images; the index differs".into(),
        images => format!("{} of the images differ", images.len() + a.platforms.len() + b.platforms.len()),
    }
}

type Pairs<'a> = Vec<(&'a Image, &'a Image)>;
type Only = (Vec<String>, Vec<String>);

/// Which images are compared: the one that is asked for, or those of the same platform; and the platforms that one side
/// alone has.
fn pairs<'a>(
    platform: Option<&Platform>,
    a: &'a Found<'_>,
    b: &'a Found<'_>,
) -> anyhow::Result<(Pairs<'a>, Only)> {
    let (old, new) = (a.artifact.images(), b.artifact.images());
    if platform.is_some() || old.len() < 2 && new.len() < 2 {
        return Ok((vec![(a.image(platform)?, b.image(platform)?)], Default::default()));
    }
    let name = |image: &Image| image.config.value.platform.to_string();
    let find =
        |images: &[&'a Image], wanted: &Image| images.iter().find(|i| name(i) == name(wanted)).copied();
    let missing = |images: &[&'a Image], others: &[&'a Image]| {
        images.iter().filter(|image| find(others, image).is_none()).map(|image| name(image)).collect()
    };
    let only = (missing(&old, &new), missing(&new, &old));
    let pairs = old.iter().filter_map(|image| Some((*image, find(&new, image)?))).collect();
    Ok((pairs, only))
}

/// A path, or a pattern of paths.
enum Wanted {
    Below(ImagePath),
    Like(Glob),
}

impl Wanted {
    fn covers(&self, path: &ImagePath) -> bool {
        match self {
            Self::Below(folder) => path.starts_with(folder),
            Self::Like(glob) => glob.matches(path.as_bytes()),
        }
    }
}

fn globs(paths: &[String]) -> anyhow::Result<Vec<Wanted>> {
    let wrong = |text: &str, why: &dyn std::fmt::Display| Hinted::usage(format!("`--path {text}`: {why}"));
    let wanted = |text: &String| {
        Ok(if text.contains(['*', '?', '[']) {
            Wanted::Like(Glob::new(text.trim_start_matches('/')).map_err(|error| wrong(text, &error))?)
        } else {
            Wanted::Below(ImagePath::new(text.as_bytes()).map_err(|error| wrong(text, &error))?)
        })
    };
    paths.iter().map(wanted).collect()
}

fn words(report: &Report) -> String {
    if !report.differs {
        return format!("{}\n", report.summary);
    }
    let mut lines = vec![
        format!("A  {}  {}", report.a.digest, lith::text::escaped(&report.a.name)),
        format!("B  {}  {}", report.b.digest, lith::text::escaped(&report.b.name)),
        report.summary.clone(),
    ];
    lines.extend(report.a.platforms.iter().map(|platform| format!("- image for {platform}")));
    lines.extend(report.b.platforms.iter().map(|platform| format!("+ image for {platform}")));
    let several = report.images.len() > 1 || report.a.platforms.len() + report.b.platforms.len() > 0;
    for pair in &report.images {
        if several {
            lines.push(format!("\nimage for {}: {}", pair.platform, pair.summary));
        }
        lines.extend(text::image(&pair.diff));
    }
    lines.join("\n") + "\n"
}
