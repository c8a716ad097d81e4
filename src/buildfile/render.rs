//! Diagnostics as text, with the lines they are about.
//!
//! Whatever a build file holds, no control character of it reaches the output.

use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Renderer, Snippet};

use super::{
    diagnostic::{Diagnostic, Severity},
    source::{Source, Span},
};
use crate::text::escaped_lines;

/// Bytes of a line that are shown; the place is shown without its line if it is beyond.
const MAX_LINE: usize = 16 << 10;

/// More reports than this hide the first, which is the one to begin with.
const MAX_REPORTS: usize = 200;

/// One report for each of the first diagnostics, blank lines between them. With colour, ANSI escape codes are in it.
#[must_use]
pub fn render(source: &Source, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MAX_REPORTS) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&report(&renderer, source, diagnostic));
        text.push('\n');
    }
    if let Some(more) = diagnostics.len().checked_sub(MAX_REPORTS).filter(|more| *more > 0) {
        text.push_str(&format!("\n{more} more like these are not shown\n"));
    }
    text
}

fn report(renderer: &Renderer, source: &Source, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut elements: Vec<Element<'_>> = Vec::new();
    if !diagnostic.span.is_none() {
        elements.push(snippet(source, diagnostic).into());
    }
    elements.extend(diagnostic.help.iter().map(|help| Level::HELP.message(escaped_lines(help)).into()));
    elements.extend(diagnostic.notes.iter().map(|note| Level::NOTE.message(escaped_lines(note)).into()));
    let title = level.primary_title(escaped_lines(&diagnostic.message)).id(diagnostic.code);
    renderer.render(&[title.elements(elements)])
}

/// The line that a diagnostic begins in, marked; of a place of several lines only the first is shown.
fn snippet<'a>(source: &'a Source, diagnostic: &Diagnostic) -> Snippet<'a, Annotation<'a>> {
    let position = source.position(diagnostic.span.start);
    let line = source.line_span(position.line);
    let shown = Span::new(line.start, line.end.min(line.start + MAX_LINE));
    // The renderer shows C0 controls as symbols but lets C1 through; a stand-in of the same length keeps offsets.
    let text =
        source.slice(source.floor(shown)).replace(|char| matches!(char, '\u{80}'..='\u{9f}'), "\u{bf}");
    let at = |offset: usize| offset.saturating_sub(line.start).min(text.len());
    let marked = at(diagnostic.span.start)..at(diagnostic.span.end);
    let annotation = AnnotationKind::Primary.span(marked);
    let label = Some(escaped_lines(&diagnostic.label)).filter(|label| !label.is_empty());
    Snippet::source(text).path(source.name()).line_start(position.line).annotation(annotation.label(label))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::buildfile::parse;

    fn rendered(text: &str) -> String {
        let source = Source::new("Buildfile", text);
        render(&source, &parse(&source).diagnostics, false)
    }

    #[test]
    fn shows_line_place_and_help() {
        expect![[r#"
            error[unknown-instruction]: unknown instruction: CPOY
             --> Buildfile:3:1
              |
            3 | CPOY a b
              | ^^^^
              |
              = help: did you mean `COPY`?

            error[flag-value]: invalid duration `5` of `--interval`
             --> Buildfile:5:14
              |
            5 |   --interval=5 \
              |              ^
              |
              = help: a duration is written like `1m30s` or `500ms`
        "#]]
        .assert_eq(&rendered("FROM a\n\nCPOY a b\nHEALTHCHECK \\\n  --interval=5 \\\n  CMD x\n"));
    }

    #[test]
    fn too_many_are_counted() {
        let text = rendered(&format!("FROM a\n{}", "CPOY a b\n".repeat(100_000)));
        assert_eq!(text.matches("unknown instruction").count(), MAX_REPORTS);
        assert!(text.ends_with("\n99800 more like these are not shown\n"), "{}", text.len());
    }

    #[test]
    fn an_empty_file() {
        expect![[r#"
            error[no-stage]: file with no instructions
             --> Buildfile:1:1
              |
            1 |
              | ^
        "#]]
        .assert_eq(&rendered(""));
    }

    #[test]
    fn no_control_characters() {
        let text = rendered("FROM a\n\u{1b}[31mX\u{7}\u{9b}2J b\n");
        assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
        assert!(text.contains("unknown instruction: \\u{1b}[31mX"), "{text}");
    }

    #[test]
    fn colour_is_optional() {
        let source = Source::new("Buildfile", "X");
        let diagnostics = parse(&source).diagnostics;
        assert!(render(&source, &diagnostics, true).contains("\u{1b}["));
        assert!(!render(&source, &diagnostics, false).contains('\u{1b}'));
    }

    #[test]
    fn long_lines_are_cut() {
        let text =
            rendered(&format!("FROM a\nRUN --x {}\nRUN {} --y", "é".repeat(100_000), "--z ".repeat(500)));
        assert!(text.lines().all(|line| line.len() < 1000));
    }
}
