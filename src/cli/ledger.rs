//! What the subcommands about releases have in common: where a ledger is, who writes and when, and what a policy asks.

use std::path::PathBuf;

use anyhow::Context as _;
use lith::image::Artifact;
use lith::oci::{Descriptor, Digest, Epoch};
use lith::release::{
    Author, Chain, Entry, Environment, Evidence, Facts, Kind, LayoutShelf, Ledger, Link, Policy, Refusal,
    RegistryShelf, ReleaseError, Rules, Shelf, Testimony, Verdict,
};
use lith::text::escaped;
use lith::transport::{Choice, ImageFormat};
use serde_json::{Value, json};

use super::World;
use super::error::Hinted;
use super::place::{Place, check_target, parse_remote, parse_repository};
use super::reach::{Reach, not_there};

/// `--repo`
#[derive(Debug, clap::Args)]
pub(super) struct RepoArg {
    /// Where the environment's images are: `REGISTRY/NAME` or `oci:DIR`; LITH_REPO
    #[arg(long, value_name = "REPOSITORY", env = "LITH_REPO", hide_env = true)]
    repo: Option<String>,
}

/// Who writes an entry, and why.
#[derive(Debug, clap::Args)]
pub(super) struct AuthorArgs {
    /// Why, in a few words
    #[arg(
        short = 'm',
        long = "message",
        value_name = "REASON",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    /// Who: LITH_ACTOR, or [default: who started the job, or the user]
    #[arg(long, value_name = "NAME", env = "LITH_ACTOR", hide_env = true)]
    actor: Option<String>,
}

/// What a release has to pass.
#[derive(Debug, clap::Args)]
pub(super) struct GateArgs {
    /// A file that says what each environment asks of an image (docs/releases.md): LITH_POLICY
    #[arg(long, value_name = "FILE", env = "LITH_POLICY", hide_env = true)]
    policy: Option<PathBuf>,
    /// For the gates: the record that `lith build --record` wrote, or the verdict that `lith verify --format json`
    /// printed; may be repeated
    #[arg(long, value_name = "FILE")]
    record: Vec<PathBuf>,
}

impl RepoArg {
    pub(super) fn shelf<'a>(&self, reach: &'a Reach<'_>) -> anyhow::Result<Box<dyn Shelf + 'a>> {
        let text = self.repo.as_deref().ok_or_else(|| {
            Hinted::usage("it is not said where the environment's images are")
                .hint("name the repository with `--repo REGISTRY/NAME`, or set LITH_REPO")
        })?;
        shelf(text, reach)
    }
}

/// A repository or a layout, as it is typed.
pub(super) fn shelf<'a>(text: &str, reach: &'a Reach<'_>) -> anyhow::Result<Box<dyn Shelf + 'a>> {
    if let Place::At(ImageFormat::OciLayout, folder) = Place::parse(text)? {
        return Ok(Box::new(LayoutShelf::new(folder.into())));
    }
    Ok(Box::new(RegistryShelf::new(reach.registries()?, parse_repository(text)?)))
}

/// An image where it is released: the place, what it is, and what it was called.
pub(super) struct Found<'a> {
    pub(super) shelf: Box<dyn Shelf + 'a>,
    pub(super) root: Descriptor,
    pub(super) tags: Vec<String>,
}

impl<'a> Found<'a> {
    pub(super) fn new(text: &str, reach: &'a Reach<'_>) -> anyhow::Result<Self> {
        match Place::parse(text)? {
            Place::At(ImageFormat::OciLayout, text) => {
                let (folder, choice) = Choice::split(&text);
                let layout = lith::transport::Layout::open(&folder, &choice)?;
                let root = lith::transport::Source::root(&layout).clone();
                let tags = match choice {
                    Choice::Tag(tag) => vec![tag],
                    _ => Vec::new(),
                };
                Ok(Self { shelf: Box::new(LayoutShelf::new(folder)), root, tags })
            }
            Place::Name(_) | Place::Registry(_) => {
                let name = parse_remote(text)?;
                check_target(&name, text)?;
                let registries = reach.registries()?;
                let root = registries.resolve(&name)?.ok_or_else(|| not_there(&name))?;
                let tags = name.tag().map(Into::into).into_iter().collect();
                Ok(Self { shelf: Box::new(RegistryShelf::new(registries, (&name).into())), root, tags })
            }
            Place::At(..) | Place::Store(_) | Place::Daemon(_) => {
                let error = Hinted::usage(format!("`{text}` is no place that releases are kept in"));
                Err(error.hint("push it: releases are kept in a registry, or in a layout (`oci:DIR`)").into())
            }
        }
    }
}

impl AuthorArgs {
    pub(super) fn author(&self, world: &World) -> Author {
        const JOBS: [&str; 4] = ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "LOGNAME"];
        let known = || JOBS.iter().find_map(|name| world.environment.get(name)).map(str::to_owned);
        let actor = self.actor.clone().or_else(known).unwrap_or_else(|| "unknown".into());
        Author { time: now(), actor, reason: self.reason.clone() }
    }
}

/// Seconds since 1970: a release is an event, and no part of an image.
#[expect(clippy::disallowed_methods, reason = "when something was released is what a ledger is for")]
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl GateArgs {
    /// What is known of an image, and the gates it passes; an error that names each one that is shut.
    pub(super) fn pass(
        &self,
        image: &Artifact,
        shelf: &dyn Shelf,
        environment: &Environment,
        now: u64,
        others: Others,
    ) -> anyhow::Result<(Facts, Vec<String>)> {
        let rules = self.rules(environment)?;
        let digest = image.digest();
        let mut facts = Facts::of(image, self.evidence(&digest, others)?);
        if let Some(before) = rules.before() {
            facts.since = match Ledger::new(shelf, before).chain() {
                Ok(Chain { broken: Some(error), .. }) => return Err(error.into()),
                Ok(chain) => chain.since(&digest),
                Err(ReleaseError::Empty(_)) => None,
                Err(error) => return Err(error.into()),
            };
        }
        let refusals = rules.judge(&facts, now);
        if refusals.is_empty() {
            return Ok((facts, rules.gates().into_iter().map(Into::into).collect()));
        }
        Err(refused(environment, &digest.to_string(), &refusals).into())
    }

    fn rules(&self, environment: &Environment) -> anyhow::Result<Rules> {
        let Some(path) = &self.policy else { return Ok(Rules::default()) };
        let reading = || format!("reading the policy in `{}`", path.display());
        let text = std::fs::read_to_string(path).with_context(reading)?;
        Ok(Policy::parse(&text)
            .map_err(|error| Hinted::usage(format!("{}: {error}", reading())))?
            .rules(environment))
    }

    /// What statements say of this digest. Others are an error, as somebody has mixed them up, but where there are
    /// several images to choose from.
    fn evidence(&self, image: &Digest, others: Others) -> anyhow::Result<Evidence> {
        let mut statements = Vec::new();
        for path in &self.record {
            let text = super::verify::read(path)?;
            let statement = Testimony::parse(&text).map_err(|error| {
                let hint =
                    "give what `lith build --record` writes, or what `lith verify --format json` prints";
                Hinted::new(format!("the record `{}`: {error}", path.display())).hint(hint)
            })?;
            if statement.is_of(image) {
                statements.push(statement);
            } else if others == Others::Refused {
                let error = Hinted::new(format!("the record `{}` is of another image", path.display()));
                return Err(error.hint(format!("`{image}` is to be released")).into());
            }
        }
        Ok(Evidence::of(&statements)?)
    }
}

/// What becomes of statements about other images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    Refused,
    PassedOver,
}

fn refused(environment: &Environment, digest: &str, refusals: &[Refusal]) -> Hinted {
    let gates: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("\n  {}: {}; to open it: {}", refusal.gate, refusal.why, refusal.wants))
        .collect();
    Hinted::new(format!("`{environment}` does not take `{digest}`:{}", gates.concat()))
}

/// An entry as data.
pub(super) fn entry_json(link: &Link, chain: &Chain) -> Value {
    let mut value = json!(link.entry);
    value["entry"] = json!(link.descriptor.digest().to_string());
    value["digest"] = json!(link.entry.digest());
    value["when"] = json!(when(&link.entry));
    value["current"] = json!(chain.current() == Some(link));
    if let (true, Some(verdict)) = (link.entry.moves(), chain.verdict(link.entry.number)) {
        value["verdict"] = json!(verdict);
    }
    value
}

pub(super) fn when(entry: &Entry) -> String {
    Epoch::from_seconds(entry.time).unwrap_or_default().rfc3339()
}

/// What an entry does, in words.
pub(super) fn what(entry: &Entry) -> String {
    match entry.kind {
        Kind::Release => "release".into(),
        Kind::Rollback { to } => format!("rollback to {to}"),
        Kind::Mark { of, verdict: Verdict::Bad } => format!("mark {of} bad"),
        Kind::Mark { of, verdict: Verdict::Good } => format!("mark {of} good"),
    }
}

/// `REPOSITORY:ENV@DIGEST`
pub(super) fn pinned(shelf: &dyn Shelf, environment: &Environment, entry: &Entry) -> String {
    format!("{}:{environment}@{}", escaped(&shelf.name()), entry.digest())
}
