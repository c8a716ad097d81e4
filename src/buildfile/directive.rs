//! Parser directives: the comments `# name=value` before everything else.

use std::collections::BTreeSet;

use super::{
    diagnostic::Diagnostic,
    source::{Source, Span},
    syntax::{Comment, Word},
    values,
};
use crate::plan::Clock;

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
    /// `# clock=`: the wall clock that RUN steps see, `epoch` or `real`.
    pub clock: Option<ClockDirective>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', check: None, modes: None, clock: None }
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

/// `# clock=epoch` or `# clock=real`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDirective {
    pub span: Span,
    pub clock: Clock,
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

/// The directives of a source, and where they end: the lines before are neither comments nor instructions.
pub(super) fn parse(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> (Directives, usize) {
    let mut reader = Reader { directives: Directives::default(), seen: BTreeSet::new(), diagnostics };
    let mut end = 0;
    let mut after_shebang = false;
    for line in source.text().split_inclusive('\n') {
        if end == 0 && line.starts_with("#!") {
            after_shebang = true;
        } else {
            let Some((name, value)) = read(line, end) else { break };
            if !reader.take(&name, value, after_shebang) {
                break;
            }
        }
        end += line.len();
    }
    (reader.directives, end)
}

/// `# name = value`, with the place of the value.
fn read(line: &str, start: usize) -> Option<(Word, Word)> {
    let comment = line.trim_start().strip_prefix('#')?;
    assignment(comment, start + (line.len() - comment.len()))
}

/// `name = value` in the text of a comment.
fn assignment(comment: &str, start: usize) -> Option<(Word, Word)> {
    let text = comment.trim_start();
    let (name, value) = text.split_once('=')?;
    let name = name.trim_end_matches(SPACES);
    let valid = name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric());
    let value_start = text.len() - value.trim_start_matches(SPACES).len();
    let value = text[value_start..].trim_end_matches(SPACES);
    if !valid || value.is_empty() {
        return None;
    }
    let start = start + comment.len() - text.len();
    let word = |at: usize, text: &str| Word::new(text, Span::new(start + at, start + at + text.len()));
    Some((word(0, name), word(value_start, value)))
}

const SPACES: [char; 5] = ['\t', '\n', '\u{c}', '\r', ' '];

struct Reader<'a> {
    directives: Directives,
    seen: BTreeSet<String>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// False if it is no directive but a comment.
    fn take(&mut self, name: &Word, value: Word, after_shebang: bool) -> bool {
        let key = name.text.to_ascii_lowercase();
        if !["syntax", "escape", "check", "modes", "clock"].contains(&key.as_str()) {
            return false;
        }
        if !self.seen.insert(key.clone()) {
            let message = format!("only one {key} parser directive can be used");
            self.diagnostics.push(Diagnostic::error("duplicate-directive", name.span, message));
            return true;
        }
        match key.as_str() {
            "syntax" => self.directives.syntax = Some(value),
            "escape" if after_shebang => self.ignored(name),
            "escape" => self.escape(&value),
            "check" => self.check(&value),
            "modes" => self.modes(&value),
            _ => self.clock(&value),
        }
        true
    }

    /// The main implementation reads `check` and `syntax` behind a shebang line, but not `escape`.
    fn ignored(&mut self, name: &Word) {
        let message = "the escape parser directive has no effect after a `#!` line";
        self.diagnostics.push(Diagnostic::warning("ignored-directive", name.span, message));
    }

    fn escape(&mut self, value: &Word) {
        match value.as_str() {
            "\\" => self.directives.escape = '\\',
            "`" => self.directives.escape = '`',
            _ => self.invalid(value, "escape token", "it is a backslash or a backtick"),
        }
    }

    fn check(&mut self, value: &Word) {
        match CheckDirective::read(value) {
            Ok(check) => self.directives.check = Some(check),
            Err(option) => self.invalid(&option, "check option", "the options are `skip=…;error=true`"),
        }
    }

    fn modes(&mut self, value: &Word) {
        let modes = match value.as_str() {
            "git" => Modes::Git,
            "keep" => Modes::Keep,
            _ => return self.invalid(value, "modes", "they are `git` or `keep`"),
        };
        self.directives.modes = Some(ModesDirective { span: value.span, modes });
    }

    fn clock(&mut self, value: &Word) {
        match value.as_str().parse() {
            Ok(clock) => self.directives.clock = Some(ClockDirective { span: value.span, clock }),
            Err(_) => self.invalid(value, "clock", "it is `epoch` or `real`"),
        }
    }

    fn invalid(&mut self, value: &Word, what: &str, help: &str) {
        let message = format!("invalid {what} `{value}`", value = value.text);
        self.diagnostics.push(Diagnostic::error("invalid-directive", value.span, message).help(help));
    }
}

impl CheckDirective {
    /// The first of a statement's comments that is one, if it can be read.
    pub(super) fn among(comments: &[Comment]) -> Option<Self> {
        let (_, value) = comments
            .iter()
            .filter_map(|comment| assignment(&comment.text, comment.span.end - comment.text.len()))
            .find(|(name, _)| name.text.eq_ignore_ascii_case("check"))?;
        Self::read(&value).ok()
    }

    /// `option=value;…`, up to the first space. The error is the option that is wrong.
    pub(super) fn read(value: &Word) -> Result<Self, Word> {
        let options = value.text.split(' ').next().unwrap_or_default();
        let mut check = Self { span: value.span, ..Self::default() };
        let mut start = 0;
        for option in options.split(';') {
            let place = value.place(start..start + option.len());
            start += option.len() + 1;
            let wrong = || Word::new(option, place);
            let (key, list) = option.split_once('=').ok_or_else(wrong)?;
            let list_start = place.start + key.len() + 1;
            match key.trim() {
                "skip" if list == "all" => check.skip_all = true,
                "skip" => check.skip = names(list, list_start),
                "experimental" => check.experimental = names(list, list_start),
                "error" => check.error = values::boolean(list.trim()).ok_or_else(wrong)?,
                _ => return Err(wrong()),
            }
        }
        Ok(check)
    }
}

fn names(list: &str, mut start: usize) -> Vec<Word> {
    let mut names = Vec::new();
    for name in list.split(',') {
        let at = start + name.len() - name.trim_start().len();
        names.push(Word::new(name.trim(), Span::new(at, at + name.trim().len())));
        start += name.len() + 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> (Directives, Vec<String>, String) {
        let source = Source::new("Buildfile", text);
        let mut diagnostics = Vec::new();
        let (directives, end) = parse(&source, &mut diagnostics);
        let messages = diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect();
        (directives, messages, text[end..].to_owned())
    }

    #[test]
    fn directives_end_at_anything_else() {
        let (directives, messages, rest) = read_all(
            "#syntax=docker/dockerfile:1\n # ESCAPE = ` \r\n# other=1\n# check=error=true\nFROM a\n",
        );
        assert_eq!(directives.syntax.unwrap().text, "docker/dockerfile:1");
        assert_eq!(directives.escape, '`');
        assert_eq!(directives.check, None);
        assert_eq!(messages, [""; 0]);
        assert!(rest.starts_with("# other"));
        for text in
            ["\n# escape=`\n", "FROM a\n# escape=`", "# a comment\n# escape=`", "# escape\n# escape=`"]
        {
            assert_eq!(read_all(text).0.escape, '\\', "{text}");
        }
    }

    #[test]
    fn each_only_once() {
        assert_eq!(read_all("# escape=`\n# Escape=\\\n").1, ["only one escape parser directive can be used"]);
    }

    #[test]
    fn wrong_values() {
        assert_eq!(read_all("# escape=x\n").1, ["invalid escape token `x`"]);
        assert_eq!(read_all("# check=skip=A;foo=b\n").1, ["invalid check option `foo=b`"]);
        assert_eq!(read_all("# check=error=maybe\n").1, ["invalid check option `error=maybe`"]);
        assert_eq!(read_all("# check=nothing\n").1, ["invalid check option `nothing`"]);
        assert_eq!(read_all("# modes=all\n").1, ["invalid modes `all`"]);
        assert_eq!(read_all("# clock=Epoch\n").1, ["invalid clock `Epoch`"]);
    }

    #[test]
    fn checks() {
        let check = read_all("# check=skip=A, B;error=true\n").0.check.unwrap();
        assert_eq!(check.skip.iter().map(Word::as_str).collect::<Vec<_>>(), ["A", ""]);
        let text = "# check=skip=A,Bc;error=true\n";
        let check = read_all(text).0.check.unwrap();
        assert!(check.error && !check.skip_all);
        assert_eq!(&text[check.skip[1].span.start..check.skip[1].span.end], "Bc");
        assert!(read_all("# check=skip=all\n").0.check.unwrap().skip_all);
    }

    #[test]
    fn a_shebang_line_is_passed_over() {
        let (directives, messages, rest) = read_all("#!/bin/x\n# check=skip=all\n# escape=`\nFROM a");
        assert!(directives.check.is_some());
        assert_eq!(directives.escape, '\\');
        assert_eq!(messages, ["the escape parser directive has no effect after a `#!` line"]);
        assert_eq!(rest, "FROM a");
    }
}
