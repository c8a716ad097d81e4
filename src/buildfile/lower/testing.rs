//! For the tests of lowering: a made-up outside world, and short ways to a plan.

use std::collections::BTreeMap;

use super::{LowerOptions, lower};
use crate::buildfile::{Diagnostic, Source, parse};
use crate::oci::{Digest, ImageConfig, Pinned, Platform};
use crate::plan::{Git, Named, Pin, Plan, Resolve, ResolveError, ResolvedImage, Stage, Url};

/// Images by name, and named contexts.
#[derive(Debug, Default)]
pub(in crate::buildfile) struct World {
    pub(in crate::buildfile) images: BTreeMap<String, ImageConfig>,
    pub(in crate::buildfile) contexts: BTreeMap<String, Named>,
    /// What was asked for, in order.
    pub(in crate::buildfile) asked: Vec<String>,
}

impl World {
    /// A world with one image, whose config's `config` object is given as JSON.
    pub(in crate::buildfile) fn with(mut self, name: &str, runtime: &str) -> Self {
        self.images.insert(name.to_owned(), image(runtime));
        self
    }

    pub(in crate::buildfile) fn context(mut self, name: &str, kind: Named) -> Self {
        self.contexts.insert(name.to_owned(), kind);
        self
    }
}

pub(in crate::buildfile) fn image(runtime: &str) -> ImageConfig {
    let text = format!(
        r#"{{"architecture":"amd64","os":"linux","created":"now","vendor":1,"config":{runtime},
            "rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created_by":"base"}}]}}"#,
        Digest::of(b"layer")
    );
    serde_json::from_str(&text).unwrap()
}

impl Resolve for World {
    fn named(&self, name: &str) -> Option<Named> {
        self.contexts.get(name.strip_suffix(":latest").unwrap_or(name)).copied()
    }

    fn image(&mut self, name: &str, platform: &Platform) -> Result<ResolvedImage, ResolveError> {
        self.asked.push(format!("{name} {platform}"));
        let config = self.images.get(name).cloned();
        let config = config.ok_or_else(|| ResolveError::NotFound { name: name.to_owned() })?;
        let pinned = Pinned { name: name.to_owned(), digest: Digest::of(name.as_bytes()) };
        Ok(ResolvedImage { pinned, config })
    }

    fn url(&mut self, url: &mut Url) -> Result<(), ResolveError> {
        self.asked.push(url.url.clone());
        url.digest = Pin::Pinned(Digest::of(url.url.as_bytes()));
        Ok(())
    }

    fn git(&mut self, git: &mut Git) -> Result<(), ResolveError> {
        self.asked.push(git.remote.clone());
        git.commit = Pin::Pinned("c0ffee".to_owned());
        Ok(())
    }
}

pub(in crate::buildfile) fn try_lower(
    text: &str,
    options: &LowerOptions<'_>,
    world: &mut World,
) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let parsed = parse(&Source::new("Buildfile", text));
    assert!(!parsed.has_errors(), "{text}: {:?}", parsed.diagnostics);
    lower(&parsed.buildfile, options, world)
}

/// The plan of a file that is right.
pub(in crate::buildfile) fn plan_with(text: &str, options: &LowerOptions<'_>, world: &mut World) -> Plan {
    match try_lower(text, options, world) {
        Ok((plan, _)) => plan,
        Err(diagnostics) => panic!("{text}: {diagnostics:?}"),
    }
}

/// The target of a file that is right and needs nothing.
pub(in crate::buildfile) fn target(text: &str) -> Stage {
    target_with(text, &LowerOptions::default(), &mut World::default())
}

pub(in crate::buildfile) fn target_with(text: &str, options: &LowerOptions<'_>, world: &mut World) -> Stage {
    let mut plan = plan_with(text, options, world);
    plan.stages.swap_remove(plan.target.0)
}

pub(in crate::buildfile) fn build_args<'a>(arguments: &[(&str, &str)]) -> LowerOptions<'a> {
    let build_args = arguments.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    LowerOptions { build_args, ..LowerOptions::default() }
}

/// The history of a stage made from scratch by these lines.
pub(in crate::buildfile) fn history(lines: &str) -> Vec<String> {
    target(&format!("FROM scratch\n{lines}")).steps.into_iter().map(|step| step.created_by).collect()
}

/// The errors of a file, as `line: message`.
pub(in crate::buildfile) fn errors(text: &str) -> Vec<String> {
    errors_with(text, &LowerOptions::default(), &mut World::default())
}

pub(in crate::buildfile) fn errors_with(
    text: &str,
    options: &LowerOptions<'_>,
    world: &mut World,
) -> Vec<String> {
    let source = Source::new("Buildfile", text);
    let diagnostics = try_lower(text, options, world).expect_err(text);
    let errors = diagnostics.into_iter().filter(Diagnostic::is_error);
    errors.map(|error| format!("{}: {}", source.line(error.span.start), error.message)).collect()
}
