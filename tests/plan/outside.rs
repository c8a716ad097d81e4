//! The outside world of a fixture.

use std::collections::BTreeMap;
use std::path::Path;

use lith::oci::{Digest, ImageConfig, Pinned, Platform};
use lith::plan::{Git, Named, Pin, Resolve, ResolveError, ResolvedImage, Url};
use serde_json::{Value, json};

/// `args.json`.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    pub(super) build_args: BTreeMap<String, String>,
    pub(super) target: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) ignored: Vec<String>,
    images: BTreeMap<String, Value>,
    contexts: BTreeMap<String, String>,
}

impl Arguments {
    pub(super) fn read(path: &Path) -> Self {
        let Ok(text) = std::fs::read(path) else { return Self::default() };
        let mut value: Value = serde_json::from_slice(&text).expect("args.json is JSON");
        let mut take = |key: &str| value.as_object_mut().expect("an object").remove(key).unwrap_or_default();
        let arguments = Self {
            build_args: of(take("build_args")),
            target: of(take("target")),
            platform: of(take("platform")),
            labels: of(take("labels")),
            ignored: of(take("ignored")),
            images: of(take("images")),
            contexts: of(take("contexts")),
        };
        assert_eq!(value, json!({}), "args.json has keys that mean nothing");
        arguments
    }

    pub(super) fn outside(&self) -> Outside<'_> {
        Outside { arguments: self }
    }
}

/// An absent value is the default.
fn of<T: serde::de::DeserializeOwned + Default>(value: Value) -> T {
    let value: Option<T> = serde_json::from_value(value).expect("args.json has what its keys want");
    value.unwrap_or_default()
}

/// Answers with digests of names.
#[derive(Debug)]
pub(super) struct Outside<'a> {
    arguments: &'a Arguments,
}

impl Resolve for Outside<'_> {
    fn named(&self, name: &str) -> Option<Named> {
        let kind = self.arguments.contexts.get(name.strip_suffix(":latest").unwrap_or(name))?;
        Some(if kind == "image" { Named::Image } else { Named::Files })
    }

    fn image(&mut self, name: &str, _: &Platform) -> Result<ResolvedImage, ResolveError> {
        let config = self.arguments.images.get(name);
        let config = config.ok_or_else(|| ResolveError::NotFound { name: name.to_owned() })?;
        let config: ImageConfig = serde_json::from_value(json!({
            "os": "linux", "architecture": "amd64", "created": "2020-01-01T00:00:00Z", "config": config,
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(name.as_bytes()).to_string()] },
            "history": [{ "created_by": name }],
        }))
        .expect("a config");
        Ok(ResolvedImage {
            pinned: Pinned { name: name.to_owned(), digest: Digest::of(name.as_bytes()) },
            config,
        })
    }

    fn url(&mut self, url: &mut Url) -> Result<(), ResolveError> {
        url.digest = Pin::Unpinned;
        Ok(())
    }

    fn git(&mut self, git: &mut Git) -> Result<(), ResolveError> {
        git.commit = Pin::Pinned("0123456789".repeat(4));
        Ok(())
    }
}
