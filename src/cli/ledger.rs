//! What the subcommands about releases have in common: where a ledger is, who writes and when.

use lith::oci::{Descriptor, Epoch};
use lith::release::{
    Author, Chain, Entry, Environment, Kind, LayoutShelf, Link, RegistryShelf, Shelf, Verdict,
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
    /// Who it is [default: LITH_ACTOR, who started the CI job, the user's name, or `uid:NUMBER`]
    #[arg(long, value_name = "NAME", env = "LITH_ACTOR", hide_env = true)]
    actor: Option<String>,
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
        let actor = self.actor.clone().or_else(known).unwrap_or_else(|| {
            let uid = rustix::process::getuid().as_raw();
            name_of(uid, &std::fs::read_to_string("/etc/passwd").unwrap_or_default())
        });
        Author { time: now(), actor, reason: self.reason.clone() }
    }
}

/// What a user is called (passwd(5)); one that has no name has a number.
fn name_of(uid: u32, passwd: &str) -> String {
    let uid = uid.to_string();
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1) == Some(&uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(name).unwrap_or_else(|| format!("uid:{uid}"))
}

/// Seconds since 1970: a release is an event, and no part of an image.
#[expect(clippy::disallowed_methods, reason = "when something was released is what a ledger is for")]
pub(super) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
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
    match &entry.kind {
        Kind::Release => "release".into(),
        Kind::Rollback { to } => format!("rollback to {to}"),
        Kind::Mark { of, verdict: Verdict::Bad } => format!("mark {of} bad"),
        Kind::Mark { of, verdict: Verdict::Good } => format!("mark {of} good"),
        Kind::Repair { .. } => "repair".into(),
    }
}

/// A digest of a shelf, as it is typed.
pub(super) fn place_of(shelf: &dyn Shelf, digest: &str) -> String {
    let name = shelf.name();
    let scheme = if name.starts_with("oci:") { "" } else { "docker://" };
    format!("{scheme}{name}@{digest}")
}

/// `REPOSITORY:ENV@DIGEST`
pub(super) fn pinned(shelf: &dyn Shelf, environment: &Environment, entry: &Entry) -> String {
    format!("{}:{environment}@{}", escaped(&shelf.name()), entry.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_name_has_a_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:5:5\nann:x:1000:1000::/home/ann:/bin/sh\n";
        for (uid, name) in [(0, "root"), (1000, "ann"), (5, "uid:5"), (7, "uid:7")] {
            assert_eq!(name_of(uid, passwd), name);
        }
        assert_eq!(name_of(1000, ""), "uid:1000");
    }
}
