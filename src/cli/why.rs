//! `lith why`

use std::process::ExitCode;

use lith::exec::StepName;
use lith::oci::{Digest, Reference};
use lith::store::Store;
use lith::text::{escaped, shown_up_to};
use lith::why::{self, Cause, Kept, Told};
use serde_json::{Value, json};

use super::World;
use super::error::Hinted;
use super::format::{Format, FormatArg, print, print_json};

/// Tell why steps were built anew, or why two images differ
///
/// Without arguments: of the last build, each step that was not as in the build before, and what it is: a file (its
/// content, mode, name), a build argument, a variable, the command, the base, a mount, the ignore file, an option. Of an
/// image or a Buildfile: the last build of that. Of two images that lith has built: what differs, from the input to the
/// output. `lith build --explain` tells the same while it builds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lith why\n  lith why app:1.0\n  lith why deploy/Buildfile\n  lith why app 3                  of step 3 alone; `build:3` of the stage `build`, `stage-0:3` of one without a name\n  lith why app:1.0 app:1.1        what made the one out of the other\n\nThe store remembers the last 8 builds of each of the last 200 Buildfiles; `lith gc` forgets those whose context is gone."
)]
pub(crate) struct Args {
    /// An image of the store (name or digest), or the path of a Buildfile [default: the last build]
    #[arg(value_name = "IMAGE|BUILDFILE")]
    what: Option<String>,
    /// A step (`3`, or `STAGE:3`), or another image to compare with
    #[arg(value_name = "STEP|IMAGE")]
    other: Option<String>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let seen = world.look_at_store()?;
    let store: &Store = &seen;
    let as_step = |text: &str| step(text, store);
    let (what, step) = match (args.what.as_deref(), args.other.as_deref()) {
        (Some(what), None) if is_lone_step(what, store)? => (None, as_step(what)),
        (Some(a), Some(b)) if as_step(b).is_none() => return between(a, b, store, args.format.format),
        (what, other) => (what, other.and_then(as_step)),
    };
    let kept = match what {
        None => why::last(store, None)?,
        Some(text) if std::path::Path::new(text).is_file() => why::last(store, Some(&absolute(text)))?,
        Some(text) => Some(built(text, store)?),
    };
    let kept =
        kept.ok_or_else(|| Hinted::new("the store remembers no such build").hint("`lith build` it first"))?;
    if let Some(step) = &step {
        check_step(&kept, step)?;
    }
    let told: Vec<&Told> = kept.told.iter().filter(|told| is_wanted(told, step.as_ref())).collect();
    match args.format.format {
        Format::Json => print_json(&describe(&kept, &told))?,
        Format::Text => print(&text(&kept, &told, step.is_some()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A stage, if it is said, and a number.
type Step = (Option<String>, usize);

/// `3` or `STAGE:3`, if the store has no image of that name.
fn step(text: &str, store: &Store) -> Option<Step> {
    let (stage, number) = text.rsplit_once(':').map_or((None, text), |(stage, number)| (Some(stage), number));
    let number = number.parse().ok().filter(|_| number.len() < 5)?;
    let is_image = || text.parse().is_ok_and(|name: Reference| matches!(store.resolve(&name), Ok(Some(_))));
    if stage.is_some() && is_image() {
        return None;
    }
    Some((stage.map(|stage| unprefixed(stage).to_owned()), number))
}

/// `stage-0` is what a stage without a name is shown as.
fn unprefixed(stage: &str) -> &str {
    stage.strip_prefix("stage-").filter(|number| number.parse::<usize>().is_ok()).unwrap_or(stage)
}

/// Whether the build had such a step.
fn check_step(kept: &Kept, (stage, number): &Step) -> anyhow::Result<()> {
    let stages = || kept.trace.stages.iter().filter(|found| !found.steps.is_empty());
    let of_stage = stages().filter(|found| stage.as_ref().is_none_or(|stage| found.name == *stage));
    if of_stage.flat_map(|found| &found.steps).any(|step| step.number == *number) {
        return Ok(());
    }
    let last = stages().filter_map(|stage| {
        let step = stage.steps.iter().max_by_key(|step| step.number)?;
        let name = StepName { stage: &stage.name, number: step.number, of: stage.steps.len(), text: "" };
        Some(format!("`{name}`"))
    });
    let wanted = stage.iter().map(|stage| format!("{stage}:")).collect::<String>();
    let error = Hinted::usage(format!("that build had no step `{}{number}`", escaped(&wanted)));
    Err(error.hint(format!("its last steps: {}", last.collect::<Vec<_>>().join(", "))).into())
}

/// Whether a word that stands alone is a step: a number, or `STAGE:3` where the last build has such a stage.
fn is_lone_step(text: &str, store: &Store) -> anyhow::Result<bool> {
    if std::path::Path::new(text).exists() {
        return Ok(false);
    }
    Ok(match step(text, store) {
        None => false,
        Some((None, _)) => true,
        Some((Some(stage), _)) => {
            let last = why::last(store, None)?;
            last.is_some_and(|last| last.trace.stages.iter().any(|found| found.name == stage))
        }
    })
}

fn is_wanted(told: &Told, step: Option<&Step>) -> bool {
    step.is_none_or(|(stage, number)| {
        told.number == *number && stage.as_ref().is_none_or(|stage| told.stage == *stage)
    })
}

fn absolute(path: &str) -> String {
    let path = std::path::Path::new(path);
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// The build that made an image.
fn built(text: &str, store: &Store) -> anyhow::Result<Kept> {
    let digest = match text.parse::<Digest>() {
        Ok(digest) => digest,
        Err(_) => {
            let name: Reference = text.parse().map_err(Hinted::usage)?;
            let root = store.resolve(&name)?.ok_or_else(|| {
                Hinted::new(format!("the store has no image `{text}`, and there is no such file"))
                    .hint("`lith images` lists them")
            })?;
            Digest::try_from(root.digest())?
        }
    };
    Ok(why::find(store, &digest)?.ok_or_else(|| {
        Hinted::new(format!("the store remembers no build that made `{digest}`"))
            .hint("it remembers the last 8 builds of each Buildfile")
    })?)
}

fn between(a: &str, b: &str, store: &Store, format: Format) -> anyhow::Result<ExitCode> {
    let (was, is) = (built(a, store)?, built(b, store)?);
    let (causes, told) = why::between(store, &was.trace, &is.trace);
    let told: Vec<&Told> = told.iter().collect();
    let (was, is) = (&was.trace.artifact, &is.trace.artifact);
    match format {
        Format::Json => {
            print_json(&json!({"from": was, "to": is, "causes": words(&causes), "steps": steps(&told)}))?;
        }
        Format::Text => {
            let mut lines = vec![format!("{was} -> {is}")];
            lines.extend(causes.iter().map(ToString::to_string));
            told.iter().for_each(|told| step_lines(told, &mut lines));
            if lines.len() == 1 {
                let same =
                    if was == is { "they are the same image" } else { "nothing that is remembered differs" };
                lines.push(same.to_owned());
            }
            print(&(lines.join("\n") + "\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn words(causes: &[Cause]) -> Vec<String> {
    causes.iter().map(ToString::to_string).collect()
}

fn steps(told: &[&Told]) -> Vec<Value> {
    let step = |told: &&Told| {
        json!({
            "stage": told.stage, "number": told.number, "of": told.of, "text": told.text, "rebuilt": told.rebuilt,
            "causes": words(&told.causes),
        })
    };
    told.iter().map(step).collect()
}

fn describe(kept: &Kept, told: &[&Told]) -> Value {
    json!({
        "buildfile": kept.file, "target": kept.target, "platform": kept.platform, "digest": kept.trace.artifact,
        "unchangedSince": kept.again, "causes": words(&kept.causes), "steps": steps(told),
    })
}

fn text(kept: &Kept, told: &[&Told], one: bool) -> String {
    let mut lines =
        vec![format!("{} ({}): {}", escaped(&kept.file), escaped(&kept.platform), kept.trace.artifact)];
    if kept.again && !one {
        lines.push("the last build found everything as it was; the one before:".to_owned());
    }
    lines.extend(kept.causes.iter().map(ToString::to_string).filter(|_| !one));
    told.iter().for_each(|told| step_lines(told, &mut lines));
    if lines.len() == 1 || (told.is_empty() && one) {
        lines.push("nothing was built anew".to_owned());
    }
    lines.join("\n") + "\n"
}

fn step_lines(told: &Told, lines: &mut Vec<String>) {
    let text = shown_up_to(100, &told.text.replace('\n', " "));
    let known = if told.rebuilt { "" } else { " (nothing was run for it)" };
    lines.push(format!("[{}] {text}{known}", told.step()));
    lines.extend(told.causes.iter().map(|cause| format!("    {cause}")));
}
