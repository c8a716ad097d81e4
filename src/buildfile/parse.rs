//! From a source to its tree: a statement for each logical line, and stages of statements.

use super::{
    diagnostic::Diagnostic,
    directive::{self, CheckDirective, Directives},
    flags, heredoc,
    instruction::{self, From, Instruction, Request},
    lines::{Line, Reader, Text},
    source::{Source, Span},
    syntax::{Buildfile, Heredoc, Stage, Statement},
    words::{self, Json},
};

/// A tree and what was wrong, in the order of the source. An instruction that could not be read is not in the tree.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    pub buildfile: Buildfile,
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads a whole build file. After an error it goes on with the next instruction.
#[must_use]
pub fn parse(source: &Source) -> Parsed {
    let mut diagnostics = Vec::new();
    diagnostics.extend(long_line(source));
    let (directives, start) = directive::parse(source, &mut diagnostics);
    let escape = directives.escape;
    let mut assembly =
        Assembly { buildfile: Buildfile { directives, ..Buildfile::default() }, ..Assembly::default() };
    let mut reader = Reader::new(source, escape, start);
    while let Some(line) = reader.line() {
        let item = statement(source, &line, &mut reader, escape, &mut diagnostics);
        assembly.add(item, &mut diagnostics);
    }
    let buildfile = assembly.finish(&mut diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span);
    Parsed { buildfile, diagnostics }
}

/// The limit of the main implementation: a file that keeps to it builds everywhere.
const MAX_LINE: usize = 65_535;

fn long_line(source: &Source) -> Option<Diagnostic> {
    let mut start = 0;
    for line in source.text().split('\n') {
        if line.len() > MAX_LINE {
            let message = format!("line greater than max allowed size of {MAX_LINE}");
            return Some(Diagnostic::error("long-line", Span::new(start, start), message));
        }
        start += line.len() + 1;
    }
    None
}

/// A trigger and what was wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Trigger {
    pub statement: Option<Statement>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a trigger that `ONBUILD` has put in an image's config: a single instruction, with the usual escape
/// character unless it brings a directive of its own.
#[must_use]
pub fn parse_trigger(source: &Source) -> Trigger {
    let mut diagnostics = Vec::new();
    let (Directives { escape, .. }, start) = directive::parse(source, &mut diagnostics);
    let mut reader = Reader::new(source, escape, start);
    let item = reader.line().and_then(|line| {
        match statement(source, &line, &mut reader, escape, &mut diagnostics) {
            Item::Statement(statement) => Some(statement),
            Item::From(from) => {
                let message = "FROM isn't allowed as an ONBUILD trigger";
                diagnostics.push(Diagnostic::error("onbuild", from.keyword.span, message));
                None
            }
            Item::None | Item::BrokenFrom => None,
        }
    });
    let alone = reader.line().is_none();
    if !alone || (item.is_none() && diagnostics.is_empty()) {
        let message = "an ONBUILD trigger should be a single instruction";
        diagnostics.push(Diagnostic::error("onbuild", Span::new(0, source.text().len()), message));
    }
    Trigger { statement: item.filter(|_| alone), diagnostics }
}

enum Item {
    From(Statement<From>),
    /// A stage begins, but what it is can't be known.
    BrokenFrom,
    Statement(Statement),
    None,
}

fn statement(
    source: &Source,
    line: &Line,
    reader: &mut Reader<'_>,
    escape: char,
    diagnostics: &mut Vec<Diagnostic>,
) -> Item {
    let (keyword, rest) = words::first(line.text());
    let rest = rest.unwrap_or_else(|| line.text().from(line.text().as_str().len()));
    let (flags, arguments) = flags::split(rest, escape);
    let heredocs = if takes_heredocs(keyword.as_str(), arguments, escape) {
        heredoc::read(line.text(), reader, diagnostics)
    } else {
        Vec::new()
    };
    let span =
        Span::new(line.span.start, line.span.end.max(if heredocs.is_empty() { 0 } else { reader.end() }));
    report_invalid(source, line, &heredocs, diagnostics);
    let failed = diagnostics.len();
    let mut request = Request {
        line: line.text(),
        keyword: keyword.word(),
        flags,
        arguments,
        heredocs,
        escape,
        malformed_json: None,
        diagnostics,
    };
    let is_from = From::KEYWORD.eq_ignore_ascii_case(keyword.as_str());
    let instruction = if is_from {
        From::parse(&mut request).map(Any::From)
    } else if let Some(known) = instruction::find(keyword.as_str()) {
        (known.parse)(&mut request).map(Any::Instruction)
    } else {
        request.diagnostics.push(instruction::unknown(&request.keyword));
        None
    };
    let malformed_json = request.malformed_json;
    debug_assert!(instruction.is_some() || diagnostics.len() > failed, "an instruction fails with an error");
    match instruction {
        Some(Any::From(from)) => Item::From(finish(source, line, keyword, span, malformed_json, from)),
        Some(Any::Instruction(instruction)) => {
            Item::Statement(finish(source, line, keyword, span, malformed_json, instruction))
        }
        None if is_from => Item::BrokenFrom,
        None => Item::None,
    }
}

enum Any {
    From(From),
    Instruction(Instruction),
}

fn finish<I>(
    source: &Source,
    line: &Line,
    keyword: Text<'_>,
    span: Span,
    malformed_json: Option<Span>,
    instruction: I,
) -> Statement<I> {
    Statement {
        keyword: keyword.word(),
        span,
        line: source.line(span.start),
        original: line.text().trim().as_str().to_owned(),
        comments: line.comments.clone(),
        check: CheckDirective::among(&line.comments),
        empty_continuations: line.blank.clone(),
        malformed_json,
        instruction,
    }
}

/// `RUN`, `COPY` and `ADD`, also behind one `ONBUILD`, unless their arguments are a JSON array.
fn takes_heredocs(keyword: &str, arguments: Text<'_>, escape: char) -> bool {
    let Some(known) = instruction::find(keyword) else { return false };
    if known.heredocs {
        return !matches!(words::json(arguments), Json::Strings(_));
    }
    if known.keyword != "ONBUILD" {
        return false;
    }
    let (inner, rest) = words::first(arguments);
    let rest = rest.unwrap_or_else(|| arguments.from(arguments.as_str().len()));
    let heredocs = instruction::find(inner.as_str()).is_some_and(|known| known.heredocs);
    heredocs && !matches!(words::json(flags::split(rest, escape).1), Json::Strings(_))
}

/// Bytes that aren't UTF-8, anywhere but in comments: one error for a statement.
fn report_invalid(source: &Source, line: &Line, heredocs: &[Heredoc], diagnostics: &mut Vec<Diagnostic>) {
    let places = std::iter::once(line.span).chain(heredocs.iter().map(|heredoc| heredoc.content.span));
    let invalid = source.invalid();
    for place in places {
        let first = invalid.partition_point(|at| *at < place.start);
        let found =
            invalid[first..].iter().take_while(|at| place.contains(**at)).find(|at| !in_comment(line, **at));
        if let Some(at) = found {
            let span = Span::new(*at, at + char::REPLACEMENT_CHARACTER.len_utf8());
            let message = format!("invalid UTF-8 in line {}", source.line(*at));
            diagnostics.push(Diagnostic::error("invalid-utf8", span, message));
            return;
        }
    }
}

/// In a comment inside the line's continuation.
fn in_comment(line: &Line, offset: usize) -> bool {
    let after = line.dropped.partition_point(|comment| comment.start <= offset);
    after > 0 && line.dropped[after - 1].contains(offset)
}

/// Statements on their way into stages.
#[derive(Default)]
struct Assembly {
    buildfile: Buildfile,
    /// A `FROM` could not be read: what follows it belongs to no stage, and that is no further error.
    lost: bool,
    /// An instruction before the first `FROM` has been reported.
    early: bool,
    any: bool,
}

impl Assembly {
    fn add(&mut self, item: Item, diagnostics: &mut Vec<Diagnostic>) {
        self.any = true;
        match item {
            Item::From(from) => {
                self.lost = false;
                self.buildfile.stages.push(Stage { from, statements: Vec::new() });
            }
            Item::BrokenFrom => self.lost = true,
            Item::Statement(statement) => self.statement(statement, diagnostics),
            Item::None => {}
        }
    }

    fn statement(&mut self, statement: Statement, diagnostics: &mut Vec<Diagnostic>) {
        if self.lost {
            return;
        }
        if let Some(stage) = self.buildfile.stages.last_mut() {
            stage.statements.push(statement);
            return;
        }
        let span = statement.keyword.span;
        match statement.into_arg() {
            Some(argument) => self.buildfile.globals.push(argument),
            None if self.early => {}
            None => {
                self.early = true;
                let message = "no build stage in current context";
                let help = "begin a stage with `FROM`; only `ARG` may stand before the first one";
                diagnostics.push(Diagnostic::error("no-stage", span, message).help(help));
            }
        }
    }

    fn finish(self, diagnostics: &mut Vec<Diagnostic>) -> Buildfile {
        let message = if !self.any {
            "file with no instructions"
        } else if self.buildfile.stages.is_empty() && !diagnostics.iter().any(Diagnostic::is_error) {
            "no build stage: there is no `FROM`"
        } else {
            return self.buildfile;
        };
        diagnostics.push(Diagnostic::error("no-stage", Span::default(), message));
        self.buildfile
    }
}
