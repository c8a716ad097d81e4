//! Everything outside of a build, behind two doors: [`Resolve`] while planning, [`Inputs`] while executing. What
//! goes through the first is fetched before the second opens.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Request;
use super::images::Found;
use super::locking::Depth;
use super::opened::Opened;
use super::source::SourceError;
use crate::buildfile::{Buildfile, directive};
use crate::context::git::{self, Checkout, GitError};
use crate::context::url::UrlError;
use crate::context::{ContextError, ContextSpec, Modes, ignore_file};
use crate::exec::{Event, InputError, Inputs, Report};
use crate::http::{Http, shown};
use crate::image::Image;
use crate::lock::{Memo, SourcePolicy};
use crate::oci::{Descriptor, Digest, Pinned, Platform, Reference};
use crate::plan::{
    Base, ContextName, CopySource, Git, Named, Op, Plan, Resolve, ResolveError, ResolvedImage, Stage, Step,
    TreeRef, Url,
};
use crate::store::{Store, StoreError, Vendor};
use crate::transport::TransportError;
use crate::transport::registry::{Registries, RegistryError};
use crate::tree::pattern::Ignore;
use crate::tree::{ImagePath, Tree};

/// What a build's contexts and bases are, as the command line says.
#[derive(Debug, Default)]
pub struct Contexts {
    /// The build context; without one, nothing can be copied.
    pub main: Option<ContextSpec>,
    /// `--build-context`.
    pub named: BTreeMap<String, ContextSpec>,
    /// Where bases come from that are nowhere else; without them, no registry is asked.
    pub registries: Option<Arc<Registries>>,
    /// Whether registries are asked what a tag stands for even if the store knows it: `--pull`.
    pub pull: bool,
    /// Whether the network is refused: what is not in the store is an error. Registries are then not to be given.
    pub offline: bool,
    /// What is to be used in the place of which source.
    pub policy: Option<SourcePolicy>,
    /// For URLs.
    pub http: Http,
    /// For git, and whatever it starts.
    pub helpers: Vec<(OsString, OsString)>,
}

/// The contexts and images of a build. What takes it as `&mut self` settles how it is asked, before anything is.
#[derive(Debug)]
pub struct Outside {
    pub(super) store: Arc<Store>,
    pub(super) contexts: Contexts,
    pub(super) modes: Modes,
    /// The Buildfile's own path, if it has one: an ignore file may stand beside it.
    pub(super) build_file: Option<PathBuf>,
    /// Where recorded bytes may be that the store has not.
    pub(super) vendor: Option<Vendor>,
    /// The lock, if there is one.
    pub(super) memo: Option<Mutex<Memo>>,
    opened: Mutex<BTreeMap<ContextName, Arc<Opened>>>,
    /// By digest.
    pub(super) images: Mutex<BTreeMap<Digest, Found>>,
    /// What registries have answered, by name.
    pub(super) asked: Mutex<BTreeMap<String, Descriptor>>,
    /// Names that registries were asked for in vain, and that the store has: with what went wrong.
    pub(super) local: Mutex<BTreeMap<String, String>>,
    /// The named contexts that the Buildfile speaks of.
    used: Mutex<BTreeSet<String>>,
    /// What was fetched, each by what the plan says of it.
    pub(super) urls: Mutex<BTreeMap<Url, Arc<Tree>>>,
    pub(super) repositories: Mutex<BTreeMap<Git, Repository>>,
}

/// The files of a commit. They are there as long as their checkout is, if they are in one.
#[derive(Debug)]
pub(super) struct Repository {
    pub(super) tree: Arc<Tree>,
    pub(super) _checkout: Option<Checkout>,
}

/// Why something outside can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideError {
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("there is no build context")]
    NoContext,
    /// What a step asks for; the line and the bytes in the Buildfile.
    #[error("line {line}")]
    Step { line: usize, place: Range<usize>, source: Box<Self> },
    #[error("`{0}` was not fetched")]
    NotFetched(String),
    /// The same commit with other files: another submodule, or another meaning of what git was told.
    #[error("`{remote}` at {commit}: expected an archive of {expected}, found {found}")]
    Archive { remote: String, commit: String, expected: Digest, found: Digest },
    /// What would have to come from the network.
    #[error("{0} is not in the store, and the network is refused")]
    Offline(String),
}

impl OutsideError {
    /// Whether it is that the network was refused.
    pub fn is_offline(&self) -> bool {
        match self {
            Self::Offline(_) => true,
            Self::Step { source, .. } => source.is_offline(),
            _ => false,
        }
    }

    /// Whether it is that a registry wants to know who asks.
    pub(super) fn is_unauthorized(&self) -> bool {
        let unauthorized = |error: &TransportError| {
            matches!(error, TransportError::Registry(RegistryError::Unauthorized { .. }))
        };
        matches!(self, Self::Transport(error) if unauthorized(error))
    }
}

impl Outside {
    pub fn new(store: &Arc<Store>, contexts: Contexts) -> Self {
        Self {
            store: Arc::clone(store),
            contexts,
            modes: Modes::default(),
            build_file: None,
            vendor: None,
            memo: None,
            opened: Mutex::default(),
            images: Mutex::default(),
            asked: Mutex::default(),
            local: Mutex::default(),
            used: Mutex::default(),
            urls: Mutex::default(),
            repositories: Mutex::default(),
        }
    }

    /// Has bytes that were recorded, and that the store has not, looked for in a folder first.
    pub fn set_vendor(&mut self, vendor: Vendor) {
        self.vendor = Some(vendor);
    }

    /// Settles how contexts are read.
    pub(super) fn set_modes(&mut self, file: &Buildfile, asked: Option<Modes>) {
        let said = file.directives.modes.as_ref().map(|directive| match directive.modes {
            directive::Modes::Git => Modes::Git,
            directive::Modes::Keep => Modes::Keep,
        });
        self.modes = asked.or(said).unwrap_or_default();
    }

    /// The ignore list of the build context, if it is a folder and has one.
    pub fn ignore(&self) -> Result<Option<Ignore>, OutsideError> {
        let Some(ContextSpec::Folder(root)) = &self.contexts.main else { return Ok(None) };
        let found = ignore_file::find(root, self.build_file())?;
        Ok(found.map(|(_, ignore)| ignore))
    }

    /// Where the Buildfile is, if it is a file of this machine.
    pub fn build_file(&self) -> Option<&Path> {
        self.build_file.as_deref()
    }

    /// The door for planning.
    pub fn resolver(&self) -> Resolver<'_> {
        Resolver { outside: self, depth: Depth::Documents }
    }

    /// The same for those who only look at a plan: what a lock knows of an image will do.
    pub fn facts_resolver(&self) -> Resolver<'_> {
        Resolver { outside: self, depth: Depth::Facts }
    }

    /// Brings what the plan names from elsewhere here: the last use of the network. Folders and archives of this
    /// machine are read when a step asks for them.
    pub(super) fn fetch(
        &self,
        plan: &Plan,
        request: &Request,
        file: &str,
        report: &dyn Report,
    ) -> Result<(), OutsideError> {
        self.fetch_images(plan, request.pushed_only, request.trees, report)?;
        for id in plan.needed() {
            let stage = plan.stage(id);
            for name in contexts_of(stage) {
                if let Ok(ContextSpec::Git(_) | ContextSpec::Url(_)) = self.spec(name) {
                    self.open(name)?;
                }
            }
            for step in &stage.steps {
                self.fetch_sources(step, file, report)?;
            }
        }
        Ok(())
    }

    fn fetch_sources(&self, step: &Step, file: &str, report: &dyn Report) -> Result<(), OutsideError> {
        let Some(Op::Copy(copy)) = &step.op else { return Ok(()) };
        let warn = |text: String| {
            let text = format!("{file}:{}: {text}", step.place.line);
            report.report(Event::Warning { text: &text });
        };
        for (index, source) in copy.sources.iter().enumerate() {
            let fetched = match source {
                CopySource::Url(url) => self.fetch_url(url, &warn),
                CopySource::Git(git) => self.fetch_git(git, &warn),
                CopySource::Pattern(_) | CopySource::Inline { .. } => Ok(()),
            };
            fetched.map_err(|error| {
                let place = step.place.sources.get(index).unwrap_or(&step.place.statement).clone();
                OutsideError::Step { line: step.place.line, place, source: Box::new(error) }
            })?;
        }
        Ok(())
    }

    pub(super) fn git_environment(&self) -> git::Environment {
        git_environment(&self.contexts.helpers, self.store.temp_folder())
    }

    /// Says what was noticed of the contexts that were read.
    pub(super) fn warn(&self, report: &dyn Report) {
        for text in lock(&self.opened).values().flat_map(|opened| opened.warnings()) {
            report.report(Event::Warning { text: &text });
        }
    }

    /// Notes for the next build what was hashed in this one. That it can't be noted costs time, and is no error.
    pub(super) fn save(&self) {
        for opened in lock(&self.opened).values() {
            opened.save();
        }
    }

    pub(super) fn open(&self, name: &ContextName) -> Result<Arc<Opened>, OutsideError> {
        // Held while it is opened, so that two stages don't walk one context twice.
        let mut contexts = lock(&self.opened);
        if let Some(opened) = contexts.get(name) {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(Opened::read(self, name)?);
        contexts.insert(name.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// The contexts that were looked at.
    pub(super) fn opened(&self) -> Vec<ContextName> {
        lock(&self.opened).keys().cloned().collect()
    }

    pub(super) fn spec(&self, name: &ContextName) -> Result<&ContextSpec, OutsideError> {
        let spec = match name {
            ContextName::Main => self.contexts.main.as_ref(),
            ContextName::Named(name) => self.named(name),
        };
        spec.ok_or(OutsideError::NoContext)
    }

    /// The named context that is meant by `name`: as written, or as another way to write the same reference.
    pub(super) fn named(&self, name: &str) -> Option<&ContextSpec> {
        let exactly = self.contexts.named.get_key_value(name);
        let (key, spec) = exactly.or_else(|| {
            let wanted = name.parse::<Reference>().ok()?;
            let same = |key: &String| key.parse::<Reference>().is_ok_and(|key| key == wanted);
            self.contexts.named.iter().find(|(key, _)| same(key))
        })?;
        lock(&self.used).insert(key.clone());
        Some(spec)
    }

    /// Says which folders become bases as they are, though they hold an image.
    pub(super) fn warn_of_layouts(&self, plans: &[Plan], report: &dyn Report) {
        let stages = plans.iter().flat_map(|plan| plan.needed().into_iter().map(|id| plan.stage(id)));
        let names: BTreeSet<&ContextName> = stages
            .filter_map(|stage| if let Base::Files(name) = &stage.base { Some(name) } else { None })
            .collect();
        for name in names {
            if let (ContextName::Named(name), Ok(ContextSpec::Folder(path))) = (name, self.spec(name))
                && path.join("oci-layout").is_file()
            {
                let name = shown(name);
                let text = format!(
                    "the build context `{name}` is a folder with an OCI layout, and its files are the base; the image \
                     in it is `{name}=oci-layout://{}`",
                    path.display()
                );
                report.report(Event::Warning { text: &text });
            }
        }
    }

    /// Says which named contexts nothing of the Buildfile speaks of.
    pub(super) fn warn_of_unused(&self, report: &dyn Report) {
        let used = lock(&self.used);
        for name in self.contexts.named.keys().filter(|name| !used.contains(*name)) {
            let text =
                format!("the build context `{}` is not used: no `FROM` or `--from` names it", shown(name));
            report.report(Event::Warning { text: &text });
        }
    }
}

/// What git gets to see, of the variables that helpers get.
pub fn git_environment(helpers: &[(OsString, OsString)], temp: PathBuf) -> git::Environment {
    let get = |name: &str| helpers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let proxies = helpers.iter().filter_map(|(key, value)| {
        let key = key.to_str()?;
        key.to_ascii_lowercase().ends_with("_proxy").then(|| (key.to_owned(), value.clone()))
    });
    git::Environment {
        path: get("PATH").unwrap_or_default(),
        home: get("HOME").map(Into::into),
        ssh_auth_sock: get("SSH_AUTH_SOCK"),
        proxies: proxies.collect(),
        temp,
        local: false,
    }
}

fn contexts_of(stage: &Stage) -> impl Iterator<Item = &ContextName> {
    let base = match &stage.base {
        Base::Files(name) => Some(name),
        Base::Scratch | Base::Stage(_) | Base::Image(_) => None,
    };
    let used = stage.trees_used().filter_map(|tree| match tree {
        TreeRef::Context(name) => Some(name),
        TreeRef::Image(_) | TreeRef::Stage(_) | TreeRef::Empty => None,
    });
    base.into_iter().chain(used)
}

/// The door for planning: it answers from the lock, the named contexts, the store and the registries.
#[derive(Debug)]
pub struct Resolver<'a> {
    outside: &'a Outside,
    depth: Depth,
}

impl Resolve for Resolver<'_> {
    fn named(&self, name: &str) -> Option<Named> {
        let spec = self.outside.named(name)?;
        Some(if spec.is_image() { Named::Image } else { Named::Files })
    }

    fn image(&mut self, name: &str, platform: &Platform) -> Result<ResolvedImage, ResolveError> {
        self.outside.image_by_lock(name, platform, self.depth)
    }

    fn url(&mut self, url: &mut Url) -> Result<(), ResolveError> {
        self.outside.url_by_lock(url)
    }

    fn git(&mut self, git: &mut Git) -> Result<(), ResolveError> {
        self.outside.git_by_lock(git)
    }
}

impl Inputs for Outside {
    fn context(&self, name: &ContextName) -> Result<Arc<Tree>, InputError> {
        Ok(self.open(name)?.tree(self.modes))
    }

    fn ignored(&self, name: &ContextName, path: &ImagePath) -> Option<String> {
        self.open(name).ok()?.why_ignored(path)
    }

    fn ignore_file(&self, name: &ContextName) -> Option<(String, String)> {
        lock(&self.opened).get(name)?.ignore_file()
    }

    fn image(&self, pinned: &Pinned) -> Result<Arc<Image>, InputError> {
        Ok(self.found(pinned)?.image)
    }

    fn url(&self, url: &Url) -> Result<Arc<Tree>, InputError> {
        let tree = lock(&self.urls).get(url).cloned();
        Ok(tree.ok_or_else(|| OutsideError::NotFetched(shown(&url.url)))?)
    }

    fn git(&self, git: &Git) -> Result<Arc<Tree>, InputError> {
        let tree = lock(&self.repositories).get(git).map(|found| Arc::clone(&found.tree));
        Ok(tree.ok_or_else(|| OutsideError::NotFetched(shown(&git.remote)))?)
    }
}

/// Whoever panicked with it held has ended the build; what it guards is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
