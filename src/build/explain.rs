//! What the store remembers of a build, for explaining the next one. That it can't be kept is no error of the build.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Outside, Request};
use crate::buildfile::Source;
use crate::context::ContextSpec;
use crate::exec::{Event, Report};
use crate::oci::{Digest, Epoch};
use crate::plan::Plan;
use crate::why::{Identity, Listener, Materials, Options};

/// For one plan.
pub(super) fn open<'a>(
    (plan, request, epoch): (&Plan, &Request, Epoch),
    outside: &'a Outside,
    source: &Source,
    report: &'a dyn Report,
) -> Listener<'a> {
    let options = Options { cache: request.cache, explain: request.explain, materials: request.materials };
    let platform = plan.stage(plan.target).config.platform.to_string();
    let identity = Identity {
        context: context(outside),
        file: outside.build_file().map_or_else(|| source.name().to_owned(), absolute),
        target: request.target.clone(),
        platform,
    };
    let asked = (&request.build_args, settings(request, epoch, outside));
    let listener = Listener::new((&outside.store, outside, report), plan, identity, asked, options);
    if request.explain {
        for cause in listener.whole() {
            report.report(Event::Input { text: &format!("why: {cause}") });
        }
    }
    listener
}

/// Keeps what was remembered. Gives what steps have read of contexts.
pub(super) fn close(
    listeners: Vec<(Listener<'_>, Digest)>,
    artifact: &Digest,
    outside: &Outside,
) -> Materials {
    let mut all = Materials::new();
    let opened = outside.opened();
    for (listener, image) in listeners {
        let (materials, kept) = listener.finish(image, artifact.clone(), &opened);
        if let Err(error) = kept {
            log::debug!("keeping what is remembered of this build: {error}");
        }
        for (name, files) in materials {
            all.entry(name).or_default().extend(files);
        }
    }
    all
}

fn context(outside: &Outside) -> String {
    match &outside.contexts.main {
        Some(ContextSpec::Folder(path) | ContextSpec::Archive(path)) => absolute(path),
        Some(ContextSpec::Git(git)) => crate::lock::name_of_git(git),
        Some(ContextSpec::Url(url)) => crate::http::shown(url),
        Some(ContextSpec::Stdin) => "-".to_owned(),
        Some(ContextSpec::ImageAt(..) | ContextSpec::Image(_)) | None => String::new(),
    }
}

fn absolute(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// The options that shape the image, or a step's key, by what people call them.
fn settings(request: &Request, epoch: Epoch, outside: &Outside) -> BTreeMap<String, String> {
    let pairs = |pairs: &BTreeMap<String, String>| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    let all = [
        ("the compression (`--compression`)", request.compression.to_string()),
        ("the time in the image (`--source-date-epoch`)", epoch.to_string()),
        ("the view of the context (`--context-modes`)", outside.modes.to_string()),
        ("the labels (`--label`)", pairs(&request.labels)),
        ("the annotations (`--annotation`)", pairs(&request.annotations)),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
