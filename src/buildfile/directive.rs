//! Parser directives: the comments `# name=value` before everything else.

use super::{source::Span, syntax::Word};

/// The parser directives of a build file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// `# syntax=`: accepted and ignored.
    pub syntax: Option<Word>,
    /// `# escape=`: a backslash, or a backtick.
    pub escape: char,
    /// `# check=`.
    pub check: Option<CheckDirective>,
    /// `# modes=`: how the context's modes are read, `git` or `keep`.
    pub modes: Option<ModesDirective>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: None, modes: None }
    }
}

/// `# check=skip=A,B;error=true`: which checks to skip, and whether warnings of checks fail the build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckDirective {
    pub span: Span,
    /// `skip=all`.
    pub skip_all: bool,
    /// Names of checks, as typed.
    pub skip: Vec<Word>,
    /// Names of experimental checks to run as well, as typed; `all` stands for each.
    pub experimental: Vec<Word>,
    /// `error=true`.
    pub error: bool,
}

/// `# modes=git` or `# modes=keep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModesDirective {
    pub span: Span,
    pub modes: Modes,
}

/// What of a context's modes reaches the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Modes {
    /// 0644 and 0755, as git sees files.
    #[default]
    Git,
    /// As they are in the context.
    Keep,
}
