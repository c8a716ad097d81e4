//! `STOPSIGNAL`: the signal that asks a container to end.

use super::{Request, Syntax};
use crate::buildfile::{diagnostic::Diagnostic, lower::StageBuilder, syntax::Word};

/// `STOPSIGNAL name-or-number`. Expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopsignal {
    pub signal: Word,
}

impl Syntax for Stopsignal {
    const KEYWORD: &'static str = "STOPSIGNAL";
    const HELP: &'static str = "STOPSIGNAL signal";

    /// Flags are passed over, whatever they are.
    fn parse(request: &mut Request<'_>) -> Option<Self> {
        Some(Self { signal: request.one(Self::KEYWORD)? })
    }
}

impl Stopsignal {
    pub(in crate::buildfile) fn lower(&self, cx: &mut StageBuilder<'_, '_>) -> Result<(), Diagnostic> {
        let signal = cx.expand(&self.signal)?;
        if !is_signal(&signal) {
            return Err(invalid(&signal, &self.signal));
        }
        cx.commit(format!("STOPSIGNAL {signal}"), None);
        cx.config.config.stop_signal = Some(signal);
        Ok(())
    }
}

fn invalid(signal: &str, word: &Word) -> Diagnostic {
    let error = Diagnostic::error("signal", word.span, format!("invalid signal: `{signal}`"))
        .help("it is a name like `SIGTERM`, or a number");
    let names: Vec<String> = NAMES.iter().map(|name| format!("SIG{name}")).collect();
    let full =
        if signal.to_uppercase().starts_with("SIG") { signal.to_owned() } else { format!("SIG{signal}") };
    error.suggest(&full, names.iter().map(String::as_str))
}

/// Linux's signals; the real-time ones are counted from `RTMIN` and `RTMAX`.
const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let counted = |prefix: &str, last: u32| {
        let number = name
            .strip_prefix(prefix)
            .filter(|n| !n.starts_with('0') && n.bytes().all(|b| b.is_ascii_digit()));
        number.and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n <= last)
    };
    NAMES.contains(&name) || counted("RTMIN+", 15) || counted("RTMAX-", 14)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::instruction::tests::{errors, parsed};
    use crate::buildfile::lower::testing::{errors as lowering_errors, target};

    #[test]
    fn takes_all_of_the_line() {
        assert_eq!(parsed::<Stopsignal>("STOPSIGNAL $sig").signal.text, "$sig");
        assert_eq!(parsed::<Stopsignal>("STOPSIGNAL --x 9").signal.text, "9");
        assert_eq!(errors("STOPSIGNAL"), ["STOPSIGNAL requires exactly one argument"]);
        assert_eq!(errors("STOPSIGNAL --x"), ["STOPSIGNAL requires exactly one argument"]);
    }

    #[test]
    fn names_and_numbers() {
        for signal in ["SIGTERM", "term", "9", "-1", "RTMIN", "SIGRTMIN+15", "rtmax-14"] {
            let stage = target(&format!("FROM scratch\nSTOPSIGNAL {signal}\n"));
            assert_eq!(stage.config.config.stop_signal.as_deref(), Some(signal));
        }
        for signal in ["0", "NOPE", "RTMIN+16", "RTMAX-15", "RTMIN+01", "RTMIN+", "$NONE"] {
            assert_eq!(lowering_errors(&format!("FROM scratch\nSTOPSIGNAL {signal}\n")).len(), 1, "{signal}");
        }
    }
}
