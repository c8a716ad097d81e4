//! What names and folders stand for: registries and builds.

use std::path::Path;

use lith::oci::{Digest, Reference};
use lith::pin::{Answer, AskError, Digests, Site, Target};

use super::files::Input;
use super::{Args, building};
use crate::cli::World;
use crate::cli::place::{check_target, parse_name};
use crate::cli::reach::{Reach, not_there};
use lith::transport::registry::Registries;

/// Asks registries, and builds.
pub(super) struct Lookup<'a> {
    registries: &'a Registries,
    world: &'a World,
    build: Option<Build>,
}

/// `--build`
struct Build {
    repo: String,
    push: bool,
}

/// An error that has its words and its hint already.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(super) struct LookupError(anyhow::Error);

/// The error itself, with the hint that it has, and the first place that asks for what it is about.
pub(super) fn words(error: AskError<LookupError>, inputs: &[Input]) -> anyhow::Error {
    let (name, folder, error) = match error {
        AskError::Absent(name) => {
            let error = not_there(&name).into();
            (Some(name), None, error)
        }
        AskError::Image { name, error } => (Some(name), None, error.0),
        AskError::Build { folder, error } => {
            let error = error.0.context(format!("building `{folder}`"));
            (None, Some(folder), error)
        }
        error => return error.into(),
    };
    let asks = |site: &&Site| match &site.target {
        Target::Image(named) => name.is_some() && named.reference == name,
        Target::Folder(of) => folder.as_ref() == Some(of),
        Target::Left(_) => false,
    };
    let place = |input: &Input| {
        let site = input.file.sites.iter().find(asks)?;
        Some(format!("{}:{}", input.place.shown(), site.line))
    };
    match inputs.iter().find_map(place) {
        Some(place) => error.context(place),
        None => error,
    }
}

impl<'a> Lookup<'a> {
    pub(super) fn new(reach: &'a Reach<'_>, args: &Args) -> anyhow::Result<Self> {
        let repo =
            args.repo.as_ref().filter(|_| args.build).map(|repo| repo.trim_end_matches('/').to_owned());
        let build = repo.map(|repo| Build { repo, push: args.push });
        Ok(Self { registries: reach.registries()?, world: reach.world, build })
    }
}

impl Digests for Lookup<'_> {
    type Error = LookupError;

    fn digest(&self, name: &Reference) -> Result<Option<Digest>, LookupError> {
        let found = self.registries.resolve(name).map_err(|error| LookupError(error.into()))?;
        let digest = found.map(|root| Digest::try_from(root.digest())).transpose();
        digest.map_err(|error| LookupError(error.into()))
    }

    fn build(&self, folder: &str) -> Result<Option<Answer>, LookupError> {
        let Some(build) = &self.build else { return Ok(None) };
        build.run(folder, self.world).map(Some).map_err(LookupError)
    }
}

impl Build {
    fn run(&self, folder: &str, world: &World) -> anyhow::Result<Answer> {
        let path = Path::new(folder).canonicalize()?;
        let base = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        let name = format!("{}/{base}", self.repo);
        let reference = parse_name(&name)?;
        if self.push {
            check_target(&reference, &name)?;
        }
        let digest = building::build(&path, &reference, self.push, world)?;
        Ok(Answer { name, digest })
    }
}
