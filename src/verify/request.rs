//! What a record asks for, as a build's request. What the record has not, and nobody gave, is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use crate::attest::provenance::External;
use crate::build::{BuildFileChoice, Request};
use crate::context::ContextSpec;
use crate::exec::run::{Entitlement, RunOptions, Secret};
use crate::oci::Epoch;
use crate::plan::GitAddress;
use crate::sandbox;
use crate::text::shown;

/// What a record can't have.
#[derive(Debug, Default)]
pub struct Given {
    /// Values of those that the record doesn't tell.
    pub build_args: BTreeMap<String, String>,
    pub contexts: BTreeMap<String, ContextSpec>,
    pub secrets: BTreeMap<String, Secret>,
    pub ssh: BTreeMap<String, PathBuf>,
    /// What steps may have of this machine: that is not for whoever wrote the record to say.
    pub allow: BTreeSet<Entitlement>,
    pub sandbox: Option<sandbox::Options>,
}

/// Why what a record asks for can't be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    #[error("the record does not tell {0}")]
    NotTold(Untold),
    #[error("the record's {what} `{}` can't be read: {why}", crate::text::shown(.text))]
    Value { what: &'static str, text: String, why: String },
    #[error("the record was made of a checkout of {commit} with changes that no commit has")]
    Dirty { commit: String },
    /// Which files of this machine are looked at is not for whoever wrote the record to say.
    #[error("the record's repository `{}` is a folder of one machine", crate::text::shown(.remote))]
    OneMachine { remote: String },
    #[error("the record's build allowed its steps `{0}`")]
    NotAllowed(Entitlement),
    /// It gets it from somewhere else than whoever recorded it, and may look around here.
    #[error("line {line}: the step has the machine's network")]
    Network { line: usize },
    #[error("the build argument `{0}` was given, but the record tells what it was or has none")]
    NotAsked(String),
}

/// What a record may lack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Untold {
    /// Where the source is, or its repository.
    Source,
    Repository,
    Buildfile,
    Context(String),
    BuildArg(String),
    Secret(String),
    Ssh(String),
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source => write!(f, "where the source is"),
            Self::Repository => write!(f, "where the source's repository is"),
            Self::Buildfile => write!(f, "where the Buildfile is"),
            Self::Context(name) => write!(f, "where the context `{}` is", shown(name)),
            Self::BuildArg(name) => write!(f, "the value of the build argument `{}`", shown(name)),
            Self::Secret(id) => write!(f, "the value of the secret `{}`", shown(id)),
            Self::Ssh(id) => write!(f, "the ssh agent `{}`", shown(id)),
        }
    }
}

fn value<T: std::str::FromStr<Err: ToString>>(what: &'static str, text: &str) -> Result<T, RequestError> {
    text.parse().map_err(|why: T::Err| RequestError::Value {
        what,
        text: text.to_owned(),
        why: why.to_string(),
    })
}

pub(super) fn request(external: &External, given: &Given, threads: usize) -> Result<Request, RequestError> {
    let mut build_args = external.build_args.clone();
    for name in &external.secret_build_args {
        let value = given.build_args.get(name);
        let value = value.ok_or_else(|| RequestError::NotTold(Untold::BuildArg(name.clone())))?;
        build_args.insert(name.clone(), value.clone());
    }
    if let Some(name) = given.build_args.keys().find(|name| !external.secret_build_args.contains(*name)) {
        return Err(RequestError::NotAsked(name.clone()));
    }
    let platforms =
        external.platforms.iter().map(|text| value("platform", text)).collect::<Result<_, _>>()?;
    let modes = external.context_modes.as_ref().map(|text| value("context modes", text)).transpose()?;
    let epoch = external.source_date_epoch.map(|seconds| {
        let why = || "it is past the year 9999".to_owned();
        let text = || seconds.to_string();
        Epoch::from_seconds(seconds).ok_or_else(|| RequestError::Value {
            what: "epoch",
            text: text(),
            why: why(),
        })
    });
    Ok(Request {
        build_args,
        target: external.target.clone(),
        platforms,
        labels: external.labels.clone(),
        annotations: external.annotations.clone(),
        index_annotations: external.index_annotations.clone(),
        modes,
        epoch: epoch.transpose()?,
        compression: value("compression", &external.compression)?,
        threads,
        cache: true,
        trees: false,
        pushed_only: false,
        run: run(external, given)?,
        explain: false,
        materials: true,
    })
}

fn run(external: &External, given: &Given) -> Result<RunOptions, RequestError> {
    if let Some(id) = external.secrets.iter().find(|id| !given.secrets.contains_key(*id)) {
        return Err(RequestError::NotTold(Untold::Secret(id.clone())));
    }
    if let Some(id) = external.ssh.iter().find(|id| !given.ssh.contains_key(*id)) {
        return Err(RequestError::NotTold(Untold::Ssh(id.clone())));
    }
    let allow: BTreeSet<Entitlement> =
        external.allow.iter().map(|text| value("entitlement", text)).collect::<Result<_, _>>()?;
    if let Some(missing) = allow.difference(&given.allow).next() {
        return Err(RequestError::NotAllowed(*missing));
    }
    Ok(RunOptions {
        sandbox: given.sandbox.clone(),
        secrets: given.secrets.clone(),
        ssh: given.ssh.clone(),
        network: value("network", &external.network)?,
        no_network: !given.allow.contains(&Entitlement::NetworkHost),
        allow,
        clock: external.clock.as_ref().map(|text| value("clock", text)).transpose()?,
        cleaners: value("cleaners", &external.cleaners)?,
        ..RunOptions::default()
    })
}

/// The source: what is given, or else the recorded revision.
pub(super) fn source(external: &External, given: Option<ContextSpec>) -> Result<ContextSpec, RequestError> {
    if let Some(given) = given {
        return Ok(given);
    }
    let source = external.source.as_ref().ok_or(RequestError::NotTold(Untold::Source))?;
    if source.dirty {
        return Err(RequestError::Dirty { commit: source.commit.clone() });
    }
    let remote = source.remote.as_ref();
    let remote = remote.ok_or(RequestError::NotTold(Untold::Repository))?;
    if remote.starts_with('/') || remote.starts_with("file:") {
        return Err(RequestError::OneMachine { remote: remote.clone() });
    }
    let folder = source.folder.as_deref().unwrap_or_default();
    Ok(ContextSpec::Git(GitAddress::of_commit(remote, &source.commit, folder).git()))
}

/// The named contexts: images as the record says, by digest through its lock; others have to be given.
pub(super) fn contexts(
    external: &External,
    given: &Given,
) -> Result<BTreeMap<String, ContextSpec>, RequestError> {
    let mut found = BTreeMap::new();
    for (name, text) in &external.contexts {
        let spec = match (given.contexts.get(name), text.strip_prefix("docker-image://")) {
            (Some(spec), _) => spec.clone(),
            (None, Some(image)) => ContextSpec::Image(value("context", image)?),
            (None, None) => return Err(RequestError::NotTold(Untold::Context(name.clone()))),
        };
        found.insert(name.clone(), spec);
    }
    Ok(found)
}

/// The Buildfile: what is given, or else the recorded path in the context.
pub(super) fn file(
    external: &External,
    main: &ContextSpec,
    given: Option<PathBuf>,
) -> Result<BuildFileChoice, RequestError> {
    if let Some(path) = given {
        return Ok(BuildFileChoice::Path(path));
    }
    let path = external.buildfile.path.as_ref();
    let path = path.ok_or(RequestError::NotTold(Untold::Buildfile))?;
    let inside = crate::tree::ImagePath::new(path.as_bytes());
    if path.starts_with('/') || inside.is_err() {
        let why = "it leads out of the context".to_owned();
        return Err(RequestError::Value { what: "Buildfile", text: path.clone(), why });
    }
    Ok(BuildFileChoice::Path(match main {
        ContextSpec::Folder(root) => root.join(path),
        _ => path.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(remote: &str, commit: &str) -> Result<ContextSpec, RequestError> {
        let source =
            serde_json::json!({ "remote": remote, "commit": commit, "folder": "a/b", "dirty": false });
        let external = serde_json::json!({
            "buildfile": { "digest": crate::oci::Digest::of(b"") }, "source": source, "contexts": {}, "buildArgs": {},
            "secretBuildArgs": [], "platforms": [], "labels": {}, "annotations": {}, "indexAnnotations": {},
            "compression": "gzip", "network": "none", "allow": [], "cleaners": "default", "secrets": [], "ssh": [],
        });
        super::source(&serde_json::from_value(external).unwrap(), None)
    }

    #[test]
    fn any_remote_is_the_source() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for remote in ["https://h/team/app", "https://h/app.git", "git@h:team/app", "ssh://git@h/app"] {
            let Ok(ContextSpec::Git(git)) = read(remote, commit) else { panic!("{remote}") };
            assert_eq!((git.remote.as_str(), git.subdir.as_deref()), (remote, Some("a/b")));
            assert_eq!((git.reference, git.commit), (None, crate::plan::Pin::Pinned(commit.to_owned())));
        }
        for remote in ["/srv/app", "file:///srv/app"] {
            assert!(matches!(read(remote, commit), Err(RequestError::OneMachine { .. })), "{remote}");
        }
    }
}
