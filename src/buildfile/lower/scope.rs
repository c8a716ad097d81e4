//! Variables: those of `FROM` lines, and those of a stage.
//!
//! A stage's variables are the environment of its image and the arguments declared so far; whichever instruction
//! came last gives the value. Nothing here comes from the machine: `BUILDPLATFORM` is the default platform
//! everywhere, so that a digest which depends on it is the same everywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::LowerOptions;
use crate::buildfile::{Diagnostic, expansion::Expander, syntax::Statement};
use crate::oci::Platform;

/// Named values in the order in which they were set last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::buildfile) struct Variables {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Variables {
    pub(in crate::buildfile) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(in crate::buildfile) fn set(&mut self, name: &str, value: &str) {
        if self.values.insert(name.to_owned(), value.to_owned()).is_some() {
            self.order.retain(|other| other != name);
        }
        self.order.push(name.to_owned());
    }

    pub(in crate::buildfile) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// `NAME=value` of each.
    pub(in crate::buildfile) fn pairs(&self) -> Vec<String> {
        self.order.iter().map(|name| format!("{name}={}", self.values[name])).collect()
    }
}

/// What `FROM` lines see: the platform arguments, and the `ARG`s before the first of them.
#[derive(Debug, Clone)]
pub(super) struct Globals {
    pub(super) variables: Variables,
    /// All that is declared, with a value or without.
    pub(super) declared: BTreeSet<String>,
}

impl Globals {
    /// Reads the global `ARG`s. With `overridden` false, as they would be without any build argument for them.
    pub(super) fn read(
        platform: &Platform,
        statements: &[Statement<crate::buildfile::instruction::Arg>],
        options: &LowerOptions<'_>,
        stage: &str,
        expander: Expander,
        overridden: bool,
    ) -> Result<Self, Diagnostic> {
        let mut variables = predefined(platform, options, stage);
        let mut declared: BTreeSet<String> = variables.names().map(Into::into).collect();
        for definition in statements.iter().flat_map(|statement| &statement.instruction.definitions) {
            let name = definition.name.as_str();
            declared.insert(name.to_owned());
            let given = options.build_arg(name).filter(|_| overridden);
            let value = match (given, &definition.default) {
                (Some(value), _) => Some(value),
                (None, Some(default)) => {
                    let lookup = |name: &str| variables.get(name).map(Into::into);
                    let value = expander.expand(default.as_str(), &lookup).map_err(|e| e.at(default))?;
                    Some(value.text)
                }
                (None, None) => None,
            };
            if let Some(value) = value {
                variables.set(name, &value);
            }
        }
        Ok(Self { variables, declared })
    }
}

fn predefined(platform: &Platform, options: &LowerOptions<'_>, stage: &str) -> Variables {
    let build = Platform::default();
    let mut variables = Variables::default();
    for (prefix, platform) in [("BUILD", &build), ("TARGET", platform)] {
        for (suffix, value) in [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", platform.os_version.clone().unwrap_or_default()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", platform.variant.clone().unwrap_or_default()),
        ] {
            variables.set(&format!("{prefix}{suffix}"), &value);
        }
    }
    variables.set("TARGETSTAGE", if stage.is_empty() { "default" } else { stage });
    let overridden: Vec<(String, String)> =
        variables.names().filter_map(|name| Some((name.to_owned(), options.build_arg(name)?))).collect();
    for (name, value) in overridden {
        variables.set(&name, &value);
    }
    variables
}

/// Whether a build argument means something without being declared.
pub(super) fn is_predefined(name: &str) -> bool {
    let platform = ["BUILD", "TARGET"].iter().filter_map(|prefix| name.strip_prefix(prefix));
    let mut platform = platform.filter(|s| ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"].contains(s));
    platform.next().is_some()
        || ["TARGETSTAGE", "SOURCE_DATE_EPOCH"].contains(&name)
        || name.starts_with("BUILDKIT_")
        || is_proxy(name)
}

/// Proxies reach the commands that run, undeclared, and are left out of history and cache keys.
pub(super) fn is_proxy(name: &str) -> bool {
    ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"]
        .iter()
        .any(|proxy| name.eq_ignore_ascii_case(proxy))
}

/// The variables of a stage.
#[derive(Debug, Clone, Default)]
pub(in crate::buildfile) struct Scope {
    pub(in crate::buildfile) variables: Variables,
    /// The arguments declared so far, in order, with the values that the declarations gave. A stage has those of
    /// the stage that it stands on as well.
    arguments: Vec<(String, Option<String>)>,
}

impl Scope {
    /// Adds what an image's config sets.
    pub(super) fn take_environment(&mut self, env: &[String]) {
        for pair in env {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.variables.set(name, value);
        }
    }

    pub(in crate::buildfile) fn declare(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.variables.set(name, value);
        }
        self.arguments.push((name.to_owned(), value.map(Into::into)));
    }

    pub(in crate::buildfile) fn is_declared(&self, name: &str) -> bool {
        self.arguments.iter().any(|(argument, _)| argument == name)
    }

    /// `|2 A=1 B=2`: the arguments that a `RUN` was given, as the history tells them. Empty if there are none.
    pub(in crate::buildfile) fn history(&self) -> Vec<String> {
        let mut given: Vec<(&str, &str)> = Vec::new();
        for (name, declared) in &self.arguments {
            let value = self.variables.get(name).or(declared.as_deref()).unwrap_or_default();
            match given.iter_mut().find(|(other, _)| other == name) {
                Some(earlier) => earlier.1 = value,
                None => given.push((name, value)),
            }
        }
        if given.is_empty() {
            return Vec::new();
        }
        let pairs = given.iter().map(|(name, value)| format!("{name}={value}"));
        std::iter::once(format!("|{}", given.len())).chain(pairs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_set_again_is_the_newest() {
        let mut variables = Variables::default();
        for (name, value) in [("A", "1"), ("B", "2"), ("A", "3")] {
            variables.set(name, value);
        }
        assert_eq!(variables.pairs(), ["B=2", "A=3"]);
    }

    #[test]
    fn platform_arguments_are_the_same_on_every_machine() {
        let options = LowerOptions::default();
        let platform = Platform::new("linux", "arm", Some("v6"));
        let variables = predefined(&platform, &options, "");
        assert_eq!(variables.get("BUILDPLATFORM"), Some("linux/amd64"));
        assert_eq!(variables.get("TARGETPLATFORM"), Some("linux/arm/v6"));
        assert_eq!(variables.get("TARGETVARIANT"), Some("v6"));
        assert_eq!(variables.get("BUILDVARIANT"), Some(""));
        assert_eq!(variables.get("TARGETSTAGE"), Some("default"));
    }

    #[test]
    fn history_shows_each_argument_once_with_its_present_value() {
        let mut scope = Scope::default();
        assert!(scope.history().is_empty());
        scope.declare("A", Some("1"));
        scope.declare("B", None);
        scope.declare("A", Some("2"));
        scope.variables.set("A", "env");
        assert_eq!(scope.history(), ["|2", "A=env", "B="]);
    }

    #[test]
    fn what_needs_no_declaration() {
        for name in ["HTTP_PROXY", "no_proxy", "TARGETARCH", "BUILDOSVERSION", "SOURCE_DATE_EPOCH"] {
            assert!(is_predefined(name), "{name}");
        }
        for name in ["TARGET", "ARCH", "TARGETARCHX", "proxy"] {
            assert!(!is_predefined(name), "{name}");
        }
    }
}
