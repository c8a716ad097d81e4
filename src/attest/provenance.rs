//! The record of a build: SLSA provenance v1, with all that it takes to build the image again.
//!
//! What lith's version is stands in it and decides nothing; there is no time and no name of a machine in it. Of build
//! arguments that sound like secrets the name alone is told.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::files::{self, FileList};
use super::{Resource, STATEMENT, Statement, Tool, digest_set};
use crate::lock::Lock;
use crate::oci::Digest;

/// What the predicate is.
pub const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// How what it says is to be read; another reading has another name.
pub const BUILD_TYPE: &str = "urn:x-lith:build:buildfile:v1";
const BUILDER: &str = "urn:x-lith:builder";
/// What the lock file is called among the dependencies.
const LOCK_FILE: &str = "lock";

/// The record of a build.
pub type Record = Statement<Provenance>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    pub build_definition: Definition,
    pub run_details: Details,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    pub build_type: String,
    pub external_parameters: External,
    pub internal_parameters: Internal,
    pub resolved_dependencies: Vec<Resource>,
}

/// What was asked for. Nothing of it may be unknown to who builds it again, and what isn't marked so may not be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct External {
    pub buildfile: BuildfileRef,
    /// None where the context is no git checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceRef>,
    /// Of each named context, what it was given as; of a folder or an archive, which is on one machine alone, its kind.
    pub contexts: BTreeMap<String, String>,
    pub build_args: BTreeMap<String, String>,
    /// Names of those whose values are not told.
    pub secret_build_args: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Empty for the default platform.
    pub platforms: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub index_annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_modes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_date_epoch: Option<u64>,
    pub compression: String,
    pub network: String,
    pub allow: Vec<String>,
    /// None for that of the Buildfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    pub cleaners: String,
    /// The ids of secrets and agents that were given.
    pub secrets: BTreeSet<String>,
    pub ssh: BTreeSet<String>,
}

/// Which file the Buildfile was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildfileRef {
    /// In the context; none for one that was elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub digest: Digest,
}

/// The revision that the context was a checkout of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceRef {
    /// None for a repository without a remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    pub commit: String,
    /// Which folder of it the context is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Files were not as the commit has them.
    pub dirty: bool,
}

/// What lith decided. Nothing of it may be unknown, either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Internal {
    /// The format profile of the image contract.
    pub profile: u32,
    /// The time in the image.
    pub epoch: u64,
    /// No step had a network.
    pub hermetic: bool,
    /// All that was resolved, as a lock file has it.
    pub lock: Lock,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    pub builder: Tool,
    /// The lists of files that the digests of contexts are of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
}

/// Why a record can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    #[error("it is not what lith writes: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its {what} is `{found}`, expected `{expected}`")]
    Kind { what: &'static str, expected: String, found: String },
    #[error("it does not have {0}")]
    Missing(String),
    #[error("it contradicts itself: {0}")]
    Contradiction(String),
}

/// What a record is made of, beside what was asked for.
#[derive(Debug)]
pub struct Facts<'a> {
    pub image: &'a Digest,
    pub names: &'a [String],
    pub external: External,
    pub internal: Internal,
    /// The lock file that was used: its path in the context, if it is there, and the digest of its bytes.
    pub lock_file: Option<(Option<String>, Digest)>,
    /// By the name of the context; the main one's is empty.
    pub contexts: BTreeMap<String, FileList>,
}

/// The record of a build.
pub fn record(facts: Facts<'_>) -> Record {
    let subject = match facts.names {
        [] => vec![Resource::new("_", facts.image)],
        names => names.iter().map(|name| Resource::new(name, facts.image)).collect(),
    };
    let lock_file = facts.lock_file.as_ref().map(|(path, digest)| of_lock_file(path.as_deref(), digest));
    let (external, lock) = (&facts.external, &facts.internal.lock);
    let resolved_dependencies = dependencies(external, lock, lock_file, &facts.contexts);
    let byproducts = facts.contexts.iter().map(|(name, list)| Resource {
        media_type: Some(files::MEDIA_TYPE.to_owned()),
        content: Some(STANDARD.encode(list.bytes())),
        ..Resource::new(context_name(name), &list.digest())
    });
    let run_details = Details { builder: Tool::lith(BUILDER), byproducts: byproducts.collect() };
    let Facts { external, internal, .. } = facts;
    let build_definition = Definition {
        build_type: BUILD_TYPE.to_owned(),
        external_parameters: external,
        internal_parameters: internal,
        resolved_dependencies,
    };
    Statement {
        kind: STATEMENT.to_owned(),
        subject,
        predicate_type: PREDICATE.to_owned(),
        predicate: Provenance { build_definition, run_details },
    }
}

fn of_lock_file(path: Option<&str>, digest: &Digest) -> Resource {
    let annotations = path.map(|path| ("path".to_owned(), path.into())).into_iter().collect();
    Resource { annotations, ..Resource::new(LOCK_FILE, digest) }
}

fn context_name(name: &str) -> String {
    if name.is_empty() { "context".to_owned() } else { format!("context:{name}") }
}

fn dependencies(
    external: &External,
    lock: &Lock,
    lock_file: Option<Resource>,
    contexts: &BTreeMap<String, FileList>,
) -> Vec<Resource> {
    let mut found = vec![Resource::new("buildfile", &external.buildfile.digest)];
    if let Some(source) = &external.source {
        found.push(Resource {
            name: Some("source".to_owned()),
            uri: source.remote.as_deref().map(git_uri),
            digest: [("gitCommit".to_owned(), source.commit.clone())].into(),
            ..Resource::default()
        });
    }
    for (name, list) in contexts {
        let media_type = Some(files::MEDIA_TYPE.to_owned());
        found.push(Resource { media_type, ..Resource::new(context_name(name), &list.digest()) });
    }
    found.extend(lock_file);
    found.extend(of_lock(lock));
    found
}

/// The dependencies that a record has and those that it ought to have, by all else that it says, where they differ: the
/// first are there for nothing, the second are missing.
pub fn odd_dependencies(record: &Record) -> Result<(Vec<&Resource>, Vec<Resource>), RecordError> {
    let Definition { external_parameters: external, internal_parameters: internal, .. } =
        &record.predicate.build_definition;
    let mut contexts = BTreeMap::new();
    for name in external.contexts.keys().map(String::as_str).chain([""]) {
        contexts.extend(files_of(record, name)?.map(|list| (name.to_owned(), list)));
    }
    // Made anew: of what the record has there, nothing counts but these.
    let lock_file = lock_file(record).map(|file| of_lock_file(file.path, &file.digest));
    let mut wanted = dependencies(external, &internal.lock, lock_file, &contexts);
    let found = &record.predicate.build_definition.resolved_dependencies;
    let odd = found.iter().filter(|resource| !wanted.contains(resource)).collect();
    wanted.retain(|resource| !found.contains(resource));
    Ok((odd, wanted))
}

/// The byproducts that are not the list of files of a context which the record depends on, or one too many of it.
pub fn odd_byproducts(record: &Record) -> Vec<&Resource> {
    let external = &record.predicate.build_definition.external_parameters;
    let mut names: BTreeSet<String> =
        external.contexts.keys().map(String::as_str).chain([""]).map(context_name).collect();
    names.retain(|name| dependency(record, name).is_ok());
    let byproducts = record.predicate.run_details.byproducts.iter();
    byproducts.filter(|found| !found.name.as_ref().is_some_and(|name| names.remove(name))).collect()
}

/// A repository's address as a URI: that of ssh may be written in a way that is none.
fn git_uri(remote: &str) -> String {
    if remote.starts_with('/') {
        return format!("git+file://{remote}");
    }
    let (address, rest) = remote.split_at(remote.find(['#', '?']).unwrap_or(remote.len()));
    match address.split_once(':') {
        Some((host, path)) if !path.starts_with("//") && !host.contains('/') => {
            format!("git+ssh://{host}/{}{rest}", path.trim_start_matches('/'))
        }
        _ => format!("git+{remote}"),
    }
}

/// What a lock names.
fn of_lock(lock: &Lock) -> Vec<Resource> {
    let contexts = lock.contexts.iter().map(|(name, context)| (name, &context.image));
    let mut found = Vec::new();
    for (name, image) in lock.images.iter().chain(contexts) {
        let media_type = Some(image.media_type.to_string());
        found.push(Resource { media_type, ..Resource::new(name, &image.digest) });
        for (platform, manifest) in &image.platforms {
            if manifest.digest != image.digest {
                let platform = [("platform".to_owned(), platform.to_string().into())].into();
                let media_type = Some(manifest.media_type.to_string());
                let resource = Resource::new(name, &manifest.digest);
                found.push(Resource { media_type, annotations: platform, ..resource });
            }
        }
    }
    let url = |(url, digest): (&String, &Digest)| Resource {
        uri: Some(url.clone()),
        digest: digest_set(digest),
        ..Resource::default()
    };
    found.extend(lock.urls.iter().map(|(name, known)| url((name, &known.digest))));
    // Answers without a body are in the lock alone.
    found.extend(lock.network.iter().filter_map(|(name, known)| Some(url((name, known.digest.as_ref()?)))));
    found.extend(lock.git.iter().map(|(name, known)| Resource {
        uri: Some(git_uri(name)),
        digest: [("gitCommit".to_owned(), known.commit.as_str().to_owned())].into(),
        ..Resource::default()
    }));
    found
}

/// Reads a record. What building it again needs is in it, and agrees with the rest of it.
pub fn parse(text: &[u8]) -> Result<Record, RecordError> {
    let value: serde_json::Value = serde_json::from_slice(text)?;
    expect("`_type`", &value["_type"], &[STATEMENT])?;
    expect("`predicateType`", &value["predicateType"], &[PREDICATE])?;
    expect("`buildType`", &value["predicate"]["buildDefinition"]["buildType"], &[BUILD_TYPE])?;
    let record: Record = serde_json::from_value(value)?;
    check(&record)?;
    Ok(record)
}

/// A text that says what a statement is.
pub(super) fn expect(
    what: &'static str,
    value: &serde_json::Value,
    expected: &[&'static str],
) -> Result<(), RecordError> {
    match value.as_str() {
        Some(found) if expected.contains(&found) => Ok(()),
        found => {
            let found = crate::text::shown(found.unwrap_or("nothing"));
            Err(RecordError::Kind { what, expected: expected.join("` or `"), found })
        }
    }
}

fn check(record: &Record) -> Result<(), RecordError> {
    let definition = &record.predicate.build_definition;
    if record.subject.is_empty() {
        return Err(RecordError::Missing("a subject".into()));
    }
    let found = &definition.resolved_dependencies;
    for wanted in of_lock(&definition.internal_parameters.lock) {
        if !found.contains(&wanted) {
            let name = wanted.name.or(wanted.uri).unwrap_or_default();
            let text = format!("its lock has `{name}` with a digest that its dependencies have not");
            return Err(RecordError::Contradiction(text));
        }
    }
    let buildfile = dependency(record, "buildfile")?;
    if !buildfile.is(&definition.external_parameters.buildfile.digest) {
        return Err(RecordError::Contradiction("it has two digests of the Buildfile".into()));
    }
    files_of(record, "").map(drop)
}

fn dependency<'a>(record: &'a Record, name: &str) -> Result<&'a Resource, RecordError> {
    let all = &record.predicate.build_definition.resolved_dependencies;
    let found = all.iter().find(|resource| resource.name.as_deref() == Some(name));
    found.ok_or_else(|| RecordError::Missing(format!("the dependency `{name}`")))
}

/// The lock file that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile<'a> {
    /// In the context, if it was there.
    pub path: Option<&'a str>,
    pub digest: Digest,
}

/// The lock file that was used; none where the record does not say it as lith does.
pub fn lock_file(record: &Record) -> Option<LockFile<'_>> {
    let definition = &record.predicate.build_definition;
    // An image may be called so, too.
    let others = of_lock(&definition.internal_parameters.lock);
    let mut all = definition.resolved_dependencies.iter();
    let lock = all.find(|one| one.name.as_deref() == Some(LOCK_FILE) && !others.contains(one))?;
    let path = match lock.annotations.get("path") {
        Some(path) => Some(path.as_str()?),
        None => None,
    };
    let (algorithm, hex) = lock.digest.first_key_value()?;
    Some(LockFile { path, digest: format!("{algorithm}:{hex}").parse().ok()? })
}

/// The files that steps read of a context, `""` for the main one; none if they read nothing of it.
pub fn files_of(record: &Record, name: &str) -> Result<Option<FileList>, RecordError> {
    let name = context_name(name);
    let Ok(known) = dependency(record, &name) else { return Ok(None) };
    let all = &record.predicate.run_details.byproducts;
    let list = all.iter().find(|resource| resource.name.as_deref() == Some(&*name));
    let missing = || RecordError::Missing(format!("the list of files of `{name}`"));
    let content = list.and_then(|list| list.content.as_deref()).ok_or_else(missing)?;
    let bytes = STANDARD.decode(content).map_err(|_| missing())?;
    let list: FileList = serde_json::from_slice(&bytes)?;
    if !known.is(&list.digest()) {
        return Err(RecordError::Contradiction(format!("the list of files of `{name}` has another digest")));
    }
    Ok(Some(list))
}

/// The record's text: canonical JSON, and a line feed.
pub fn text(record: &Record) -> Vec<u8> {
    let mut bytes = crate::oci::canonical::to_vec(record).expect("its maps have texts as keys");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::git_uri;

    #[test]
    fn repositories_are_named_by_uris() {
        for (remote, uri) in [
            ("https://h/a/b", "git+https://h/a/b"),
            ("https://h:8443/a.git#main", "git+https://h:8443/a.git#main"),
            ("ssh://git@h:22/a", "git+ssh://git@h:22/a"),
            ("git@h:a/b.git", "git+ssh://git@h/a/b.git"),
            ("git@h:/srv/a#v1:x", "git+ssh://git@h/srv/a#v1:x"),
            ("/srv/a", "git+file:///srv/a"),
            ("file:///srv/a", "git+file:///srv/a"),
        ] {
            assert_eq!(git_uri(remote), uri);
        }
    }
}
