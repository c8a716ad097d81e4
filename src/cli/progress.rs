//! How a build shows what it is doing: live on a terminal, plain lines elsewhere, JSON lines for programs.

use std::collections::{BTreeMap, VecDeque};
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lith::buildfile::{Diagnostic, Source, check, render};
use lith::exec::run::line_shown;
use lith::exec::{Event, How, Moving, Report, StepName};
use lith::oci::{Descriptor, Digest};
use lith::sandbox::Stream;
use lith::text::{escaped, shown_up_to};
use lith::transport::Arrival;

use super::error::{Shown, tell, told};
use super::format::plain_json;
use super::log::{Diverted, Way, divert};

/// `--progress`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// `tty` on a terminal, `plain` elsewhere
    Auto,
    /// Running steps are redrawn in place
    Tty,
    /// A line for each thing that happens
    Plain,
    /// Warnings and errors alone
    Quiet,
    /// A JSON object for each thing that happens, on stderr
    #[value(alias = "rawjson")]
    Json,
}

/// `--progress` and `-q`, for subcommands that move images.
#[derive(Debug, clap::Args)]
pub(crate) struct ProgressArg {
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// How progress is shown
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: Mode,
}

impl ProgressArg {
    pub(crate) fn start(&self) -> Progress {
        Progress::new(if self.quiet { Mode::Quiet } else { self.progress })
    }
}

/// Shows events in one of the modes.
#[derive(Debug)]
pub(crate) struct Progress {
    mode: Mode,
    live: MultiProgress,
    running: Mutex<Vec<(String, ProgressBar)>>,
    _records: Diverted,
    /// Of running steps, by their key.
    printed: Mutex<BTreeMap<String, Printed>>,
}

impl Progress {
    pub(crate) fn new(mode: Mode) -> Self {
        let mode = match mode {
            Mode::Auto if std::io::stderr().is_terminal() => Mode::Tty,
            Mode::Auto => Mode::Plain,
            mode => mode,
        };
        let live = MultiProgress::new();
        let records = divert(match mode {
            Mode::Tty => Way::Above(live.clone()),
            Mode::Json => Way::Json,
            Mode::Auto | Mode::Plain | Mode::Quiet => Way::Plain,
        });
        Self { mode, live, running: Mutex::default(), printed: Mutex::default(), _records: records }
    }

    /// Shows what is wrong with a Buildfile, or could be better.
    pub(crate) fn diagnostics(&self, source: &Source, diagnostics: &[Diagnostic]) {
        self.end_all_printed();
        if self.mode == Mode::Json {
            self.json_diagnostics(source, diagnostics);
        } else if !diagnostics.is_empty() {
            self.line(render::render(source, diagnostics, true).trim_end());
        }
    }

    fn json_diagnostics(&self, source: &Source, diagnostics: &[Diagnostic]) {
        let mut report = check::json(source, diagnostics);
        let items = report["diagnostics"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for mut item in items {
            item["event"] = "diagnostic".into();
            item["file"] = source.name().into();
            self.line(&item.to_string());
        }
    }

    /// Shows the digest of what was built; `on_stderr` if stdout is taken.
    pub(crate) fn built(&self, digest: &Digest, on_stderr: bool) {
        if self.mode == Mode::Json {
            self.line(&serde_json::json!({"event": "built", "digest": digest}).to_string());
        } else if on_stderr {
            self.line(&digest.to_string());
        }
    }

    /// Shows the error that ends a build, if it isn't for people.
    pub(crate) fn error(&self, error: anyhow::Error) -> anyhow::Error {
        if self.mode != Mode::Json || error.is::<Shown>() {
            return error;
        }
        let (message, hint) = told(&error);
        self.line(&serde_json::json!({"event": "error", "message": message, "hint": hint}).to_string());
        Shown::error(&error).into()
    }

    /// Prints a line above whatever is being redrawn.
    fn line(&self, line: &str) {
        if self.mode == Mode::Tty { self.live.suspend(|| tell(line)) } else { tell(line) }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<(String, ProgressBar)>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn start_spinner(&self, step: StepName<'_>) {
        let style =
            ProgressStyle::with_template("{spinner} {prefix} {elapsed}{msg}").expect("a valid template");
        let bar = self.live.add(ProgressBar::new_spinner().with_style(style).with_prefix(describe(step)));
        bar.enable_steady_tick(Duration::from_millis(120));
        self.running().push((key(step), bar));
    }

    fn blob(&self, blob: &Descriptor, what: Moving) {
        match what {
            Moving::Arrived(how) => {
                if self.mode == Mode::Tty {
                    self.end_bar(blob.digest().as_ref());
                }
                let size = super::format::size(blob.size());
                self.line(&format!("{} {} ({size})", arrival(how), short(blob)));
            }
            _ if self.mode != Mode::Tty => {}
            Moving::Began => self.start_bar(blob),
            Moving::Moved(bytes) => {
                let running = self.running();
                if let Some((_, bar)) = running.iter().find(|(key, _)| key == blob.digest().as_ref()) {
                    bar.inc(bytes);
                }
            }
        }
    }

    fn start_bar(&self, blob: &Descriptor) {
        // A second try, say: it begins anew.
        self.end_bar(blob.digest().as_ref());
        let style = ProgressStyle::with_template("{msg} {bar:24} {decimal_bytes}/{decimal_total_bytes}")
            .expect("a valid template");
        let bar = ProgressBar::new(blob.size()).with_style(style).with_message(short(blob));
        self.running().push((blob.digest().to_string(), self.live.add(bar)));
    }

    fn end_bar(&self, key: &str) {
        let mut running = self.running();
        if let Some(index) = running.iter().position(|(k, _)| k == key) {
            let (_, bar) = running.swap_remove(index);
            bar.finish_and_clear();
        }
    }

    /// Shows what a step's program wrote: as lines under its name, or the last of them live.
    fn printed(&self, step: StepName<'_>, stream: Stream, bytes: &[u8]) {
        let mut printed = self.printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let lines = printed.entry(key(step)).or_default().take(stream, bytes);
        if self.mode != Mode::Tty {
            lines.iter().for_each(|line| self.line(&format!("[{step}] {line}")));
        } else if let Some((_, bar)) = self.running().iter().find(|(k, _)| *k == key(step)) {
            let last =
                printed[&key(step)].last.iter().map(|line| format!("\n    {}", shown_up_to(100, line)));
            bar.set_message(last.collect::<String>());
        }
    }

    /// Shows what is left of the output of steps that did not finish.
    fn end_all_printed(&self) {
        let left =
            std::mem::take(&mut *self.printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if self.mode == Mode::Plain {
            left.into_values().flat_map(Printed::finish).for_each(|line| self.line(&line));
        }
    }

    /// Shows what is left of a step's output.
    fn end_printed(&self, step: StepName<'_>) {
        let left = self.printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&key(step));
        if self.mode != Mode::Tty {
            let lines = left.map(Printed::finish).unwrap_or_default();
            lines.iter().for_each(|line| self.line(&format!("[{step}] {line}")));
        }
    }

    fn people(&self, event: &Event<'_>) {
        match event {
            Event::Checked { step, reproducible: false, files } => {
                self.line(&format!("{} \x1b[1;31mis not reproducible\x1b[0m", describe(*step)));
                if files.is_empty() {
                    self.line("  the same files, in another tar");
                }
                super::diff::text::files(files).iter().for_each(|line| self.line(&format!("  {line}")));
            }
            Event::Warning { text } => self.line(&format!("\x1b[1;33mwarning\x1b[0m: {}", escaped(text))),
            _ if self.mode == Mode::Quiet => {}
            Event::Checked { step, .. } => self.line(&format!("{} is reproducible", describe(*step))),
            Event::Started { step } if self.mode == Mode::Tty => {
                self.start_spinner(*step);
            }
            Event::Printed { step, stream, bytes } => self.printed(*step, *stream, bytes),
            Event::Finished { step, how, took } => {
                self.end_printed(*step);
                if self.mode == Mode::Tty {
                    self.end_bar(&key(*step));
                }
                if *how != How::Config {
                    self.line(&format!("{} {}", describe(*step), ending(*how, *took)));
                }
            }
            Event::Why { why, .. } => {
                why.iter().for_each(|why| self.line(&format!("    why: {}", escaped(why))));
            }
            Event::Blob { blob, what } => self.blob(blob, *what),
            Event::Input { text } | Event::Output { text } => self.line(&escaped(text)),
            _ => {}
        }
    }
}

impl Report for Progress {
    fn report(&self, event: Event<'_>) {
        match self.mode {
            Mode::Json if matches!(event, Event::Blob { what: Moving::Moved(_), .. }) => {}
            Mode::Json => self.line(&plain_json(&json(&event).to_string())),
            _ => self.people(&event),
        }
    }
}

/// Enough of a digest to find it.
fn short(blob: &Descriptor) -> String {
    shown_up_to(19, blob.digest().as_ref())
}

fn arrival(how: Arrival) -> &'static str {
    match how {
        Arrival::Present => "already there",
        Arrival::Mounted => "mounted",
        Arrival::Pulled => "pulled",
        Arrival::Pushed => "pushed",
        Arrival::Resumed { .. } => "resumed",
        _ => "moved",
    }
}

fn key(step: StepName<'_>) -> String {
    format!("{}\0{}", step.stage, step.number)
}

fn describe(step: StepName<'_>) -> String {
    let text = shown_up_to(100, &step.text.replace('\n', " "));
    format!("[{step}] {text}")
}

/// What a running step wrote.
#[derive(Debug, Default)]
struct Printed {
    /// The lines that have not ended, of each stream.
    open: [Vec<u8>; 2],
    /// For a terminal.
    last: VecDeque<String>,
}

impl Printed {
    /// How many lines of a running step are shown on a terminal.
    const LAST: usize = 4;
    /// A line that is longer is shown in pieces.
    const LONG: usize = 4096;

    /// The lines that are complete by now.
    fn take(&mut self, stream: Stream, bytes: &[u8]) -> Vec<String> {
        let open = &mut self.open[stream as usize];
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            open.extend_from_slice(piece.strip_suffix(b"\n").unwrap_or(piece));
            if piece.ends_with(b"\n") || open.len() >= Self::LONG {
                lines.push(line_shown(open));
                open.clear();
            }
        }
        let live = lines.iter().cloned().chain((!open.is_empty()).then(|| line_shown(open)));
        self.last.extend(live.filter(|line| !line.is_empty()));
        while self.last.len() > Self::LAST {
            self.last.pop_front();
        }
        lines
    }

    fn finish(self) -> Vec<String> {
        self.open.iter().filter(|open| !open.is_empty()).map(|open| line_shown(open)).collect()
    }
}

fn ending(how: How, took: Duration) -> String {
    match how {
        How::Cached => "(cached)".into(),
        How::Unchanged => "(no change)".into(),
        How::Built { size } => format!("({}, {:.1} s)", super::format::size(size), took.as_secs_f64()),
        How::Applied | How::Config => format!("({:.1} s)", took.as_secs_f64()),
    }
}

fn json(event: &Event<'_>) -> serde_json::Value {
    use serde_json::json;
    let name = |s: &StepName<'_>| json!({"stage": s.stage, "number": s.number, "of": s.of, "text": s.text});
    match event {
        Event::Input { text } => json!({"event": "input", "text": text}),
        Event::Output { text } => json!({"event": "output", "text": text}),
        Event::Blob { blob, what } => {
            let (digest, size) = (blob.digest().to_string(), blob.size());
            let how = match what {
                Moving::Arrived(how) => arrival(*how),
                Moving::Began | Moving::Moved(_) => "began",
            };
            json!({"event": "blob", "digest": digest, "size": size, "how": how})
        }
        Event::Printed { step, stream, bytes } => {
            let stream = if *stream == Stream::Stdout { "stdout" } else { "stderr" };
            json!({"event": "printed", "step": name(step), "stream": stream, "text": String::from_utf8_lossy(bytes)})
        }
        Event::Checked { step, reproducible, files } => {
            json!({"event": "checked", "step": name(step), "reproducible": reproducible, "files": files})
        }
        Event::Why { step, why } => json!({"event": "why", "step": name(step), "why": why}),
        Event::Warning { text } => json!({"event": "warning", "text": text}),
        Event::Started { step } => json!({"event": "started", "step": name(step)}),
        Event::Finished { step, how, took } => {
            let (how, size) = match how {
                How::Config => ("config", None),
                How::Cached => ("cached", None),
                How::Unchanged => ("unchanged", None),
                How::Applied => ("applied", None),
                How::Built { size } => ("built", Some(*size)),
            };
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let mut value =
                json!({"event": "finished", "step": name(step), "how": how, "milliseconds": milliseconds});
            if let Some(size) = size {
                value["size"] = size.into();
            }
            value
        }
        _ => json!({"event": "other"}),
    }
}
