//! The narrow waist: what a build does, without a word of how it was written down.
//!
//! A front end lowers a Buildfile to a [`Plan`]; the executor runs it. All that is left of the language is a
//! few operations on trees, the finished runtime configuration of each stage, and the texts of the record.
//! Every outside input that a plan names carries a digest, but for those of the build's own contexts and for
//! what [`Pin::Unpinned`] marks.

mod clock;
mod git_address;
mod mode;
mod network;
mod resolve;

pub use crate::store::steps::Sharing;
pub use clock::Clock;
pub use git_address::{GitAddress, GitAddressError};
pub use mode::{ModeChange, ParseModeError};
pub use network::Network;
pub use resolve::{Named, Resolve, ResolveError, ResolvedImage};

use std::collections::BTreeSet;
use std::ops::Range;

use crate::oci::{Digest, ImageConfig, Pinned};

/// A build for one platform.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the file; a stage refers to earlier ones only.
    pub stages: Vec<Stage>,
    pub target: StageId,
}

/// The index of a stage in [`Plan::stages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StageId(pub usize);

/// A base and the steps that make an image of it.
#[derive(Debug, Clone)]
pub struct Stage {
    /// As in `FROM … AS name`.
    pub name: Option<String>,
    pub base: Base,
    pub steps: Vec<Step>,
    /// The config of the stage's image as it is after the last step, with the platform, the author and whatever
    /// it has from its base. Its `rootfs` and `history` are the base's, empty for scratch: the executor adds
    /// what the steps make.
    pub config: ImageConfig,
}

/// What a stage stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    Scratch,
    Stage(StageId),
    Image(Pinned),
    /// A named context of files used as a root file system: it becomes the image's first layer.
    Files(ContextName),
}

/// One instruction of the file, or a trigger of the base.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it does to the file system; `None` where it only edits the configuration.
    pub op: Option<Op>,
    /// The instruction's text for the image's history, expanded as the language says.
    pub created_by: String,
    /// The instruction as it stands in the Buildfile, in one line: how people know it. No part of what it does.
    pub text: String,
    pub place: Place,
}

/// Where a step stands in the Buildfile, for warnings and errors. No part of what it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// The statement, in bytes.
    pub statement: Range<usize>,
    /// Each source of a copy that was written as a word, in the order of [`Copy::sources`].
    pub sources: Vec<Range<usize>>,
}

/// What a step may do to a root file system.
#[derive(Debug, Clone)]
pub enum Op {
    Copy(Copy),
    Run(Box<Run>),
    Mkdir(Mkdir),
}

/// Copies parts of trees into the stage's own: COPY and ADD.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The tree that [`CopySource::Pattern`]s select from.
    pub from: TreeRef,
    pub sources: Vec<CopySource>,
    /// Absolute, as `/` and normal parts. A trailing slash (or `.` as the last part) is in `into_folder`.
    pub dest: String,
    /// The destination is a folder, whether it is there or not: it ended in a slash, or there are several sources.
    pub into_folder: bool,
    pub owner: Option<Owner>,
    pub mode: Option<ModeChange>,
    /// The layer is made without a look at what the stage has so far.
    pub link: bool,
    pub parents: bool,
    /// Ignore patterns, relative to each source.
    pub exclude: Vec<String>,
    pub unpack: Unpack,
}

/// A tree that can be copied from or mounted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TreeRef {
    Context(ContextName),
    Stage(StageId),
    Image(Pinned),
    /// Nothing at all: `COPY --from=scratch`.
    Empty,
}

/// The build context, or one of those that `--build-context` names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextName {
    Main,
    Named(String),
}

/// One source of a [`struct@Copy`].
#[derive(Debug, Clone)]
pub enum CopySource {
    /// A path or glob in [`Copy::from`], expanded.
    Pattern(String),
    /// A heredoc: a file that stands in the Buildfile itself.
    Inline {
        name: String,
        content: Vec<u8>,
    },
    Url(Url),
    Git(Git),
}

/// A file from the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    pub url: String,
    pub digest: Pin<Digest>,
}

/// A tree from a git repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Git {
    pub remote: String,
    /// A branch, tag or commit as written; `None` is the remote's HEAD.
    pub reference: Option<String>,
    pub subdir: Option<String>,
    pub keep_git_dir: bool,
    /// The repositories that it refers to are fetched as well.
    pub submodules: bool,
    /// The commit's hash; given by `--checksum` it may be the beginning of one.
    pub commit: Pin<String>,
}

/// Whether an outside input is fixed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin<T> {
    Pinned(T),
    /// Taken as it is found; the build warns.
    Unpinned,
}

/// Who owns what is copied: names are looked up in the image's own passwd and group when the step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub user: String,
    /// Without one, a numeric user's group is the same number, a named user's is its primary group.
    pub group: Option<String>,
}

/// What to do with a source that is an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// COPY, and `ADD --unpack=false`.
    Never,
    /// ADD: local archives are unpacked, what came from the network is not.
    Local,
    /// `ADD --unpack=true`: those from the network too.
    Always,
}

/// Makes a folder, with those above it: WORKDIR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mkdir {
    /// Absolute and normal.
    pub path: String,
    pub owner: Option<Owner>,
}

/// Runs a program in the stage's root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub command: Command,
    pub mounts: Vec<Mount>,
    pub network: Network,
    pub security: Security,
    /// `NAME=value`: the image's environment and the build arguments in scope, in order.
    pub env: Vec<String>,
    /// `NAME=value` of the proxies given as build arguments: for the command's environment, where `env` does not
    /// have the name, and no part of what the step is known by.
    pub proxies: Vec<String>,
    pub user: String,
    pub workdir: String,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The words of the exec form.
    Exec(Vec<String>),
    /// The shell's words, then the script as its last argument.
    Shell { shell: Vec<String>, script: String },
    /// A heredoc with a `#!` line: a program file that is run.
    Script { name: String, content: String },
}

/// `RUN --mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub kind: MountKind,
    /// Absolute and normal.
    pub target: String,
    pub read_only: bool,
}

/// The kinds of mounts, with the keys that each knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    Bind {
        from: TreeRef,
        source: String,
    },
    Cache {
        id: String,
        from: Option<TreeRef>,
        source: String,
        sharing: Sharing,
        mode: u16,
        uid: u32,
        gid: u32,
    },
    Tmpfs {
        size: Option<u64>,
    },
    Secret {
        id: String,
        required: bool,
        mode: u16,
        uid: u32,
        gid: u32,
        env: Option<String>,
        file: bool,
    },
    Ssh {
        id: String,
        required: bool,
        mode: u16,
        uid: u32,
        gid: u32,
    },
}

/// `RUN --security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Sandbox,
    Insecure,
}

impl Plan {
    pub fn stage(&self, id: StageId) -> &Stage {
        &self.stages[id.0]
    }

    /// The stages that the target needs, itself included, in the order of the file.
    pub fn needed(&self) -> Vec<StageId> {
        let mut needed = BTreeSet::from([self.target]);
        // A stage refers to earlier ones only, so one walk backwards meets each after all that need it.
        for id in (0..=self.target.0).rev().map(StageId) {
            if needed.contains(&id) {
                needed.extend(self.stage(id).stages_used());
            }
        }
        needed.into_iter().collect()
    }

    /// A stage and those that it stands on.
    pub fn chain(&self, id: StageId) -> impl Iterator<Item = StageId> + '_ {
        std::iter::successors(Some(id), |&id| match self.stage(id).base {
            Base::Stage(base) => Some(base),
            Base::Scratch | Base::Image(_) | Base::Files(_) => None,
        })
    }
}

impl Stage {
    /// The stages that it refers to, as a base, a source of copies or a mount.
    pub fn stages_used(&self) -> Vec<StageId> {
        let mut used: Vec<StageId> = self.trees_used().filter_map(TreeRef::stage).collect();
        if let Base::Stage(id) = self.base {
            used.push(id);
        }
        used.sort_unstable();
        used.dedup();
        used
    }

    /// The trees that its steps read.
    pub fn trees_used(&self) -> impl Iterator<Item = &TreeRef> {
        self.steps.iter().filter_map(|step| step.op.as_ref()).flat_map(Op::trees_used)
    }
}

impl Step {
    /// Where the source that is written so stands; the whole statement, if nothing of it is.
    pub fn place_of(&self, pattern: Option<&str>) -> Range<usize> {
        let Some(Op::Copy(copy)) = &self.op else { return self.place.statement.clone() };
        let is_it = |s: &CopySource| matches!(s, CopySource::Pattern(p) if Some(p.as_str()) == pattern);
        let source = copy.sources.iter().position(is_it).and_then(|index| self.place.sources.get(index));
        source.unwrap_or(&self.place.statement).clone()
    }
}

impl Op {
    /// The trees that it reads, besides its own stage's.
    pub fn trees_used(&self) -> Vec<&TreeRef> {
        match self {
            Self::Mkdir(_) => Vec::new(),
            Self::Copy(copy) => {
                let selects = copy.sources.iter().any(|s| matches!(s, CopySource::Pattern(_)));
                selects.then_some(&copy.from).into_iter().collect()
            }
            Self::Run(run) => run.mounts.iter().filter_map(|mount| mount.kind.tree()).collect(),
        }
    }
}

impl MountKind {
    /// The tree that it shows a part of.
    pub fn tree(&self) -> Option<&TreeRef> {
        match self {
            Self::Bind { from, .. } => Some(from),
            Self::Cache { from, .. } => from.as_ref(),
            Self::Tmpfs { .. } | Self::Secret { .. } | Self::Ssh { .. } => None,
        }
    }
}

impl TreeRef {
    /// The stage, if it is one.
    pub fn stage(&self) -> Option<StageId> {
        match self {
            Self::Stage(id) => Some(*id),
            Self::Context(_) | Self::Image(_) | Self::Empty => None,
        }
    }
}
