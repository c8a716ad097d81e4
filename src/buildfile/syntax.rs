//! The syntax tree: what was typed, with its places, before any expansion and without knowledge of arguments,
//! files or images. Lowering makes a plan of it; checks read it.
//!
//! Invariants: statements are in source order; only `ARG` stands before the first `FROM`; a `FROM` starts a stage
//! and is nowhere else; words are as typed, with quotes and escapes, where an expansion is still to come, and
//! plain where none is (values of a JSON array, `--from`).

use super::{
    directive::{CheckDirective, Directives},
    instruction::{Arg, From, Instruction},
    source::Span,
};

/// A piece of text and its place.
///
/// The text is as typed, but for what the line and flag syntax take away: continuations, and in flags the quotes
/// and escapes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

impl Word {
    #[must_use]
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The place of a range of the text: exact where the text is as in the source, else that of the whole word.
    #[must_use]
    pub fn place(&self, range: std::ops::Range<usize>) -> Span {
        if self.text.len() != self.span.len() || range.end > self.text.len() {
            return self.span;
        }
        Span::new(self.span.start + range.start, self.span.start + range.end)
    }
}

/// A whole build file.
#[derive(Debug, Clone, Default)]
pub struct Buildfile {
    pub directives: Directives,
    /// The `ARG`s before the first `FROM`: seen by `FROM` lines, and in a stage once it declares them.
    pub globals: Vec<Statement<Arg>>,
    pub stages: Vec<Stage>,
}

impl Buildfile {
    /// The escape character that words of this file are to be expanded with.
    #[must_use]
    pub fn escape(&self) -> char {
        self.directives.escape
    }
}

/// A `FROM` and what follows it.
#[derive(Debug, Clone)]
pub struct Stage {
    pub from: Statement<From>,
    pub statements: Vec<Statement>,
}

/// One instruction as it stands in the file.
#[derive(Debug, Clone)]
pub struct Statement<I = Instruction> {
    /// As typed, in any case.
    pub keyword: Word,
    /// From the keyword to the end of the last line, bodies of heredocs included.
    pub span: Span,
    /// Where it begins, from 1.
    pub line: usize,
    /// The logical line: continuations joined, comments inside dropped, trimmed; without heredocs' bodies.
    pub original: String,
    /// The comments above, since the statement before or the last empty comment. Blank lines do not part them.
    pub comments: Vec<Comment>,
    /// What a comment `# check=skip=…` among them says about the checks of this statement.
    pub check: Option<CheckDirective>,
    /// Blank lines inside a continuation, for the check `NoEmptyContinuation`.
    pub empty_continuations: Vec<Span>,
    /// The arguments begin like a JSON array but are none, and so were taken as plain text; their place.
    pub malformed_json: Option<Span>,
    pub instruction: I,
}

impl Statement {
    /// The same as an `ARG`, if it is one.
    pub(super) fn into_arg(self) -> Option<Statement<Arg>> {
        match self.instruction {
            Instruction::Arg(instruction) => Some(Statement {
                keyword: self.keyword,
                span: self.span,
                line: self.line,
                original: self.original,
                comments: self.comments,
                check: self.check,
                empty_continuations: self.empty_continuations,
                malformed_json: self.malformed_json,
                instruction,
            }),
            _ => None,
        }
    }
}

/// A comment line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Without the `#` and surrounding white space; never empty.
    pub text: String,
    pub span: Span,
}

/// The command line of `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The JSON form, run as it is. May be empty (`CMD []`).
    Exec(Vec<Word>),
    /// The text to give to the stage's shell. Empty where there were no arguments.
    Shell(Word),
}

/// `name=value` of `ENV` and `LABEL`; both parts are expanded later, with quotes and escapes still in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: Word,
    pub value: Word,
    /// Written `name value`, without the equals sign, for the check `LegacyKeyValueFormat`.
    pub legacy: bool,
}

/// A file written in the build file itself: `<<EOF`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter, unquoted: also the name of the file that `COPY` and `ADD` make of it.
    pub name: String,
    /// The place of the operator and the delimiter.
    pub span: Span,
    /// The number before `<<`, 0 if there is none.
    pub file_descriptor: u64,
    /// The delimiter was not quoted: `COPY` and `ADD` expand variables in the content (the shell does it for `RUN`).
    pub expand: bool,
    /// `<<-`: leading tabs are to be taken off. [`Heredoc::text`] does it.
    pub chomp: bool,
    /// All between the instruction and the line of the delimiter, line ends as typed.
    pub content: Word,
}

impl Heredoc {
    /// The content, without leading tabs if `<<-` asks for that.
    #[must_use]
    pub fn text(&self) -> String {
        if self.chomp { super::heredoc::chomp(&self.content.text) } else { self.content.text.clone() }
    }
}
