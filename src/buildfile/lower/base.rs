//! What a stage begins with: the config of its base.

use super::{Purpose, from::Ground, world::World};
use crate::buildfile::{check, diagnostic::Diagnostic, source::Span, syntax::Word};
use crate::oci::{ImageConfig, Platform};
use crate::plan::{Base, ContextName, ResolvedImage, StageId, TreeRef};

/// A base, found.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) base: Base,
    pub(super) config: ImageConfig,
    pub(super) platform: Platform,
    /// The image, if its config is not at hand.
    pub(super) unknown: Option<String>,
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The config of an image that begins with nothing.
pub(super) fn empty(platform: &Platform) -> ImageConfig {
    let mut config = ImageConfig { platform: platform.clone(), ..bare() };
    config.config.working_dir = "/".into();
    ensure_path(&mut config);
    config
}

fn bare() -> ImageConfig {
    ImageConfig {
        created: None,
        author: None,
        platform: Platform::default(),
        config: crate::oci::RuntimeConfig::default(),
        rootfs: crate::oci::RootFs::new(Vec::new()),
        history: Vec::new(),
        extra: serde_json::Map::new(),
    }
}

/// Programs are found by `PATH`, so there always is one.
pub(super) fn ensure_path(config: &mut ImageConfig) {
    if config.platform.os != "windows" && config.config.env("PATH").is_none() {
        config.config.set_env("PATH", DEFAULT_PATH);
    }
}

/// Makes the image one for the platform that was asked for. What that leaves unsaid stays, unless it is about
/// another machine.
pub(super) fn set_platform(config: &mut ImageConfig, wanted: &Platform) {
    let own = &mut config.platform;
    let same = own.os == wanted.os && own.architecture == wanted.architecture;
    own.os.clone_from(&wanted.os);
    own.architecture.clone_from(&wanted.architecture);
    if wanted.variant.is_some() || !same {
        own.variant.clone_from(&wanted.variant);
    }
    if wanted.os_version.is_some() || !same {
        own.os_version.clone_from(&wanted.os_version);
    }
    if !wanted.os_features.is_empty() {
        own.os_features.clone_from(&wanted.os_features);
    }
}

/// What a stage begins with; None after an error. Its base, if that is a stage, must be finished.
pub(super) fn start(world: &mut World<'_>, index: usize) -> Option<Start> {
    let from = &world.file.stages[index].from;
    let head = &world.stages[index].head;
    let replaced = head.replaced;
    let platform = head.platform.clone().unwrap_or_else(|| world.platform.clone());
    match head.ground.clone() {
        Ground::Broken => None,
        // An empty image is for the target, whatever its `--platform`.
        Ground::Scratch => {
            let platform = world.platform.clone();
            Some(Start { base: Base::Scratch, config: empty(&platform), platform, unknown: None })
        }
        Ground::Stage(id) => {
            let base = Base::Stage(StageId(id));
            let finished = world.stages[id].finished.clone()?;
            Some(Start {
                base,
                config: finished.config,
                platform: finished.platform,
                unknown: finished.unknown,
            })
        }
        Ground::Files(name) => {
            let config = if replaced {
                ImageConfig { platform: platform.clone(), ..bare() }
            } else {
                empty(&platform)
            };
            Some(Start { base: Base::Files(ContextName::Named(name)), config, platform, unknown: None })
        }
        Ground::Image(name) => {
            let word = &from.instruction.base;
            let Some(image) = world.image(&name, &platform, word.span) else {
                let config = empty(&platform);
                let unknown = (world.purpose == Purpose::Check).then_some(name)?;
                return Some(Start { base: Base::Scratch, config, platform, unknown: Some(unknown) });
            };
            let found = &image.config.platform;
            let finding = check::invalid_base_image_platform(word.span, &word.text, &platform, found);
            // Where no platform is asked for, an image keeps the one of the base that the user chose.
            let asked = world.options.platform.is_some() || world.stages[index].head.platform.is_some();
            if let Some(finding) = finding.filter(|_| asked || world.named(&name).is_none()) {
                world.lints.add(from.check.as_ref(), finding);
            }
            let config = ImageConfig { created: None, ..image.config };
            Some(Start { base: Base::Image(image.pinned), config, platform, unknown: None })
        }
    }
}

impl World<'_> {
    /// The image of a name. None after an error, which is reported once; a check goes on without.
    pub(super) fn image(&mut self, name: &str, platform: &Platform, span: Span) -> Option<ResolvedImage> {
        let key = (name.to_owned(), platform.clone());
        if let Some(known) = self.images.get(&key) {
            return known.clone();
        }
        let answer = self.resolve.image(name, platform);
        let image = match answer {
            Ok(image) => Some(image),
            Err(_) if self.purpose == Purpose::Check => None,
            Err(error) => {
                let stages: Vec<String> = self.names.keys().cloned().collect();
                let error = Diagnostic::error(error.code(), span, error.to_string());
                self.errors.push(error.suggest(name, stages.iter().map(String::as_str)));
                None
            }
        };
        self.images.insert(key, image.clone());
        image
    }

    /// The tree of an image or a named context that something is copied or mounted from.
    pub(super) fn outside(
        &mut self,
        name: &str,
        word: &Word,
        span: Span,
    ) -> Result<Option<TreeRef>, Diagnostic> {
        if name == "scratch" {
            return Ok(Some(TreeRef::Empty));
        }
        let place = Word { span, ..word.clone() };
        super::from::check_reference(name, &place)?;
        if self.named(name) == Some(crate::plan::Named::Files) {
            return Ok(Some(TreeRef::Context(ContextName::Named(name.to_owned()))));
        }
        let platform = self.platform.clone();
        Ok(self.image(name, &platform, span).map(|image| TreeRef::Image(image.pinned)))
    }
}
