//! docker's options for parts that this version of lith does not have: taken, so that command lines carry over,
//! said where leaving them out would matter, and refused where what they ask for must not seem done.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use lith::exec::{Event, Report};

use super::error::Hinted;

const HEADING: &str = "docker's options, taken so that command lines carry over";

/// How an option is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// `--rm`, `--rm=false`
    Switch,
    /// `--memory VALUE`, which may stand again
    Value(&'static str),
    /// `--provenance`, `--provenance=VALUE`
    MaybeValue(&'static str),
}

/// What follows if it was given.
#[derive(Debug, Clone, Copy)]
enum Effect {
    /// It would change nothing of the image.
    None,
    Warn(&'static str),
    Refuse {
        why: &'static str,
        hint: &'static str,
    },
    /// Another part of the command line asks for it.
    Asked,
}

use Effect::{Asked, None as Silent, Refuse, Warn};
use Form::{MaybeValue, Switch, Value};

#[derive(Debug, Clone, Copy)]
struct DockerOption {
    long: &'static str,
    short: Option<char>,
    form: Form,
    effect: Effect,
    help: &'static str,
}

const NO_LIMIT: Effect = Warn(
    "steps have the same limits everywhere, and `--memory`, `--pids-limit`, `--timeout` and `--shm-size`",
);
const NO_ATTESTATION: Effect = Warn("lith attaches no attestations; `--record FILE` writes the provenance");

const fn option(long: &'static str, form: Form, effect: Effect, help: &'static str) -> DockerOption {
    DockerOption { long, short: None, form, effect, help }
}

const fn short(short: char, option: DockerOption) -> DockerOption {
    DockerOption { short: Some(short), ..option }
}

const OPTIONS: &[DockerOption] = &[
    option("check", Switch, Asked, "Check the Buildfile instead, as `lith check` does"),
    option(
        "call",
        Value("METHOD"),
        Refuse {
            why: "lith has `check` and `build` alone",
            hint: "`lith check --help` says what a Buildfile can be asked",
        },
        "`check` is `--check`, `build` is what is done anyway; others are refused",
    ),
    option("ulimit", Value("ULIMIT"), NO_LIMIT, "Other limits of steps"),
    option(
        "add-host",
        Value("HOST:IP"),
        Warn("a step's /etc/hosts is always the same"),
        "Hosts that steps know by name",
    ),
    option("squash", Switch, Warn("lith makes a layer for each step"), "One layer for all steps"),
    option("provenance", MaybeValue("VALUE"), NO_ATTESTATION, "Attestations: none are written"),
    option("sbom", MaybeValue("VALUE"), NO_ATTESTATION, "Attestations: none are written"),
    option("attest", Value("VALUE"), NO_ATTESTATION, "Attestations: none are written"),
    option(
        "cache-to",
        Value("CACHE"),
        Warn("the build cache is in lith's store alone"),
        "The cache is in the store",
    ),
    option("cache-from", Value("CACHE"), Silent, "The cache is in the store"),
    option(
        "no-cache-filter",
        Value("STAGE"),
        Warn("`--no-cache` makes all stages anew"),
        "Stages that are made anew",
    ),
    option("rm", Switch, Silent, "There are no containers to remove"),
    option("force-rm", Switch, Silent, "There are no containers to remove"),
    option("builder", Value("NAME"), Silent, "lith is the builder"),
    option("compress", Switch, Silent, "The context is not sent anywhere"),
    option("isolation", Value("KIND"), Silent, "How steps are kept apart and limited"),
    option("cgroup-parent", Value("CGROUP"), Silent, "How steps are kept apart and limited"),
    option("security-opt", Value("OPTION"), Silent, "How steps are kept apart and limited"),
    option("memory-swap", Value("BYTES"), Silent, "How steps are kept apart and limited"),
    option("cpu-period", Value("LIMIT"), Silent, "How steps are kept apart and limited"),
    option("cpu-quota", Value("LIMIT"), Silent, "How steps are kept apart and limited"),
    short('c', option("cpu-shares", Value("WEIGHT"), Silent, "How steps are kept apart and limited")),
    option("cpuset-cpus", Value("CPUS"), Silent, "How steps are kept apart and limited"),
    option("cpuset-mems", Value("NODES"), Silent, "How steps are kept apart and limited"),
    short('D', option("debug", Switch, Silent, "Progress tells all there is")),
];

/// Those that were given.
#[derive(Debug, Clone, Default)]
pub(super) struct Docker {
    given: Vec<usize>,
    check: bool,
}

impl Docker {
    /// Says which options are taken without effect, and refuses what must not seem done.
    pub(super) fn tell(&self, report: &dyn Report) -> anyhow::Result<()> {
        for DockerOption { long, effect, .. } in self.given.iter().map(|&index| &OPTIONS[index]) {
            match effect {
                Silent | Asked => {}
                Warn(why) => {
                    report.report(Event::Warning { text: &format!("`--{long}` has no effect: {why}") });
                }
                Refuse { why, hint } => {
                    return Err(Hinted::usage(format!("`--{long}`: {why}")).hint(*hint).into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> bool {
        self.check
    }
}

impl DockerOption {
    fn arg(&self) -> Arg {
        let arg = Arg::new(self.long).long(self.long).help(self.help).help_heading(HEADING);
        let arg = match self.form {
            Switch => {
                let values = clap::builder::PossibleValuesParser::new(["true", "false", "1", "0"]);
                let arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
                arg.value_name("BOOL").value_parser(values).hide_possible_values(true)
            }
            Value(name) => arg.value_name(name),
            MaybeValue(name) => arg.value_name(name).num_args(0..=1).default_missing_value("true"),
        };
        let arg = arg.action(ArgAction::Append);
        self.short.into_iter().fold(arg, Arg::short)
    }

    /// Whether it was given; `=false` is docker's word for leaving it out.
    fn is_given(&self, matches: &ArgMatches) -> bool {
        let values = matches.get_many::<String>(self.long).and_then(Iterator::last);
        matches.value_source(self.long) == Some(ValueSource::CommandLine)
            && !(matches!(self.form, Switch | MaybeValue(_))
                && values.is_some_and(|value| matches!(value.as_str(), "false" | "0")))
    }
}

impl clap::FromArgMatches for Docker {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let call = matches.get_many::<String>("call").and_then(Iterator::last).map(String::as_str);
        let counts = |option: &DockerOption| {
            option.is_given(matches) && (option.long != "call" || !matches!(call, Some("build" | "check")))
        };
        let given = OPTIONS.iter().enumerate().filter(|(_, option)| counts(option));
        let given: Vec<usize> = given.map(|(index, _)| index).collect();
        let check = call == Some("check") || given.iter().any(|&index| OPTIONS[index].long == "check");
        Ok(Self { given, check })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Docker {
    fn augment_args(command: Command) -> Command {
        command.args(OPTIONS.iter().map(DockerOption::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
