//! Flags: `--name=value` between an instruction's keyword and its arguments.

use std::collections::BTreeMap;

use super::{diagnostic::Diagnostic, lines::Text, syntax::Word, words};
use crate::text::closest;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--name`, `--name=true`, `--name=false`.
    Switch,
    /// `--name=value`, once.
    Value,
    /// `--name=value`, any number of times.
    List,
}

/// The flags that an instruction knows.
pub(super) type Known = [(&'static str, Kind)];

/// The flags at the start, each as a word without quotes and escapes, and the text after them.
pub(super) fn split(text: Text<'_>, escape: char) -> (Vec<Word>, Text<'_>) {
    let mut flags = Vec::new();
    let mut rest = text.trim();
    while rest.as_str().starts_with("--") {
        let (flag, length) = unquoted(rest.as_str(), escape);
        let word = Word::new(flag, rest.sub(0..length).span());
        rest = rest.from(length).trim();
        if word.text == "--" {
            break;
        }
        flags.push(word);
    }
    (flags, rest)
}

/// The word at the start without quotes and escapes, and its length as typed.
fn unquoted(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if quote.is_none() && char.is_whitespace() {
            return (word, at);
        }
        if char == escape {
            // At the end it is dropped. Here, unlike in words, it works in single quotes too.
            word.extend(chars.next().map(|(_, char)| char));
        } else if quote == Some(char) {
            quote = None;
        } else if quote.is_none() && matches!(char, '\'' | '"') {
            quote = Some(char);
        } else {
            word.push(char);
        }
    }
    (word, text.len())
}

/// Flags with their values, all known to the instruction.
#[derive(Debug, Default)]
pub(super) struct Flags(BTreeMap<&'static str, Vec<Word>>);

impl Flags {
    /// Reads all flags; what is wrong with any of them is reported, and makes this None.
    pub(super) fn read(words: &[Word], known: &Known, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let mut flags = Self::default();
        let mut good = true;
        for word in words {
            if let Err(diagnostic) = flags.add(word, known) {
                diagnostics.push(diagnostic);
                good = false;
            }
        }
        good.then_some(flags)
    }

    fn add(&mut self, word: &Word, known: &Known) -> Result<(), Diagnostic> {
        let (flag, value) = words::assignment(word);
        let found = known.iter().find(|(name, _)| flag.text.strip_prefix("--") == Some(name));
        let Some((name, kind)) = found else { return Err(unknown(&flag, known)) };
        if *kind != Kind::List && self.0.contains_key(name) {
            let message = format!("duplicate flag specified: `{}`", flag.text);
            return Err(Diagnostic::error("duplicate-flag", flag.span, message));
        }
        let value = match (kind, value) {
            (Kind::Switch, value) => switch(&flag, value)?,
            (_, Some(value)) => value,
            (_, None) => return Err(missing(&flag)),
        };
        self.0.entry(name).or_default().push(value);
        Ok(())
    }

    /// A flag's value; an empty one counts as none.
    pub(super) fn value(&mut self, name: &str) -> Option<Word> {
        self.given(name).filter(|word| !word.text.is_empty())
    }

    /// A flag's value, even if it is empty.
    pub(super) fn given(&mut self, name: &str) -> Option<Word> {
        self.0.remove(name)?.pop()
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<Word> {
        self.0.remove(name).unwrap_or_default()
    }

    /// None if the flag is not there.
    pub(super) fn switch(&mut self, name: &str) -> Option<bool> {
        Some(self.given(name)?.text == "true")
    }
}

/// The value in lower case, `true` if there is none.
fn switch(flag: &Word, value: Option<Word>) -> Result<Word, Diagnostic> {
    let Some(value) = value else { return Ok(Word::new("true", flag.span)) };
    match value.text.to_lowercase().as_str() {
        "" => Err(missing(flag)),
        text @ ("true" | "false") => Ok(Word::new(text, value.span)),
        _ => {
            let message = format!("expecting boolean value for flag `{}`, not `{}`", flag.text, value.text);
            Err(Diagnostic::error("flag-value", value.span, message).help("it is `true` or `false`"))
        }
    }
}

fn missing(flag: &Word) -> Diagnostic {
    let message = format!("missing a value on flag `{}`", flag.text);
    Diagnostic::error("flag-value", flag.span, message).help(format!("write it as `{}=value`", flag.text))
}

fn unknown(flag: &Word, known: &Known) -> Diagnostic {
    let message = format!("unknown flag `{}`", flag.text);
    let diagnostic = Diagnostic::error("unknown-flag", flag.span, message);
    let names: Vec<String> = known.iter().map(|(name, _)| format!("--{name}")).collect();
    match closest(&flag.text, names.iter().map(String::as_str)) {
        Some(name) => diagnostic.help(format!("did you mean `{name}`?")),
        None if names.is_empty() => diagnostic.help("this instruction has no flags"),
        None => diagnostic.help(format!("the flags are {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildfile::{lines::Reader, source::Source};

    fn split_line(text: &str) -> (Vec<String>, String) {
        let source = Source::new("f", text);
        let line = Reader::new(&source, '\\', 0).line().unwrap();
        let (flags, rest) = split(line.text(), '\\');
        (flags.into_iter().map(|flag| flag.text).collect(), rest.as_str().to_owned())
    }

    #[test]
    fn flags_end_at_the_first_argument() {
        for (text, flags, rest) in [
            ("--a --b=c d --e", vec!["--a", "--b=c"], "d --e"),
            ("--a -- --b c", vec!["--a"], "--b c"),
            ("--", vec![], ""),
            ("--a --", vec!["--a"], ""),
            ("-a", vec![], "-a"),
            (r#"--a="b c"'d e' f"#, vec!["--a=b cd e"], "f"),
            (r"--a=b\ c\\ d", vec![r"--a=b c\"], "d"),
            (r"--a='b\'c' d", vec!["--a=b'c"], "d"),
            ("--a=é à b", vec!["--a=é"], "à b"),
            (r"--a\", vec!["--a"], ""),
            (r#"--a="b c"#, vec!["--a=b c"], ""),
        ] {
            assert_eq!(
                split_line(text),
                (flags.iter().map(|flag| (*flag).to_owned()).collect(), rest.to_owned()),
                "{text}"
            );
        }
    }

    const KNOWN: &Known = &[("link", Kind::Switch), ("chown", Kind::Value), ("exclude", Kind::List)];

    fn read(words: &[&str]) -> Result<Flags, Vec<String>> {
        let words: Vec<Word> =
            words.iter().map(|word| Word::new(*word, crate::buildfile::Span::default())).collect();
        let mut diagnostics = Vec::new();
        Flags::read(&words, KNOWN, &mut diagnostics)
            .ok_or_else(|| diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect())
    }

    #[test]
    fn values() {
        let mut flags = read(&["--link", "--chown=a=b", "--exclude=1", "--exclude=2"]).unwrap();
        assert_eq!(flags.switch("link"), Some(true));
        assert_eq!(flags.value("chown").unwrap().text, "a=b");
        assert_eq!(flags.list("exclude").len(), 2);
        assert_eq!(read(&["--link=FALSE"]).unwrap().switch("link"), Some(false));
        assert_eq!(read(&[]).unwrap().switch("link"), None);
        assert_eq!(read(&["--chown="]).unwrap().value("chown"), None);
    }

    #[test]
    fn all_errors_are_reported() {
        for (words, expected) in [
            (vec!["--lnik", "--chown"], vec!["unknown flag `--lnik`", "missing a value on flag `--chown`"]),
            (vec!["--link="], vec!["missing a value on flag `--link`"]),
            (vec!["--link=1"], vec!["expecting boolean value for flag `--link`, not `1`"]),
            (vec!["--chown=a", "--chown=a"], vec!["duplicate flag specified: `--chown`"]),
            (vec!["--exclude"], vec!["missing a value on flag `--exclude`"]),
            (vec!["--LINK"], vec!["unknown flag `--LINK`"]),
        ] {
            assert_eq!(read(&words).unwrap_err(), expected, "{words:?}");
        }
        let known = unknown(&Word::new("--chwon", crate::buildfile::Span::default()), KNOWN);
        assert_eq!(known.help.as_deref(), Some("did you mean `--chown`?"));
    }
}
