//! What a step is known by: all that decides what it changes, and nothing else.
//!
//! That is the root file system that it starts from, the program, the environment that it can see, who it is and
//! where, whether it has the machine's network, the content of what is mounted, and the settings that change its layer. No
//! part of it: proxies, the values of secrets, what a cache holds, limits, and build arguments that the stage
//! doesn't declare.

use serde::Serialize;

use super::super::known::Part;
use crate::oci::DiffId;

/// Another number is another way to run a step, or another meaning of a field.
const FORMAT: &str = "lith run 1";

#[derive(Debug, Serialize)]
pub(super) struct Key<'a> {
    pub(super) parent: Vec<&'a DiffId>,
    pub(super) args: &'a [Vec<u8>],
    /// Of a heredoc that is a program.
    pub(super) script: Option<&'a [u8]>,
    pub(super) env: Vec<(&'a str, &'a str)>,
    pub(super) ids: (u32, u32, &'a [u32]),
    pub(super) workdir: &'a str,
    pub(super) network: bool,
    pub(super) insecure: bool,
    pub(super) mounts: Vec<Mounted<'a>>,
    pub(super) epoch: u64,
    pub(super) clock: Option<u64>,
    pub(super) cleaners: Vec<&'static str>,
}

/// A mount, by what a step can see of it that doesn't change from build to build.
#[derive(Debug, Serialize)]
pub(super) enum Mounted<'a> {
    Tree {
        content: String,
        target: &'a str,
        read_only: bool,
    },
    Cache {
        name: &'a str,
        target: &'a str,
        read_only: bool,
    },
    Tmpfs {
        size: Option<u64>,
        target: &'a str,
    },
    Secret {
        id: &'a str,
        required: bool,
        mode: u16,
        owner: (u32, u32),
        env: Option<&'a str>,
        target: Option<&'a str>,
    },
    Ssh {
        id: &'a str,
        required: bool,
        mode: u16,
        owner: (u32, u32),
        target: &'a str,
    },
}

impl Key<'_> {
    pub(super) fn hash(&self) -> String {
        let bytes = postcard::to_stdvec(&(FORMAT, self)).expect("lith's own types can be written");
        blake3::hash(&bytes).to_hex().to_string()
    }

    /// The same in parts that people know.
    pub(super) fn parts(&self) -> Vec<(Part, String)> {
        let Self {
            parent,
            args,
            script,
            env,
            ids,
            workdir,
            network,
            insecure,
            mounts,
            epoch,
            clock,
            cleaners,
        } = self;
        let args: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
        let below: Vec<String> = parent.iter().map(ToString::to_string).collect();
        let mut parts = vec![
            (Part::Command, args.join(" ")),
            (Part::User, format!("{ids:?}")),
            (Part::Workdir, (*workdir).to_owned()),
            (Part::Network, if *network { "a network" } else { "none" }.to_owned()),
            (Part::Security, if *insecure { "insecure" } else { "sandbox" }.to_owned()),
            (Part::Below, blake3::hash(below.join("\n").as_bytes()).to_hex().to_string()),
            (Part::Epoch, epoch.to_string()),
            (Part::Cleaners, cleaners.join(",")),
        ];
        parts.push((Part::Clock, clock.map_or_else(|| "the machine's".to_owned(), |at| at.to_string())));
        parts.extend(script.map(|script| (Part::Script, blake3::hash(script).to_hex().to_string())));
        parts.extend(
            env.iter().map(|(name, value)| (Part::Variable((*name).to_owned()), (*value).to_owned())),
        );
        parts.extend(mounts.iter().map(|mount| (Part::Mount(mount.target().to_owned()), mount.rest())));
        parts
    }
}

impl Mounted<'_> {
    fn target(&self) -> &str {
        match self {
            Self::Tree { target, .. }
            | Self::Cache { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Ssh { target, .. } => target,
            Self::Secret { id, target, .. } => target.unwrap_or(id),
        }
    }

    /// All but what its files are.
    fn rest(&self) -> String {
        match self {
            Self::Tree { read_only, .. } => format!("bind, read only: {read_only}"),
            other => format!("{other:?}").replace('\0', " "),
        }
    }
}
