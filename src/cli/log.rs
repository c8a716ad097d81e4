//! `-v` and `-vv`: what the library tells of its doings, on stderr. Warnings are always shown. `RUST_LOG` is not read.

use std::sync::{Mutex, PoisonError};

use ::log::{Level, LevelFilter, Log, Metadata, Record};
use indicatif::MultiProgress;
use lith::text::escaped;

use super::error::tell;
use super::format::plain_json;

/// How lines get to stderr while something else is shown there.
#[derive(Debug, Clone, Default)]
pub(super) enum Way {
    #[default]
    Plain,
    /// Above what is being redrawn.
    Above(MultiProgress),
    Json,
}

static LOGGER: Logger = Logger(Mutex::new(Way::Plain));

struct Logger(Mutex<Way>);

/// Begins to show records: from `info` if `verbose` is 1, from `debug` if it is more.
pub(super) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    };
    ::log::set_logger(&LOGGER).expect("it is set once");
    ::log::set_max_level(level);
}

/// Lets records go another way until this is dropped.
#[derive(Debug)]
pub(super) struct Diverted(());

pub(super) fn divert(way: Way) -> Diverted {
    LOGGER.set(way);
    Diverted(())
}

impl Drop for Diverted {
    fn drop(&mut self) {
        LOGGER.set(Way::Plain);
    }
}

impl Logger {
    fn set(&self, way: Way) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = way;
    }
}

impl Log for Logger {
    /// Ours alone: what libraries below us tell of requests holds headers.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().split("::").next() == Some("lith")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let way = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match way {
            Way::Plain => tell(&line(record.level(), &text)),
            Way::Above(live) => live.suspend(|| tell(&line(record.level(), &text))),
            Way::Json => tell(&json(record.level(), &text)),
        }
    }

    fn flush(&self) {}
}

fn line(level: Level, text: &str) -> String {
    let text = escaped(text);
    match level {
        Level::Error | Level::Warn => format!("\x1b[1;33mwarning\x1b[0m: {text}"),
        Level::Info => text,
        Level::Debug | Level::Trace => format!("debug: {text}"),
    }
}

fn json(level: Level, text: &str) -> String {
    let event = match level {
        Level::Error | Level::Warn => serde_json::json!({"event": "warning", "text": text}),
        level => {
            let level = level.as_str().to_ascii_lowercase();
            serde_json::json!({"event": "log", "level": level, "text": text})
        }
    };
    plain_json(&event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_records_are_shown() {
        let logger = Logger(Mutex::default());
        let enabled = |target: &str| logger.enabled(&Metadata::builder().target(target).build());
        assert!(enabled("lith") && enabled("lith::transport"));
        assert!(!enabled("ureq") && !enabled("rustls::client") && !enabled("lithic"));
    }

    #[test]
    fn a_record_is_one_line_that_says_nothing_to_the_terminal() {
        assert_eq!(line(Level::Info, "a\n\x1b[2J"), "a\\n\\u{1b}[2J");
        assert_eq!(line(Level::Debug, "a"), "debug: a");
        assert_eq!(json(Level::Warn, "a\n"), r#"{"event":"warning","text":"a\n"}"#);
        assert_eq!(json(Level::Info, "a"), r#"{"event":"log","level":"info","text":"a"}"#);
    }
}
