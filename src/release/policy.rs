//! What an environment asks of an image.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Environment, Facts};
use crate::text::shown;

/// The gate that believes nobody.
pub const REBUILT: &str = "rebuilt";

/// Per environment: `[environment.prod]` with its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    #[serde(default)]
    environment: BTreeMap<String, Rules>,
}

/// What is asked of an image before an environment gets it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// No step of its build had a network.
    pub hermetic: bool,
    /// Somebody has built it again, and got the same digest.
    pub verified: bool,
    /// Who releases it has built it again just then.
    pub rebuilt: bool,
    /// It was built from one of these repositories.
    pub sources: Vec<String>,
    /// It was built from a commit, without changes beside it.
    pub clean: bool,
    /// This environment has got it before.
    pub after: Option<String>,
    /// And this long ago: `90s`, `30m`, `24h`, `7d`.
    pub soak: Option<String>,
}

/// Why a policy can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    #[error("line {line}: {why}")]
    Toml { line: usize, why: String },
    #[error("`{environment}`: {why}")]
    Rules { environment: String, why: String },
}

/// A gate that is shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub gate: &'static str,
    /// What was found.
    pub why: String,
    /// What would open it.
    pub wants: String,
}

impl Policy {
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
            PolicyError::Toml { line, why: shown(error.message()) }
        })?;
        for (name, rules) in &policy.environment {
            let wrong = |why: String| PolicyError::Rules { environment: shown(name), why };
            name.parse::<Environment>().map_err(|error| wrong(error.to_string()))?;
            match (&rules.after, &rules.soak) {
                (Some(after), _) if after.parse::<Environment>().is_err() || after == name => {
                    return Err(wrong(format!("`after` names no other environment: `{}`", shown(after))));
                }
                (None, Some(_)) => return Err(wrong("`soak` needs `after`".into())),
                (_, Some(soak)) if seconds(soak).is_none() => {
                    return Err(wrong(format!("`soak` is a time like `24h`, not `{}`", shown(soak))));
                }
                _ => {}
            }
        }
        Ok(policy)
    }

    /// None for an environment that the policy doesn't know: most likely somebody has mistyped it. One that stands
    /// before another is known, and may have no rules.
    pub fn rules(&self, environment: &Environment) -> Option<Rules> {
        let name = environment.tag();
        let is_before = || self.environment.values().any(|rules| rules.after.as_deref() == Some(name));
        self.environment.get(name).cloned().or_else(|| is_before().then(Rules::default))
    }

    /// Those that have a section.
    pub fn environments(&self) -> impl Iterator<Item = &str> {
        self.environment.keys().map(String::as_str)
    }
}

impl Rules {
    /// The environment that has to have it before.
    pub fn before(&self) -> Option<Environment> {
        self.after.as_ref()?.parse().ok()
    }

    /// The gates that there are.
    pub fn gates(&self) -> Vec<&'static str> {
        let gates = [
            ("hermetic", self.hermetic),
            ("verified", self.verified),
            (REBUILT, self.rebuilt),
            ("sources", !self.sources.is_empty()),
            ("clean", self.clean),
            ("after", self.after.is_some()),
            ("soak", self.soak.is_some()),
        ];
        gates.into_iter().filter(|(_, is_there)| *is_there).map(|(gate, _)| gate).collect()
    }

    /// These rules without what building it again would answer.
    #[must_use]
    pub fn without_rebuilding(&self) -> Self {
        Self { rebuilt: false, verified: self.verified && !self.rebuilt, ..self.clone() }
    }

    /// The gates that are shut. `now` is in seconds since 1970.
    pub fn judge(&self, facts: &Facts, now: u64) -> Vec<Refusal> {
        self.gates().into_iter().filter_map(|gate| self.gate(gate, facts, now)).collect()
    }

    fn gate(&self, gate: &'static str, facts: &Facts, now: u64) -> Option<Refusal> {
        let shut = |why: String, wants: String| Some(Refusal { gate, why, wants });
        let evidence = |found: Option<bool>, not: &str, wants: &str| match found {
            Some(true) => None,
            Some(false) => shut(not.into(), wants.into()),
            None => shut("nothing says so".into(), wants.into()),
        };
        match gate {
            "hermetic" => evidence(
                facts.evidence.hermetic,
                "a step of its build had a network",
                "build it with no network for steps, and give the record that `lith build --record` writes",
            ),
            "verified" => {
                let reason = facts.evidence.reason.as_ref().map(|reason| format!(": {}", shown(reason)));
                evidence(
                    facts.evidence.verified,
                    &format!("building it again did not give it{}", reason.unwrap_or_default()),
                    "give the verdict that `lith verify --format json` prints when it passes",
                )
            }
            REBUILT => {
                let reason = facts.evidence.reason.as_ref().map(|reason| format!(": {}", shown(reason)));
                let why = match facts.evidence.rebuilt {
                    Some(true) => return None,
                    Some(false) => {
                        format!("building it again gave no such image{}", reason.unwrap_or_default())
                    }
                    None => "there is no record to build it again from".to_owned(),
                };
                let wants = "give the record that `lith build --record` wrote, and the source (`--source`) if that \
                             is not where the record says";
                shut(why, wants.into())
            }
            "sources" => self.source(facts),
            "clean" => clean(facts),
            "after" => {
                let before = self.after.as_deref().unwrap_or_default();
                let wants =
                    format!("`lith release {before}` it first; there, mark it good if it was marked bad");
                facts.since.is_none().then(|| {
                    shut(
                        format!("`{before}` has not had it, has gone back from it, or has it marked bad"),
                        wants,
                    )
                })?
            }
            _ => {
                let soak = seconds(self.soak.as_deref()?)?;
                // That it isn't there at all is another gate's matter.
                let left = (facts.since? + soak).checked_sub(now).filter(|left| *left > 0)?;
                let before = self.after.as_deref().unwrap_or_default();
                shut(
                    format!("`{before}` has had it for {}", duration(soak.saturating_sub(left))),
                    format!("wait {}", duration(left)),
                )
            }
        }
    }

    /// What the image says of its source and what the record says have to be allowed both.
    fn source(&self, facts: &Facts) -> Option<Refusal> {
        let allowed = self.listed();
        let wants = format!(
            "build it from {allowed}, and give the build's record or label it with `org.opencontainers.image.source`"
        );
        let recorded = facts.evidence.sources.iter().filter_map(|source| source.remote.as_ref());
        let mut known = facts.source.iter().chain(recorded).peekable();
        let why = match known.peek() {
            None => "neither the image nor a record says where its source is".to_owned(),
            Some(_) => {
                let is_other = |own: &&String| !self.sources.iter().any(|source| same_source(source, own));
                format!("it was built from `{}`", shown(known.find(is_other)?))
            }
        };
        Some(Refusal { gate: "sources", why, wants })
    }

    fn listed(&self) -> String {
        self.sources.iter().map(|source| format!("`{}`", shown(source))).collect::<Vec<_>>().join(" or ")
    }
}

/// What the record says counts; without one, what the image says of itself.
fn clean(facts: &Facts) -> Option<Refusal> {
    let label = facts.revision.as_ref();
    let recorded = facts.evidence.sources.iter().find_map(|source| match label {
        _ if source.dirty => {
            Some(format!("files were not as the commit `{}` has them", shown(&source.commit)))
        }
        Some(own) if *own != source.commit => Some(format!(
            "it was built from `{}`, and says that it is of `{}`",
            shown(&source.commit),
            shown(own)
        )),
        _ => None,
    });
    let why = match label {
        _ if recorded.is_some() => recorded?,
        None => "neither the image nor a record names a revision".to_owned(),
        Some(own) if is_commit(own) => return None,
        Some(own) => format!("`{}` is no clean revision", shown(own)),
    };
    let wants = "build a commit without changes beside it, and give the build's record or label it with \
                 `org.opencontainers.image.revision`";
    Some(Refusal { gate: "clean", why, wants: wants.into() })
}

/// A commit's whole name, and nothing with it.
fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// How one repository's address is written: with or without `https://`, `git+` and `.git`.
fn same_source(left: &str, right: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim().trim_end_matches('/');
        let text = text.strip_prefix("git+").unwrap_or(text);
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.strip_suffix(".git").unwrap_or(text).to_ascii_lowercase()
    };
    bare(left) == bare(right)
}

/// The seconds of a time like `90s`, `30m`, `24h`, `7d`.
pub fn seconds(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds < 1 << 40)
}

/// A time in words that are short.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
