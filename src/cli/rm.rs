//! `lith rm`

use std::process::ExitCode;

use lith::oci::Reference;
use serde_json::json;

use super::World;
use super::error::Hinted;
use super::format::{Format, FormatArg, print, print_json};
use super::place::{is_remote, parse_name, parse_remote};
use super::reach::{Reach, not_there};

/// Remove names from the store, or from registries
///
/// What a name of the store named goes with the next `lith gc`. `docker://NAME:TAG` removes a tag from its registry, and
/// `docker://NAME@DIGEST` a manifest, with every tag that it has; not all registries do that.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lith rm app:1.0 && lith gc\n  lith rm docker://registry.example/app:old"
)]
pub(crate) struct Args {
    /// The names: `NAME` of the store, `docker://NAME:TAG`, `docker://NAME@DIGEST`
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    format: FormatArg,
}

/// What is to go.
enum Doomed {
    Here(Reference),
    There(Reference),
}

pub(super) fn run(args: &Args, world: &World) -> anyhow::Result<ExitCode> {
    let reach = Reach::new(world);
    // All names are looked at before the first is removed: half a removal is no help.
    let doomed = args.names.iter().map(|name| find(name, &reach)).collect::<anyhow::Result<Vec<_>>>()?;
    for doomed in &doomed {
        match doomed {
            Doomed::Here(name) => drop(reach.store()?.untag(name)?),
            Doomed::There(name) => reach.registries()?.delete(name)?,
        }
        if args.format.format == Format::Text {
            print(&format!("{}\n", doomed.shown()))?;
        }
    }
    if args.format.format == Format::Json {
        let removed: Vec<String> = doomed.iter().map(|doomed| doomed.name().to_string()).collect();
        print_json(&json!({"removed": removed}))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn find(text: &str, reach: &Reach<'_>) -> anyhow::Result<Doomed> {
    if is_remote(text) {
        let name = parse_remote(text)?;
        let says_tag = text.rsplit('/').next().is_some_and(|last| last.contains(':') || last.contains('@'));
        if !says_tag {
            let error = Hinted::usage(format!("`{text}` is a whole repository"));
            return Err(error.hint(format!("name a tag: `{text}:latest`")).into());
        }
        // The manifest would go with all of its tags, and this one may be of another.
        if name.tag().is_some() && name.digest().is_some() {
            let error = Hinted::usage(format!("`{text}` names a tag and a digest"));
            return Err(error.hint("give one of them: a digest goes with every tag that it has").into());
        }
        reach.registries()?.resolve(&name)?.ok_or_else(|| not_there(&name))?;
        return Ok(Doomed::There(name));
    }
    let name = parse_name(text.strip_prefix("store:").unwrap_or(text))?;
    if reach.store()?.resolve(&name)?.is_none() {
        let error = Hinted::new(format!("the store has no image `{}`", name.familiar()));
        let hint = format!("`lith images` lists what it has; a registry's is `docker://{}`", name.familiar());
        return Err(error.hint(hint).into());
    }
    Ok(Doomed::Here(name))
}

impl Doomed {
    fn name(&self) -> &Reference {
        match self {
            Self::Here(name) | Self::There(name) => name,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Here(name) => name.familiar(),
            Self::There(name) => format!("docker://{name}"),
        }
    }
}
