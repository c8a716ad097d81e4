//! What the user adds to the file.

use std::collections::BTreeMap;
use std::fmt;

use crate::oci::{Epoch, Platform};

/// The inputs of a lowering besides the file and the outside world.
#[derive(Clone, Default)]
pub struct LowerOptions<'a> {
    /// `--build-arg`.
    pub build_args: BTreeMap<String, String>,
    /// `--target`: a stage's name. Without one it is the last stage.
    pub target: Option<String>,
    /// Stages that the target doesn't need are lowered as well, where no target is given.
    pub all_stages: bool,
    /// `--platform`, one of them. Without it the build is for the default platform, and an image made from a base
    /// keeps the base's.
    pub platform: Option<Platform>,
    /// `--label`: these win over the file's.
    pub labels: BTreeMap<String, String>,
    /// What `ARG SOURCE_DATE_EPOCH` sees if no build argument says otherwise.
    pub source_date_epoch: Option<Epoch>,
    /// Whether the ignore file takes away that path of the context, for the check `CopyIgnoredFile`; the path is
    /// clean and relative. None without an ignore file, and if it has exceptions (`!`):
    /// then the rule would be wrong too often.
    pub ignored: Option<&'a dyn Fn(&str) -> bool>,
}

impl LowerOptions<'_> {
    pub(super) fn build_arg(&self, name: &str) -> Option<String> {
        let epoch = || self.source_date_epoch.filter(|_| name == "SOURCE_DATE_EPOCH");
        self.build_args.get(name).cloned().or_else(|| Some(epoch()?.to_string()))
    }

    pub(super) fn target_platform(&self) -> Platform {
        self.platform.clone().unwrap_or_default()
    }
}

impl fmt::Debug for LowerOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowerOptions")
            .field("build_args", &self.build_args)
            .field("target", &self.target)
            .field("all_stages", &self.all_stages)
            .field("platform", &self.platform)
            .field("labels", &self.labels)
            .field("source_date_epoch", &self.source_date_epoch)
            .field("ignored", &self.ignored.is_some())
            .finish()
    }
}
