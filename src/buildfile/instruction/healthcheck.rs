//! `HEALTHCHECK`: how to find out whether a container is well.

use std::time::Duration;

use super::{Request, Syntax};
use crate::buildfile::{
    check as lints,
    diagnostic::Diagnostic,
    flags::{Flags, Kind, Known},
    lines::Text,
    lower::{self, StageBuilder},
    syntax::{Command, Word},
    values,
};
use crate::oci;

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

const FLAGS: &Known = &[
    ("interval", Kind::Value),
    ("timeout", Kind::Value),
    ("start-period", Kind::Value),
    ("start-interval", Kind::Value),
    ("retries", Kind::Value),
];

impl Syntax for Healthcheck {
    const KEYWORD: &'static str = "HEALTHCHECK";
    const HELP: &'static str = "HEALTHCHECK [--interval=…] [--timeout=…] [--start-period=…] [--start-interval=…] [--retries=…] CMD command   or   HEALTHCHECK NONE";

    fn parse(request: &mut Request<'_>) -> Option<Self> {
        let text = request.arguments.as_str();
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let kind = request.arguments.sub(0..end);
        let rest = request.arguments.from(end).trim();
        let command = request.command_in(rest)?;
        match kind.as_str().to_uppercase().as_str() {
            "" => request.at_least_one(Vec::new(), Self::KEYWORD).map(|_: Vec<Word>| Self::None),
            "NONE" => none(request, &command, rest),
            "CMD" => check(request, command).map(Self::Check),
            _ => unknown(request, kind),
        }
    }
}

/// Flags are passed over, whatever they are.
fn none(request: &mut Request<'_>, command: &Command, rest: Text<'_>) -> Option<Healthcheck> {
    if is_empty(command) {
        return Some(Healthcheck::None);
    }
    request.fail(Diagnostic::error("arguments", rest.span(), "HEALTHCHECK NONE takes no arguments"))
}

fn unknown(request: &mut Request<'_>, kind: Text<'_>) -> Option<Healthcheck> {
    request.flags(FLAGS)?;
    let message = format!("unknown type `{}` in HEALTHCHECK", kind.as_str());
    let diagnostic = Diagnostic::error("arguments", kind.span(), message);
    request.fail(diagnostic.help("it is `CMD` with a command, or `NONE`"))
}

fn check(request: &mut Request<'_>, command: Command) -> Option<Check> {
    let mut flags = request.flags(FLAGS)?;
    if is_empty(&command) {
        return request.fail(Diagnostic::error(
            "arguments",
            request.place(),
            "missing command after HEALTHCHECK CMD",
        ));
    }
    Some(Check {
        command,
        interval: duration(request, &mut flags, "interval")?,
        timeout: duration(request, &mut flags, "timeout")?,
        start_period: duration(request, &mut flags, "start-period")?,
        start_interval: duration(request, &mut flags, "start-interval")?,
        retries: retries(request, &mut flags)?,
    })
}

fn is_empty(command: &Command) -> bool {
    match command {
        Command::Exec(words) => words.is_empty(),
        Command::Shell(word) => word.text.is_empty(),
    }
}

/// Zero is the same as absent.
fn duration(request: &mut Request<'_>, flags: &mut Flags, name: &str) -> Option<Option<Duration>> {
    let Some(word) = flags.value(name) else { return Some(None) };
    let message = match values::duration(&word.text) {
        Some(Duration::ZERO) => return Some(None),
        Some(duration) if duration >= Duration::from_millis(1) => return Some(Some(duration)),
        Some(_) => format!("`--{name}` cannot be less than 1ms"),
        None => format!("invalid duration `{}` of `--{name}`", word.text),
    };
    request.fail(
        Diagnostic::error("flag-value", word.span, message)
            .help("a duration is written like `1m30s` or `500ms`"),
    )
}

fn retries(request: &mut Request<'_>, flags: &mut Flags) -> Option<Option<u32>> {
    let Some(word) = flags.value("retries") else { return Some(None) };
    let message = match word.text.parse::<i32>().map(u32::try_from) {
        Ok(Ok(retries)) => return Some((retries > 0).then_some(retries)),
        Ok(Err(_)) => format!("`--retries` cannot be negative ({})", word.text),
        Err(_) => format!("invalid number `{}` of `--retries`", word.text),
    };
    request.fail(Diagnostic::error("flag-value", word.span, message))
}

impl Healthcheck {
    #[expect(clippy::unnecessary_wraps, reason = "as all instructions")]
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        if let Some(earlier) = cx.healthcheck.replace(cx.span()) {
            cx.lint(lints::multiple_instructions_disallowed(earlier, &cx.keyword()));
        }
        let config = self.config();
        cx.commit(format!("HEALTHCHECK {}", text(&config)), None);
        cx.config.config.healthcheck = Some(config);
        Ok(())
    }

    fn config(&self) -> oci::Healthcheck {
        let Self::Check(check) = self else {
            return oci::Healthcheck { test: vec!["NONE".to_owned()], ..oci::Healthcheck::default() };
        };
        let (kind, words) = match &check.command {
            Command::Exec(words) => ("CMD", words.as_slice()),
            Command::Shell(word) => ("CMD-SHELL", std::slice::from_ref(word)),
        };
        let words = words.iter().map(|word| word.text.clone());
        oci::Healthcheck {
            test: std::iter::once(kind.to_owned()).chain(words).collect(),
            interval: nanoseconds(check.interval),
            timeout: nanoseconds(check.timeout),
            start_period: nanoseconds(check.start_period),
            start_interval: nanoseconds(check.start_interval),
            retries: check.retries.unwrap_or(0).into(),
            ..oci::Healthcheck::default()
        }
    }
}

fn nanoseconds(duration: Option<Duration>) -> i64 {
    duration.map_or(0, |duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// As the history shows it.
fn text(config: &oci::Healthcheck) -> String {
    format!(
        "{{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        lower::list(&config.test),
        lower::duration(config.interval),
        lower::duration(config.timeout),
        lower::duration(config.start_period),
        lower::duration(config.start_interval),
        config.retries
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};

    fn check(line: &str) -> Check {
        match parsed(line) {
            Healthcheck::Check(check) => check,
            Healthcheck::None => panic!("{line}"),
        }
    }

    #[test]
    fn checks() {
        let read = check(
            "HEALTHCHECK --interval=5m --timeout=3s --start-period=1.5s --start-interval=0 --retries=3 cmd a  $b",
        );
        assert_eq!(read.interval, Some(Duration::from_secs(300)));
        assert_eq!(read.timeout, Some(Duration::from_secs(3)));
        assert_eq!(read.start_period, Some(Duration::from_millis(1500)));
        assert_eq!((read.start_interval, read.retries), (None, Some(3)));
        assert!(matches!(read.command, Command::Shell(word) if word.text == "a  $b"));
        assert!(
            matches!(check(r#"HEALTHCHECK CMD ["a", "b"]"#).command, Command::Exec(words) if words.len() == 2)
        );
        assert_eq!(check("HEALTHCHECK --retries=0 CMD a").retries, None);
    }

    #[test]
    fn none() {
        assert_eq!(parsed::<Healthcheck>("HEALTHCHECK none"), Healthcheck::None);
        assert_eq!(parsed::<Healthcheck>("HEALTHCHECK --what NONE"), Healthcheck::None);
        assert_eq!(errors("HEALTHCHECK NONE a"), ["HEALTHCHECK NONE takes no arguments"]);
    }

    #[test]
    fn errors_of_healthcheck() {
        for (line, expected) in [
            ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
            ("HEALTHCHECK CMD", "missing command after HEALTHCHECK CMD"),
            ("HEALTHCHECK CMD []", "missing command after HEALTHCHECK CMD"),
            ("HEALTHCHECK a b", "unknown type `a` in HEALTHCHECK"),
            ("HEALTHCHECK --interval=1 CMD a", "invalid duration `1` of `--interval`"),
            ("HEALTHCHECK --timeout=-1s CMD a", "invalid duration `-1s` of `--timeout`"),
            ("HEALTHCHECK --interval=1us CMD a", "`--interval` cannot be less than 1ms"),
            ("HEALTHCHECK --retries=-1 CMD a", "`--retries` cannot be negative (-1)"),
            ("HEALTHCHECK --retries=x CMD a", "invalid number `x` of `--retries`"),
            ("HEALTHCHECK --retry=1 CMD a", "unknown flag `--retry`"),
        ] {
            assert_eq!(errors(line), [expected], "{line}");
        }
    }
}
