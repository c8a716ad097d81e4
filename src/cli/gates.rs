//! What an image has to pass before an environment gets it: the policy's gates, and the statements that they are told.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lith::attest::provenance::{Record, SourceRef};
use lith::build::git_environment;
use lith::context::ContextSpec;
use lith::context::git::{Revision, revision};
use lith::image::Artifact;
use lith::lock::Lock;
use lith::oci::Digest;
use lith::plan::Pin;
use lith::release::{
    Chain, Entry, Environment, Evidence, Facts, Ledger, Policy, REBUILT, Refusal, ReleaseError, Rules, Shelf,
    Testimony, attached,
};
use lith::text::causes;

use super::error::{Hinted, tell};
use super::ledger::place_of;
use super::place::Place;
use super::progress::{Mode, Progress};
use super::reach::Reach;
use super::verify::Again;

/// What a release has to pass.
#[derive(Debug, clap::Args)]
pub(super) struct GateArgs {
    /// A file that says what each environment asks of an image (docs/releases.md): LITH_POLICY
    #[arg(long, value_name = "FILE", env = "LITH_POLICY", hide_env = true)]
    policy: Option<PathBuf>,
    /// For the gates: the record that `lith build --record` wrote, or the verdict that `lith verify --format json`
    /// printed; may be repeated
    ///
    /// `FILE`; `FILE@sha256:…`, which has to have that digest; or `sha256:…`, an artifact of the image's own repository
    /// that is attached to the image.
    #[arg(long, value_name = "FILE[@DIGEST]|DIGEST")]
    record: Vec<String>,
    /// Build the image again from its record first, and go on only if that gives its digest; as the gate `rebuilt` does
    #[arg(long)]
    rebuild: bool,
    /// For building it again: where the build context is [default: the recorded git revision]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
}

impl GateArgs {
    /// What is known of an image, and the gates it passes; an error that names each one that is shut.
    pub(super) fn pass(
        &self,
        image: &Artifact,
        (shelf, reach): (&dyn Shelf, &Reach<'_>),
        environment: &Environment,
        now: u64,
        way: Direction<'_>,
    ) -> anyhow::Result<(Facts, Vec<String>)> {
        let rules = self.rules(environment)?;
        let digest = image.digest();
        let statements = self.statements(&digest, shelf, way)?;
        let mut facts = Facts::of(image, Evidence::of(&statements)?);
        if let Some(before) = rules.before() {
            facts.since = match Ledger::new(shelf, before).chain() {
                Ok(Chain { broken: Some(error), .. }) => return Err(error.into()),
                Ok(chain) => chain.since(&digest),
                Err(ReleaseError::Empty(_)) => None,
                Err(error) => return Err(error.into()),
            };
        }
        let mut refusals = rules.without_rebuilding().judge(&facts, now);
        if rules.rebuilt && refusals.is_empty() {
            if way.was_rebuilt() {
                facts.evidence.rebuild(&[]);
            } else {
                self.build_again(&statements, (shelf, reach), &digest, (&rules, &mut facts.evidence))?;
            }
            refusals = rules.judge(&facts, now);
        } else if rules.rebuilt {
            let why = "it has not been built again, as other gates are shut".to_owned();
            refusals.push(Refusal { gate: REBUILT, why, wants: "open those first".into() });
        }
        if refusals.is_empty() {
            return Ok((facts, rules.gates().into_iter().map(Into::into).collect()));
        }
        Err(refused(environment, &digest.to_string(), &refusals).into())
    }

    fn rules(&self, environment: &Environment) -> anyhow::Result<Rules> {
        let Some(path) = &self.policy else {
            return Ok(Rules { rebuilt: self.rebuild, ..Rules::default() });
        };
        let reading = || format!("reading the policy in `{}`", path.display());
        let text = std::fs::read_to_string(path).with_context(reading)?;
        let policy =
            Policy::parse(&text).map_err(|error| Hinted::usage(format!("{}: {error}", reading())))?;
        let rules = policy.rules(environment).ok_or_else(|| {
            let known: Vec<String> = policy.environments().map(|name| format!("`{name}`")).collect();
            let text =
                format!("the policy in `{}` does not know the environment `{environment}`", path.display());
            Hinted::usage(text).hint(format!(
                "it has {}; an empty `[environment.{environment}]` asks for nothing",
                known.join(", ")
            ))
        })?;
        Ok(Rules { rebuilt: rules.rebuilt || self.rebuild, ..rules })
    }

    /// Builds the image again from each record of it.
    fn build_again(
        &self,
        statements: &[Testimony],
        (shelf, reach): (&dyn Shelf, &Reach<'_>),
        image: &Digest,
        (rules, evidence): (&Rules, &mut Evidence),
    ) -> anyhow::Result<()> {
        let found = Place::parse(&place_of(shelf, &image.to_string()))?.read(reach, None)?;
        for record in statements.iter().filter_map(Testimony::record) {
            let source = self.source.as_deref().map(ContextSpec::parse).transpose().map_err(Hinted::usage)?;
            if let Some(why) = proves_nothing(record, &found.artifact, (rules, source.as_ref()), reach)? {
                evidence.rebuild(&[why]);
                break;
            }
            tell("building the image again, from its record");
            let again = Again { source, ..Again::default() };
            let verdict = again.build(record, &found, reach, &Progress::new(Mode::Plain))?;
            let reasons = match verdict {
                Ok(verdict) if verdict.passed() => Vec::new(),
                Ok(verdict) if verdict.reasons.is_empty() => vec!["it is another image".to_owned()],
                Ok(verdict) => verdict.reasons,
                Err(error) => vec![causes(&error)],
            };
            evidence.rebuild(&reasons);
            if !reasons.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What is said of this digest. Statements about others are an error, as somebody has mixed them up, but where there are
    /// several images to choose from.
    fn statements(
        &self,
        image: &Digest,
        shelf: &dyn Shelf,
        way: Direction<'_>,
    ) -> anyhow::Result<Vec<Testimony>> {
        let mut statements = Vec::new();
        for name in &self.record {
            let text = match name.parse::<Digest>() {
                // Of several images, it is one's.
                Ok(artifact) => match (attached(shelf, &artifact, image), way) {
                    (Err(_), Direction::Back(_)) => continue,
                    (text, _) => text.with_context(|| format!("the record `{name}`"))?,
                },
                Err(_) => read_record(name)?,
            };
            let statement = Testimony::parse(&text).map_err(|error| {
                let hint =
                    "give what `lith build --record` writes, or what `lith verify --format json` prints";
                Hinted::new(format!("the record `{name}`: {error}")).hint(hint)
            })?;
            if statement.is_of(image) {
                statements.push(statement);
            } else if matches!(way, Direction::On) {
                let error = Hinted::new(format!("the record `{name}` is of another image"));
                return Err(error.hint(format!("`{image}` is to be released")).into());
            }
        }
        Ok(statements)
    }
}

/// Why building an image again from a record would not prove what the gates go by.
fn proves_nothing(
    record: &Record,
    image: &Artifact,
    (rules, source): (&Rules, Option<&ContextSpec>),
    reach: &Reach<'_>,
) -> anyhow::Result<Option<String>> {
    let definition = &record.predicate.build_definition;
    if is_its_own_base(&definition.internal_parameters.lock, image) {
        return Ok(Some("the record has it built from itself".to_owned()));
    }
    let gate = match (rules.sources.is_empty(), rules.clean) {
        (false, _) => "sources",
        (true, true) => "clean",
        (true, false) => return Ok(None),
    };
    let Some(source) = source else { return Ok(None) };
    let recorded = definition.external_parameters.source.as_ref();
    let is_it = match recorded {
        Some(recorded) => is_revision(source, recorded, !rules.sources.is_empty(), reach)?,
        None => false,
    };
    let why = || {
        format!(
            "`--source` is not the recorded commit of the recorded repository, by which the gate `{gate}` goes"
        )
    };
    Ok((!is_it).then(why))
}

/// Anybody can write a Buildfile that gives an image from itself.
fn is_its_own_base(lock: &Lock, image: &Artifact) -> bool {
    let own: Vec<Digest> =
        image.images().iter().map(|image| image.manifest.digest()).chain([image.digest()]).collect();
    let contexts = lock.contexts.values().map(|context| &context.image);
    let bases = lock.images.values().chain(contexts);
    let mut digests =
        bases.flat_map(|base| base.platforms.values().map(|manifest| &manifest.digest).chain([&base.digest]));
    digests.any(|digest| own.contains(digest))
}

/// Whether a source is the recorded commit, without changes; and of the recorded repository, if that counts.
fn is_revision(
    source: &ContextSpec,
    recorded: &SourceRef,
    remote_counts: bool,
    reach: &Reach<'_>,
) -> anyhow::Result<bool> {
    let environment = &reach.world.environment;
    let (remote, commit) = match source {
        ContextSpec::Folder(folder) => {
            let env = git_environment(&environment.for_helpers(), environment.temp());
            match revision(folder, &env)? {
                Some(Revision { remote, commit, dirty: false, .. }) => (remote, commit),
                _ => return Ok(false),
            }
        }
        ContextSpec::Git(git) => {
            let commit = match (&git.commit, &git.reference) {
                (Pin::Pinned(commit), _) | (Pin::Unpinned, Some(commit)) => commit.clone(),
                (Pin::Unpinned, None) => return Ok(false),
            };
            (Some(lith::http::split(&git.remote).0), commit)
        }
        _ => return Ok(false),
    };
    let is_repository = !remote_counts || (remote.is_some() && remote == recorded.remote);
    Ok(is_repository && commit == recorded.commit)
}

/// `FILE`, or `FILE@DIGEST`.
fn read_record(name: &str) -> anyhow::Result<Vec<u8>> {
    let wanted =
        name.rsplit_once('@').and_then(|(path, digest)| Some((path, digest.parse::<Digest>().ok()?)));
    let (path, wanted) = wanted.map_or((name, None), |(path, digest)| (path, Some(digest)));
    let text = super::verify::read(Path::new(path))?;
    let found = Digest::of(&text);
    match wanted {
        Some(wanted) if wanted != found => {
            Err(Hinted::new(format!("the record `{path}` has the digest `{found}`; expected `{wanted}`"))
                .into())
        }
        _ => Ok(text),
    }
}

/// Whether an environment moves on, to an image that has to be the one that statements are of, or back to one of several.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction<'a> {
    On,
    Back(&'a Entry),
}

impl Direction<'_> {
    /// It was built again when it was released, and a digest does not go bad.
    fn was_rebuilt(self) -> bool {
        matches!(self, Self::Back(entry) if entry.gates.iter().any(|gate| gate == REBUILT))
    }
}

fn refused(environment: &Environment, digest: &str, refusals: &[Refusal]) -> Hinted {
    let gates: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("\n  {}: {}; to open it: {}", refusal.gate, refusal.why, refusal.wants))
        .collect();
    Hinted::new(format!("`{environment}` does not take `{digest}`:{}", gates.concat()))
}
