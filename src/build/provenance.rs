//! The record of a build, for who builds the image again: what was asked for, what was resolved, what was read.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Built, Outside, OutsideError, Request};
use crate::attest::files::FileList;
use crate::attest::provenance::{self, BuildfileRef, External, Facts, Internal, Record, SourceRef};
use crate::buildfile::Source;
use crate::buildfile::check::sounds_secret;
use crate::context::ContextSpec;
use crate::context::git::{self, GitError};
use crate::layer::FORMAT_PROFILE;
use crate::oci::Digest;
use crate::plan::ContextName;
use crate::store::files::read_bounded;
use crate::tree::ContentError;

/// Why there is no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    #[error("a record needs to know the files that were read, and `{0}` can't be read")]
    Content(#[from] ContentError),
    #[error(transparent)]
    Outside(#[from] OutsideError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("reading the lock file `{path}`: {error}")]
    Lock { path: String, error: std::io::Error },
    #[error("nothing was noted of what was resolved")]
    NoLock,
}

impl Outside {
    /// The files that were read of each context, by its name; the main one's is empty.
    pub fn file_lists(
        &self,
        built: &Built,
        threads: usize,
    ) -> Result<BTreeMap<String, FileList>, ContentError> {
        let list = |(name, files): (&ContextName, &_)| {
            let name = match name {
                ContextName::Main => String::new(),
                ContextName::Named(name) => name.clone(),
            };
            Ok((name, FileList::of(files, threads)?))
        };
        built.materials.iter().map(list).collect()
    }

    /// A file of the main context, whatever the ignore file says of it.
    pub fn read_in_context(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, OutsideError> {
        if let Some(ContextSpec::Folder(root)) = &self.contexts.main {
            return Ok(read_bounded(&root.join(path), limit).ok());
        }
        let opened = self.open(&ContextName::Main)?;
        let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
        let Ok(path) = crate::tree::ImagePath::clamped(bytes) else { return Ok(None) };
        let Some(content) = opened.whole.get(&path).and_then(crate::tree::Node::content) else {
            return Ok(None);
        };
        Ok(content.read_bounded(limit).map_err(crate::context::ContextError::from)?)
    }

    /// The revision that the main context is of.
    fn revision(&self) -> Result<Option<SourceRef>, ProvenanceError> {
        match &self.contexts.main {
            Some(ContextSpec::Folder(root)) => {
                let found = git::revision(root, &self.git_environment())?;
                Ok(found.map(|git::Revision { remote, commit, folder, dirty }| SourceRef {
                    remote,
                    commit,
                    folder,
                    dirty,
                }))
            }
            Some(ContextSpec::Git(git)) => {
                let opened = self.open(&ContextName::Main)?;
                Ok(opened.commit().map(|commit| SourceRef {
                    remote: Some(crate::http::split(&git.remote).0),
                    commit: commit.to_owned(),
                    folder: git.subdir.clone(),
                    dirty: false,
                }))
            }
            _ => Ok(None),
        }
    }

    /// A path of this machine as one in the context.
    fn in_context(&self, path: &Path) -> Option<String> {
        let Some(ContextSpec::Folder(root)) = &self.contexts.main else { return None };
        let (path, root) = (path.canonicalize().ok()?, root.canonicalize().ok()?);
        path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
    }

    /// Which file of the context the Buildfile is.
    fn build_file_in_context(&self, source: &Source) -> Option<String> {
        match self.build_file() {
            Some(path) => self.in_context(path),
            None => Some(source.name().to_owned()).filter(|name| name != "-"),
        }
    }
}

/// The record of what was built, which is called `names`. The outside has to have been told to note what is resolved, and
/// the request to collect the files that steps read.
pub fn provenance(
    source: &Source,
    request: &Request,
    outside: &Outside,
    built: &Built,
    names: &[String],
) -> Result<Record, ProvenanceError> {
    let used = built.used.clone().ok_or(ProvenanceError::NoLock)?;
    let file = outside.with_lock(|memo| Some((memo.path()?.to_owned(), memo.is_inside()))).flatten();
    let lock_file = file.map(|(path, is_inside)| {
        let failed = |error| ProvenanceError::Lock { path: path.display().to_string(), error };
        if is_inside {
            let bytes = outside.read_in_context(&path, crate::lock::MAX_BYTES)?;
            let bytes = bytes.ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
            return Ok((Some(path.to_string_lossy().into_owned()), Digest::of(&bytes)));
        }
        let digest = Digest::of(&read_bounded(&path, crate::lock::MAX_BYTES).map_err(failed)?);
        Ok::<_, ProvenanceError>((outside.in_context(&path), digest))
    });
    let external = external(source, request, outside)?;
    let epoch = built.epoch.seconds();
    let internal = Internal { profile: FORMAT_PROFILE, epoch, hermetic: built.hermetic, lock: used };
    Ok(provenance::record(Facts {
        image: &built.artifact.digest(),
        names,
        external,
        internal,
        lock_file: lock_file.transpose()?,
        contexts: outside.file_lists(built, request.threads)?,
    }))
}

fn external(source: &Source, request: &Request, outside: &Outside) -> Result<External, ProvenanceError> {
    let run = &request.run;
    let (secret, told): (BTreeMap<_, _>, BTreeMap<_, _>) =
        request.build_args.clone().into_iter().partition(|(name, _)| sounds_secret(name));
    let buildfile = BuildfileRef {
        path: outside.build_file_in_context(source),
        digest: Digest::of(source.text().as_bytes()),
    };
    Ok(External {
        buildfile,
        source: outside.revision()?,
        contexts: outside.contexts.named.iter().map(|(name, spec)| (name.clone(), told_of(spec))).collect(),
        build_args: told,
        secret_build_args: secret.into_keys().collect(),
        target: request.target.clone(),
        platforms: request.platforms.iter().map(ToString::to_string).collect(),
        labels: request.labels.clone(),
        annotations: request.annotations.clone(),
        index_annotations: request.index_annotations.clone(),
        context_modes: request.modes.map(|modes| modes.to_string()),
        source_date_epoch: request.epoch.map(crate::oci::Epoch::seconds),
        compression: request.compression.to_string(),
        network: run.network.to_string(),
        allow: run.allow.iter().map(ToString::to_string).collect(),
        clock: run.clock.map(|clock| clock.to_string()),
        cleaners: run.cleaners.to_string(),
        secrets: run.secrets.keys().cloned().collect(),
        ssh: run.ssh.keys().cloned().collect(),
    })
}

/// Of what is on one machine alone, the kind.
fn told_of(spec: &ContextSpec) -> String {
    match spec {
        ContextSpec::Image(name) => format!("docker-image://{}", name.familiar()),
        ContextSpec::Folder(_) => "folder".to_owned(),
        ContextSpec::Archive(_) => "archive".to_owned(),
        ContextSpec::Stdin => "stdin".to_owned(),
        ContextSpec::Git(_) => "git".to_owned(),
        ContextSpec::Url(_) => "url".to_owned(),
        ContextSpec::ImageAt(..) => "image".to_owned(),
    }
}
