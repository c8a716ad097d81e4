//! Heredocs: `<<[-]["']WORD` on `RUN`, `COPY` and `ADD`.

use super::{
    diagnostic::Diagnostic,
    expansion::{Expander, ExpansionError},
    lines::{Reader, Text},
    source::Span,
    syntax::Heredoc,
};

/// A word that is a heredoc's operator and delimiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operator {
    pub(super) name: String,
    pub(super) file_descriptor: u64,
    pub(super) expand: bool,
    pub(super) chomp: bool,
}

/// Reads `[number]<<[-]word`; None for any other word.
///
/// # Errors
/// If the delimiter's quotes are not closed.
pub(super) fn operator(text: &str) -> Result<Option<Operator>, ExpansionError> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let Some(rest) = text[digits..].strip_prefix("<<") else { return Ok(None) };
    let chomp = rest.starts_with('-');
    let word = rest.strip_prefix('-').unwrap_or(rest).trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
    if word.is_empty() || word.contains('<') {
        return Ok(None);
    }
    // Quotes that go away when the word is read make the content literal; an escaped quote is part of the name.
    let expander = Expander::new('\\').keep_unset();
    let names = expander.expand(word, &|_| None)?.words;
    let typed = expander.keep_quotes().expand(word, &|_| None)?.words;
    let ([name], [typed]) = (names.as_slice(), typed.as_slice()) else { return Ok(None) };
    Ok(Some(Operator {
        name: name.clone(),
        // No number is 0; one that is too large can't be opened anyway.
        file_descriptor: if digits == 0 { 0 } else { text[..digits].parse().unwrap_or(u64::MAX) },
        expand: quotes(name) == quotes(typed),
        chomp,
    }))
}

fn quotes(text: &str) -> usize {
    text.chars().filter(|char| matches!(char, '\'' | '"')).count()
}

/// The heredocs of a line, their bodies read from the lines that follow. A line that a shell's word rules can't
/// read has none.
pub(super) fn read(
    line: Text<'_>,
    reader: &mut Reader<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Heredoc> {
    let mut heredocs = Vec::new();
    for (operator, span) in operators(line, diagnostics) {
        let Some(content) = reader.heredoc(&operator.name, operator.chomp) else {
            diagnostics.push(unterminated(&operator, span));
            break;
        };
        let Operator { name, file_descriptor, expand, chomp } = operator;
        heredocs.push(Heredoc { name, span, file_descriptor, expand, chomp, content });
    }
    heredocs
}

fn operators(line: Text<'_>, diagnostics: &mut Vec<Diagnostic>) -> Vec<(Operator, Span)> {
    let text = line.as_str();
    if !text.contains("<<") {
        return Vec::new();
    }
    // The words stay as they are typed, so they can be found again.
    let expander = Expander::new('\\').keep_quotes().keep_escapes().keep_unset();
    let words = expander.expand(text, &|_| None).map(|expansion| expansion.words).unwrap_or_default();
    let mut found = Vec::new();
    let mut from = 0;
    for word in &words {
        let at = text[from..].find(word.as_str()).map(|at| from + at);
        let place = at.map_or(line, |at| line.sub(at..at + word.len()));
        from = at.map_or(from, |at| at + word.len());
        match operator(word) {
            Ok(Some(operator)) => found.push((operator, place.span())),
            Ok(None) => {}
            Err(error) => diagnostics.push(error.at(&place.word())),
        }
    }
    found
}

fn unterminated(operator: &Operator, span: Span) -> Diagnostic {
    Diagnostic::error("unterminated-heredoc", span, "unterminated heredoc")
        .label("begins here")
        .help(format!("end it with a line that is only `{}`", operator.name))
}

/// Takes the tabs off the start of each line, as `<<-` asks.
pub(super) fn chomp(content: &str) -> String {
    content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::source::Source;

    fn name(text: &str) -> Option<String> {
        operator(text).unwrap().map(|operator| operator.name)
    }

    #[test]
    fn delimiters() {
        for text in [
            "<<EOF",
            "<<'EOF'",
            "<<\"EOF\"",
            "<<-EOF",
            "<<-'EOF'",
            "<<EO\"F\"",
            "<< EOF",
            "<<- EOF",
            "3<<EOF",
        ] {
            assert_eq!(name(text).as_deref(), Some("EOF"), "{text}");
        }
        for text in ["", "EOF", "<<", "<<-", "<EOF", "<<<EOF", "<<EOF sh", "a<<EOF", "<<\"\""] {
            assert_eq!(name(text), None, "{text}");
        }
        for text in ["<<'EOF", "<<\"EOF", "<<EOF'", "<<EOF\""] {
            assert!(operator(text).is_err(), "{text}");
        }
        assert_eq!(name("<< -EOF").as_deref(), Some("-EOF"));
        assert_eq!(name("<<$EOF").as_deref(), Some("$EOF"));
        assert_eq!(name("<<'one two'").as_deref(), Some("one two"));
    }

    #[test]
    fn quotes_make_the_content_literal() {
        for (text, expand) in [
            ("<<EOF", true),
            ("<<'EOF'", false),
            ("<<eo'f'", false),
            ("<<eo\\'f", true),
            ("<<'e'o\\'f", false),
        ] {
            assert_eq!(operator(text).unwrap().unwrap().expand, expand, "{text}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(operator("3<<EOF").unwrap().unwrap().file_descriptor, 3);
        assert_eq!(operator("99999999999999999999<<EOF").unwrap().unwrap().file_descriptor, u64::MAX);
    }

    fn names(line: &str, body: &str) -> (Vec<(String, String)>, usize) {
        let source = Source::new("f", format!("{line}\n{body}"));
        let mut reader = Reader::new(&source, '\\', 0);
        let line = reader.line().unwrap();
        let mut diagnostics = Vec::new();
        let heredocs = read(line.text(), &mut reader, &mut diagnostics);
        (
            heredocs.into_iter().map(|heredoc| (heredoc.name, heredoc.content.text)).collect(),
            diagnostics.len(),
        )
    }

    #[test]
    fn of_a_line() {
        for (line, expected) in [
            ("RUN <<EOF", "EOF"),
            ("RUN cat <<EOF | tac", "EOF"),
            ("RUN cat <<EOF > /x && ${x:=y}", "EOF"),
            ("RUN <<  EOF  > foo", "EOF"),
        ] {
            assert_eq!(names(line, "a\nEOF\n").0, [(expected.to_owned(), "a\n".to_owned())], "{line}");
        }
        for line in [
            "RUN \"<<EOF\"",
            "RUN '<<EOF'",
            "RUN a<<EOF",
            "RUN <<- EOF",
            "RUN \\<<EOF",
            "RUN <<<EOF",
            "RUN ${ <<EOF",
            "RUN it's <<EOF",
        ] {
            assert_eq!(names(line, "a\nEOF\n"), (vec![], 0), "{line}");
        }
        let two = names("COPY <<X <<Y /d", "Y\nX\nX\nY\n").0;
        assert_eq!(two, [("X".to_owned(), "Y\n".to_owned()), ("Y".to_owned(), "X\n".to_owned())]);
        assert_eq!(names("RUN <<A <<B", "x\nA\ny\n"), (vec![("A".to_owned(), "x\n".to_owned())], 1));
    }

    #[test]
    fn tabs() {
        assert_eq!(chomp("\ta\n\t\tb\n  \tc"), "a\nb\n  \tc");
    }
}
