//! What steps that run programs get: from what was typed to the library's values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lith::exec::run::{Cleaners, Entitlement, RunOptions, Secret};
use lith::plan::Network;
use lith::sandbox::Limits;

use crate::cli::World;
use crate::cli::error::Hinted;

/// For RUN.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options for RUN steps")]
pub(crate) struct Steps {
    /// A secret for the steps that mount it: `id=ID,src=FILE` or `id=ID,env=VARIABLE`
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,

    /// An ssh agent for the steps that mount it: `default`, which SSH_AUTH_SOCK names, or ID=SOCKET
    #[arg(long, value_name = "ID[=SOCKET]")]
    ssh: Vec<String>,

    /// The network of steps that don't say: `none`, `default` (docker's `bridge` is the same) or `host`. With one, the same
    /// inputs may give other results [default: none]
    #[arg(long, value_name = "MODE")]
    network: Option<String>,

    /// Allow what steps ask for: `network.host`, `network.loopback`, `security.insecure`
    #[arg(long, value_name = "ENTITLEMENT")]
    allow: Vec<String>,

    /// The wall clock of steps: `real`, or `epoch` for one that stands still at the image's SOURCE_DATE_EPOCH
    /// (docs/run.md) [default: `# clock=` in the Buildfile, or real]
    #[arg(long, value_name = "CLOCK")]
    clock: Option<String>,

    /// The most memory that a step may use, as in `512m` or `2g`
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,

    /// The most processes that a step may have at once
    #[arg(long, value_name = "N")]
    pids_limit: Option<u64>,

    /// The longest that a step may take, as in `90s`, `15m` or `2h`
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// The size of /dev/shm in steps, as in `512m` or `2g` [default: 64m]
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,

    /// Which leftovers of tools are taken out of layers: `all`, `none`, names, or names with `-` before them
    /// (docs/run.md) [default: all]
    #[arg(long, value_name = "NAMES", allow_hyphen_values = true)]
    cleaners: Option<String>,

    /// Run each step twice, the second time under changed conditions, and tell what differs; nothing is put out unless
    /// all are the same (docs/run.md)
    #[arg(long)]
    check_reproducible: bool,
}

impl Steps {
    /// All but the sandbox, which stands in the store.
    pub(in crate::cli) fn read(&self, world: &World) -> anyhow::Result<RunOptions> {
        let (secrets, ssh) = secrets(&self.secret, &self.ssh, world)?;
        let limits = Limits {
            memory: self.memory.as_deref().map(|text| bytes("memory", text)).transpose()?,
            shm: self.shm_size.as_deref().map(|text| bytes("shm-size", text)).transpose()?,
            pids: self.pids_limit,
            timeout: self.timeout.as_deref().map(time).transpose()?,
        };
        let clock =
            |text: &String| text.parse().map_err(|why| Hinted::usage(format!("`--clock {text}`: {why}")));
        Ok(RunOptions {
            no_network: false,
            locked: None,
            sandbox: None,
            secrets,
            ssh,
            network: self.network.as_deref().map_or(Ok(Network::None), network)?,
            clock: self.clock.as_ref().map(clock).transpose()?,
            allow: allow(&self.allow)?,
            limits,
            cleaners: match &self.cleaners {
                Some(text) => {
                    text.parse().map_err(|why| Hinted::usage(format!("`--cleaners {text}`: {why}")))?
                }
                None => Cleaners::default(),
            },
            check: self.check_reproducible,
        })
    }
}

/// `--allow`
pub(in crate::cli) fn allow(given: &[String]) -> anyhow::Result<BTreeSet<Entitlement>> {
    let words = given.iter().flat_map(|text| text.split(',')).map(str::trim);
    // docker asks before a build writes outside of its folder, which lith's never do unasked.
    let words = words.filter(|word| !word.starts_with("fs"));
    let entitlement =
        |word: &str| word.parse().map_err(|why| Hinted::usage(format!("`--allow {word}`: {why}")).into());
    words.map(entitlement).collect()
}

/// `--secret` and `--ssh`, by id.
pub(in crate::cli) fn secrets(
    given: &[String],
    agents: &[String],
    world: &World,
) -> anyhow::Result<(BTreeMap<String, Secret>, BTreeMap<String, PathBuf>)> {
    let secrets = given.iter().map(|text| secret(text, world)).collect::<Result<_, _>>()?;
    let agents = agents.iter().map(|text| agent(text, world)).collect::<Result<_, _>>()?;
    Ok((secrets, agents))
}

/// `id=ID`, with `src=FILE` or `env=VARIABLE`; without either, a variable of that name, or a file.
fn secret(text: &str, world: &World) -> anyhow::Result<(String, Secret)> {
    let wrong = |why: &str| Hinted::usage(format!("`--secret {text}`: {why}"));
    let (mut id, mut file, mut variable, mut is_env) = (None, None, None, false);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| {
            wrong("expected KEY=VALUE").hint(format!(
                "`--secret id={},src=FILE`, or `env=VARIABLE` for a variable",
                if text == field { text } else { "ID" }
            ))
        })?;
        match key.trim().to_ascii_lowercase().as_str() {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => variable = Some(value),
            "type" if value == "file" => is_env = false,
            "type" if value == "env" => is_env = true,
            "type" => return Err(wrong("its type is `file` or `env`").into()),
            _ => return Err(wrong("its keys are `id`, `src`, `env` and `type`").into()),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| wrong("it has no id"))?;
    if is_env && variable.is_none() {
        variable = file.take();
    }
    let value = |name: &str| world.environment.raw(name);
    let secret = match (variable, file) {
        (Some(name), _) => {
            let value = value(name).ok_or_else(|| wrong(&format!("there is no variable `{name}`")))?;
            Secret::value(value)
        }
        (None, Some(path)) => Secret::file(path.into()),
        (None, None) => value(id).map_or_else(|| Secret::file(id.into()), Secret::value),
    };
    Ok((id.to_owned(), secret))
}

/// `default`, or ID=SOCKET.
fn agent(text: &str, world: &World) -> anyhow::Result<(String, PathBuf)> {
    let (id, path) = text.split_once('=').map_or((text, None), |(id, path)| (id, Some(PathBuf::from(path))));
    let Some(path) = path.or_else(|| world.environment.get("SSH_AUTH_SOCK").map(Into::into)) else {
        let error =
            Hinted::usage(format!("`--ssh {text}`: there is no ssh agent, as SSH_AUTH_SOCK is not set"));
        return Err(error
            .hint("start one with `eval $(ssh-agent)`, or name its socket: `--ssh ID=SOCKET`")
            .into());
    };
    if !is_socket(&path) {
        let error =
            Hinted::usage(format!("`--ssh {text}`: `{}` is not the socket of an agent", path.display()));
        let hint = "load keys into an agent: `eval $(ssh-agent); ssh-add KEY`, then `--ssh default`";
        return Err(error.hint(hint).into());
    }
    Ok((id.to_owned(), path))
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn network(text: &str) -> anyhow::Result<Network> {
    match text {
        "none" => Ok(Network::None),
        "default" | "bridge" => Ok(Network::Default),
        "host" => Ok(Network::Host),
        _ => Err(Hinted::usage(format!("`--network {text}`: expected `none`, `default` or `host`")).into()),
    }
}

/// A number with a unit: `k`, `m`, `g`, of 1024 each.
fn bytes(option: &str, text: &str) -> anyhow::Result<u64> {
    let lower = text.to_ascii_lowercase();
    let plain = lower.strip_suffix('b').unwrap_or(&lower);
    let plain = plain.strip_suffix('i').unwrap_or(plain);
    let (number, shift) = match plain.strip_suffix(['k', 'm', 'g', 't']) {
        Some(number) => (number, 10 * (1 + "kmgt".find(&plain[number.len()..]).unwrap_or(0))),
        None => (plain, 0),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    let bytes = bytes.filter(|bytes| *bytes > 0);
    Ok(bytes
        .ok_or_else(|| Hinted::usage(format!("`--{option} {text}`: expected a size as in `512m` or `2g`")))?)
}

/// A number with a unit: `s`, `m`, `h`; seconds without one.
fn time(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let unit = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| *seconds > 0);
    let seconds = seconds
        .ok_or_else(|| Hinted::usage(format!("`--timeout {text}`: expected a time as in `90s` or `15m`")))?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        let size = |text: &str| bytes("memory", text).ok();
        assert_eq!((size("512m"), size("2g"), size("1024")), (Some(512 << 20), Some(2 << 30), Some(1024)));
        assert_eq!(
            (size("1KiB"), size("5b"), size("0"), size("x"), size("")),
            (Some(1024), Some(5), None, None, None)
        );
        assert_eq!(size("99999999999g"), None);
        let seconds = |text: &str| time(text).ok().map(|time| time.as_secs());
        assert_eq!(
            (seconds("90s"), seconds("15m"), seconds("2h"), seconds("7")),
            (Some(90), Some(900), Some(7200), Some(7))
        );
        assert_eq!((seconds("0"), seconds("m"), seconds("1d")), (None, None, None));
    }
}
