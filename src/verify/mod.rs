//! Building an image again from its record, and whether it is the same.
//!
//! It is built in a store of its own, in which nothing is but blobs that were verified by the digests of the record's lock;
//! what is missing comes from where it came from, by digest. The verdict is about the image's digest: it stands for the
//! image only if the record is of it, each input is what the record says, and what was built has that digest. All else has
//! reasons, which name what differs where that can be told.

mod compare;
mod inputs;
mod request;

pub use request::{Given, RequestError, Untold};

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::attest::Resource;
use crate::attest::provenance::{self, Record, RecordError};
use crate::build::{self, BuildError, Built, Contexts, Outside, OutsideError};
use crate::buildfile::{Diagnostic, Source};
use crate::context::ContextSpec;
use crate::exec::{Event, Report};
use crate::image::{Artifact, Blobs};
use crate::layer::FORMAT_PROFILE;
use crate::lock::{Memo, path_beside};
use crate::oci::Digest;
use crate::store::{Store, StoreError};
use crate::transport::TransportError;
use crate::tree::{ContentError, ImagePath};

/// What is verified, and with what.
pub struct Ask<'a> {
    pub record: &'a Record,
    pub image: &'a Artifact,
    /// Where the image's layers are: they are read only if what is built is another image.
    pub blobs: &'a dyn Blobs,
    /// What the record has not: values of secrets, contexts of one machine.
    pub given: Given,
    /// In place of the recorded revision.
    pub source: Option<ContextSpec>,
    /// In place of the recorded file in the context.
    pub file: Option<PathBuf>,
    /// How the outside is reached; its contexts are ignored.
    pub contexts: Contexts,
    /// Where blobs may be taken from.
    pub known: Option<&'a Arc<Store>>,
    /// What it is built in: an empty one.
    pub store: &'a Arc<Store>,
    pub threads: usize,
}

impl fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").field("image", &self.image.digest()).finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub image: Digest,
    /// What was built, if something was.
    pub rebuilt: Option<Digest>,
    /// Why it isn't the image; empty if it is.
    pub reasons: Vec<String>,
}

impl Verdict {
    pub fn passed(&self) -> bool {
        self.reasons.is_empty() && self.rebuilt.as_ref() == Some(&self.image)
    }
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Outside(#[from] OutsideError),
    #[error("building the image again: {error}")]
    Build { error: Box<BuildError>, said: Vec<Diagnostic> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// Builds the image again and compares.
pub fn verify(ask: Ask<'_>, report: &dyn Report) -> Result<Verdict, VerifyError> {
    let image = ask.image.digest();
    let failed = |reasons| Verdict { image: image.clone(), rebuilt: None, reasons };
    if !ask.record.subject.iter().all(|subject| subject.is(&image)) {
        return Ok(failed(vec!["the record is of another image".to_owned()]));
    }
    let definition = &ask.record.predicate.build_definition;
    let (external, internal) = (&definition.external_parameters, &definition.internal_parameters);
    let request = request::request(external, &ask.given, ask.threads)?;
    let main = request::source(external, ask.source)?;
    let named = request::contexts(external, &ask.given)?;
    if let Some(known) = ask.known {
        let damaged = inputs::take(&internal.lock, known, ask.store)?;
        if !damaged.is_empty() {
            return Ok(failed(damaged));
        }
    }
    let choice = request::file(external, &main, ask.file)?;
    let contexts = Contexts { main: Some(main), named, pull: false, ..ask.contexts };
    let mut outside = Outside::new(ask.store, contexts);
    let source = outside.source(&choice)?;
    let reasons = before(ask.record, &outside, &source)?;
    if !reasons.is_empty() {
        // It would be another image, or one of inputs that nobody recorded.
        return Ok(failed(reasons));
    }
    if !internal.hermetic {
        let text = "the build was not hermetic: steps had a network, and may get something else from it now";
        report.report(Event::Warning { text });
    }
    outside.set_lock(Memo::to_prove(internal.lock.clone()));
    let built = build::build(&source, &request, &mut outside, ask.store, report, &|_| {});
    let built = built.map_err(|error| failure(error, &outside))?;
    let mut reasons = after(ask.record, &outside, &built, ask.threads)?;
    if built.artifact.digest() != image && reasons.is_empty() {
        let blobs = outside.blobs()?;
        reasons.extend(compare::explain(ask.store, (ask.image, ask.blobs), (&built.artifact, &blobs)));
    }
    Ok(Verdict { image, rebuilt: Some(built.artifact.digest()), reasons })
}

/// What is not as recorded before anything is built.
fn before(record: &Record, outside: &Outside, source: &Source) -> Result<Vec<String>, VerifyError> {
    let definition = &record.predicate.build_definition;
    let mut reasons = Vec::new();
    if Digest::of(source.text().as_bytes()) != definition.external_parameters.buildfile.digest {
        reasons
            .push(format!("the Buildfile `{}` is not the recorded one", crate::text::shown(source.name())));
    }
    let found = definition.internal_parameters.profile;
    if found != FORMAT_PROFILE {
        reasons
            .push(format!("the record is of format profile {found}, and it is built with {FORMAT_PROFILE}"));
    }
    reasons.extend(false_dependencies(record)?);
    reasons.extend(odd_byproducts(record));
    reasons.extend(lock_changed(record, outside)?);
    Ok(reasons)
}

fn failure(error: BuildError, outside: &Outside) -> VerifyError {
    if let Some(line) = error.wants_network() {
        return RequestError::Network { line }.into();
    }
    let said = error.diagnostics(outside).unwrap_or_default();
    VerifyError::Build { error: Box::new(error), said }
}

/// What the build has had and read that is not as recorded.
fn after(
    record: &Record,
    outside: &Outside,
    built: &Built,
    threads: usize,
) -> Result<Vec<String>, VerifyError> {
    let definition = &record.predicate.build_definition;
    let internal = &definition.internal_parameters;
    let mut reasons = Vec::new();
    match (internal.hermetic, built.hermetic) {
        (true, false) => reasons.push("the record says that no step had a network, and one has".to_owned()),
        (false, true) => reasons.push("the record says that a step had a network, and none has".to_owned()),
        (true, true) | (false, false) => {}
    }
    reasons.extend(compare::resolved(&internal.lock, built.used.as_ref()));
    let (said, is) = (internal.epoch, built.epoch.seconds());
    if said != is {
        reasons.push(format!("the record says that the time in the image is {said}, and it is {is}"));
    }
    let found = outside.file_lists(built, threads)?;
    for name in definition.external_parameters.contexts.keys().map(String::as_str).chain([""]) {
        let was = provenance::files_of(record, name)?.unwrap_or_default();
        let is = found.get(name).cloned().unwrap_or_default();
        let context =
            if name.is_empty() { "the context".to_owned() } else { format!("the context `{name}`") };
        reasons.extend(was.differences(&is).into_iter().map(|line| format!("{context}: {line}")));
    }
    Ok(reasons)
}

/// What the record says to depend on, and doesn't; or the other way round.
fn false_dependencies(record: &Record) -> Result<Vec<String>, VerifyError> {
    let (odd, missing) = provenance::odd_dependencies(record)?;
    let name = |resource: &Resource| {
        let name = resource.name.as_deref().or(resource.uri.as_deref());
        crate::text::shown_up_to(160, name.unwrap_or("something without a name"))
    };
    let odd = odd
        .into_iter()
        .map(|odd| format!("the record's dependency `{}` is not one of this build", name(odd)));
    let missing =
        missing.iter().map(|missing| format!("the record does not have the dependency `{}`", name(missing)));
    Ok(odd.chain(missing).collect())
}

/// Lists of files that no context is of.
fn odd_byproducts(record: &Record) -> Vec<String> {
    let name = |resource: &Resource| crate::text::shown_up_to(160, resource.name.as_deref().unwrap_or("?"));
    let odd = provenance::odd_byproducts(record);
    odd.into_iter()
        .map(|odd| format!("the record's byproduct `{}` is not one of this build", name(odd)))
        .collect()
}

/// The lock file in the source, where it is not the one that was used. One that was not in the context can't be there, and
/// what it said is in the record; but then none may be where the build would have found it.
fn lock_changed(record: &Record, outside: &Outside) -> Result<Option<String>, VerifyError> {
    let file = provenance::lock_file(record);
    let recorded = file.as_ref().and_then(|file| file.path).map(PathBuf::from);
    let buildfile = &record.predicate.build_definition.external_parameters.buildfile.path;
    let beside = || Some(path_beside(Path::new(buildfile.as_ref()?)));
    let is_recorded = recorded.is_some();
    let Some(path) = recorded.or_else(beside) else { return Ok(None) };
    let shown = crate::text::shown(&path.display());
    // Which other files of this machine are looked at is not for whoever wrote the record to say.
    if path.is_absolute() || ImagePath::new(path.as_os_str().as_bytes()).is_err() {
        return Ok(Some(format!("the record's lock file `{shown}` is not in the context")));
    }
    let found = outside.read_in_context(&path, crate::lock::MAX_BYTES)?.map(|bytes| Digest::of(&bytes));
    Ok(match (found, file) {
        (None, _) if is_recorded => Some(format!("the lock file `{shown}` is not in the source")),
        (None, _) => None,
        (Some(found), Some(file)) if file.digest == found => None,
        (Some(_), _) if is_recorded => Some(format!("the lock file `{shown}` is not the recorded one")),
        (Some(_), _) => {
            Some(format!("the source has the lock file `{shown}`, which the record does not have"))
        }
    })
}
