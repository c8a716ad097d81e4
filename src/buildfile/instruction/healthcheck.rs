//! `HEALTHCHECK`: how to find out whether a container is well.

use std::time::Duration;

use crate::buildfile::syntax::Command;

/// `HEALTHCHECK NONE`, or `HEALTHCHECK [flags] CMD command`. Nothing in it is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// Disables a check of the base image.
    None,
    Check(Check),
}

/// A check. Durations that are absent or zero mean the default or the base's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Never empty: an `Exec` has a word, a `Shell` has text.
    pub command: Command,
    /// `--interval`; at least a millisecond, like the others.
    pub interval: Option<Duration>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--start-period`.
    pub start_period: Option<Duration>,
    /// `--start-interval`.
    pub start_interval: Option<Duration>,
    /// `--retries`; never zero.
    pub retries: Option<u32>,
}
