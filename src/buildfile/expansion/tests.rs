use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn expand_with(
    expander: Expander,
    text: &str,
    pairs: &[(&str, &str)],
) -> Result<Expansion, ExpansionErrorKind> {
    let variables = environment(pairs);
    expander.expand(text, &|name| variables.get(name).cloned()).map_err(|error| error.kind)
}

const VARIABLES: &[(&str, &str)] = &[("HOME", "/home"), ("SH", "bash"), ("K", "한국어"), ("NULL", "")];

fn expand(text: &str) -> Result<String, ExpansionErrorKind> {
    expand_with(Expander::new('\\'), text, VARIABLES).map(|expansion| expansion.text)
}

fn words(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    expand_with(Expander::new('\\'), text, pairs).unwrap().words
}

#[test]
fn quotes_and_escapes() {
    for (text, expected) in [
        ("plain", "plain"),
        ("a'b'c", "abc"),
        (r"a\'b", "a'b"),
        (r"a\tb", "atb"),
        (r#""a\tb""#, r"a\tb"),
        (r#""a\\tb""#, r"a\tb"),
        (r"'a\tb'", r"a\tb"),
        (r"end\", "end"),
        (r"end\\", r"end\"),
        (r"'end\'", r"end\"),
        (r#""it's""#, "it's"),
        (r#"'"q"'"#, r#""q""#),
        (r"안\'녕", "안'녕"),
        ("<a << b", "<a << b"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn unclosed_quotes() {
    for (text, quote) in [("it's", '\''), (r#""a"#, '"'), (r#""a\""#, '"'), (r"a\\'b", '\''), ("'a", '\'')] {
        assert_eq!(expand(text), Err(ExpansionErrorKind::Quote(quote)), "{text}");
    }
}

#[test]
fn variables() {
    for (text, expected) in [
        ("a$HOME", "a/home"),
        ("$HOME.", "/home."),
        ("$.", "$."),
        ("a$", "a$"),
        (r"a\$HOME", "a$HOME"),
        (r"a\\$HOME", r"a\/home"),
        (r#""\$HOME""#, "$HOME"),
        ("'$HOME'", "$HOME"),
        (r#""'$HOME'""#, "'/home'"),
        (r"\${}", "${}"),
        ("a$K", "a한국어"),
        ("a${NO}b", "ab"),
        ("$1x$12y$@z$@@", "xyz@"),
        ("${aaa}}", "}"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn defaults_alternatives_and_demands() {
    for (text, expected) in [
        ("${NO:-0}", "0"),
        ("${NO-0}", "0"),
        ("${NULL:-0}", "0"),
        ("${NULL-0}", ""),
        ("${HOME:-0}", "/home"),
        ("${NO:-$HOME}", "/home"),
        ("${NO:-${NO:-y}}x", "yx"),
        (r"${NO:-\$HOME:}", "$HOME:"),
        (r"${NO:-\}}", "}"),
        ("${NO:-a b {c}", "a b {c"),
        ("${NO:-'a}b'}", "a}b"),
        ("${HOME:+$SH}", "bash"),
        ("${NULL:+1}", ""),
        ("${NULL+1}", "1"),
        ("${NO+1}", ""),
        ("${HOME:?}", "/home"),
        ("${NULL?}", ""),
        ("${1:-b}", "b"),
        ("${@:-b}${-:-c}${?:-d}", "bcd"),
    ] {
        assert_eq!(expand(text).as_deref(), Ok(expected), "{text}");
    }
    let required = |name: &str, message: &str| ExpansionErrorKind::Required {
        name: name.into(),
        message: message.into(),
    };
    assert_eq!(expand("${NO?say $SH}"), Err(required("NO", "say bash")));
    assert_eq!(expand("${NO?}"), Err(required("NO", "is not allowed to be unset")));
    assert_eq!(expand("${NULL:?}"), Err(required("NULL", "is not allowed to be empty")));
    assert_eq!(expand("${NO:?}"), Err(required("NO", "is not allowed to be unset")));
}

#[test]
fn patterns() {
    let pairs =
        &[("F", "xxyy"), ("P", "/foo*/*/*.txt"), ("N", r"\*/"), ("B", "x"), ("E", ""), ("T", "/tmp/f.txt")];
    for (text, expected) in [
        ("${F#x}", "xyy"),
        ("${F##*x}", "yy"),
        ("${F#*x*y}", "y"),
        ("${F#*}", "xxyy"),
        ("${F##*}", ""),
        ("${F#$B}", "xyy"),
        ("${F#$E}", "xxyy"),
        ("${F#}${F##}${F%}", "xxyyxxyyxxyy"),
        ("${F%y}", "xxy"),
        ("${F%%y*}", "xx"),
        ("${NO%x}", ""),
        ("${P/$N/.} ${P//$N/.}", "/foo.*/*.txt /foo..*.txt"),
        (r"${T//\//\/}", r"\/tmp\/f.txt"),
        ("${F/$E/w}", "wxxyy"),
        ("${F///}", "xxyy"),
        ("${NO///}", ""),
        ("${F//x/$B$B}", "xxxxyy"),
        ("${F/'x'/'y'}", "yxyy"),
    ] {
        let result = expand_with(Expander::new('\\'), text, pairs).map(|expansion| expansion.text);
        assert_eq!(result.as_deref(), Ok(expected), "{text}");
    }
    let braces = &[("F", r"()[]{}^$.*?|\x")];
    let result = expand_with(Expander::new('\\'), r"${F#()[]{\}^$.\*\?|\\}", braces);
    assert_eq!(result.unwrap().text, "x");
}

#[test]
fn errors_of_syntax() {
    use ExpansionErrorKind::{Brace, Modifier, Slash, Substitution};
    for text in ["${}", "${{x}", "${:}", "${:-b}"] {
        assert_eq!(expand(text), Err(Substitution), "{text}");
    }
    for text in ["${", "${x", "${x:", "${x:-b", "${x:-${y}", "${x:-'b}", "${HOME#a", "${HOME/a/b"] {
        assert_eq!(expand(text), Err(Brace), "{text}");
    }
    for text in ["${HOME/a}", "${HOME//a}"] {
        assert_eq!(expand(text), Err(Slash), "{text}");
    }
    for (text, modifier) in [
        ("${x=a}", "="),
        ("${x:=a}", ":="),
        ("${.}", "."),
        ("${x:y}", ":y"),
        ("${x:#a}", ":#"),
        ("${x^^}", "^"),
    ] {
        assert_eq!(expand(text), Err(Modifier(modifier.to_owned())), "{text}");
    }
    assert!(matches!(expand(r"${HOME#\x}"), Err(ExpansionErrorKind::Pattern { .. })));
}

#[test]
fn errors_name_their_place() {
    let error = Expander::new('\\').expand("a ${x=1} b", &|_| None).unwrap_err();
    assert_eq!(error.range, 2..6);
    assert_eq!(error.to_string(), "unsupported modifier `=` in substitution");
}

#[test]
fn white_space_parts_words_unless_quoted() {
    let space = &[("S", "abc  def"), ("L", "  ab c"), ("T", "ab c   ")];
    for (text, expected) in [
        ("hello   there", vec!["hello", "there"]),
        ("a${S}b", vec!["aabc", "defb"]),
        (r#"a"${S}"b"#, vec!["aabc  defb"]),
        (r#"a "${S}"b"#, vec!["a", "abc  defb"]),
        ("a${L}d", vec!["a", "ab", "cd"]),
        (r#"a"${L}" d"#, vec!["a  ab c", "d"]),
        ("a${T}d", vec!["aab", "c", "d"]),
        (r"a\ b", vec!["a b"]),
        ("a${N:-b}c", vec!["abc"]),
        (r#""" ''"#, vec![]),
        ("<< a b", vec!["<< a", "b"]),
    ] {
        assert_eq!(words(text, space), expected, "{text}");
    }
}

#[test]
fn used_variables_are_told_apart() {
    let expansion =
        expand_with(Expander::new('\\'), "$A ${B:-$C} ${D+x} '$E'", &[("A", "1"), ("C", "2")]).unwrap();
    assert_eq!(expansion.set.iter().collect::<Vec<_>>(), ["A", "C"]);
    assert_eq!(expansion.unset.iter().collect::<Vec<_>>(), ["B", "D"]);
}

#[test]
fn dialects() {
    let backtick = Expander::new('`');
    assert_eq!(expand_with(backtick, r"C:\a`$X`", VARIABLES).unwrap().text, r"C:\a$X");
    let content = r#"it's "$HOME" \$HOME \a"#;
    assert_eq!(expand_with(Expander::heredoc(), content, VARIABLES).unwrap().text, r#"it's "/home" $HOME a"#);
    let raw = Expander::new('\\').keep_quotes().keep_escapes().keep_unset();
    let line = r#"a "b c" 'd' \e $NO ${NO:=x} ${NO:-y} <<'F'"#;
    assert_eq!(expand_with(raw, line, &[]).unwrap().text, line);
}

#[test]
fn hostile_input_ends() {
    let deep = "${a:-".repeat(100_000);
    assert_eq!(expand(&deep), Err(ExpansionErrorKind::Depth));
    let long = "x".repeat(1 << 20);
    let result = expand_with(Expander::new('\\'), &"$A".repeat(100), &[("A", &long)]);
    assert_eq!(result, Err(ExpansionErrorKind::Length));
}

/// What `$name`, `${name}`, `${name:-word}` and `${name+word}` mean, read character by character without quotes.
fn model(text: &str, variables: &BTreeMap<String, String>) -> String {
    let Some(at) = text.find('$') else { return text.to_owned() };
    let (before, rest) = (&text[..at], &text[at + 1..]);
    let value = |name: &str| variables.get(name).cloned();
    let (middle, after) = if let Some(inner) = rest.strip_prefix('{') {
        let close = inner.find('}').unwrap();
        let body = &inner[..close];
        let name: String = body.chars().take_while(char::is_ascii_alphanumeric).collect();
        let middle = match &body[name.len()..] {
            "" => value(&name).unwrap_or_default(),
            operation if operation.starts_with(":-") => {
                value(&name).filter(|value| !value.is_empty()).unwrap_or_else(|| operation[2..].to_owned())
            }
            operation => value(&name).map(|_| operation[1..].to_owned()).unwrap_or_default(),
        };
        (middle, &inner[close + 1..])
    } else {
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        (value(&name).unwrap_or_default(), &rest[name.len()..])
    };
    format!("{before}{middle}{}", model(after, variables))
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        parts in proptest::collection::vec(
            prop_oneof![
                "[a-c .,/]{0,4}",
                "\\$[A-C] ",
                "\\$\\{[A-D]\\}",
                "\\$\\{[A-D]:-[a-c/]{0,3}\\}",
                "\\$\\{[A-D]\\+[a-c/]{0,3}\\}",
            ],
            0..8,
        ),
        values in proptest::collection::vec("[x-z ]{0,3}", 3),
    ) {
        let text = parts.concat();
        let names = ["A", "B", "C"];
        let variables: BTreeMap<String, String> =
            names.iter().map(|name| (*name).to_owned()).zip(values).collect();
        let expansion = Expander::new('\\').expand(&text, &|name| variables.get(name).cloned()).unwrap();
        prop_assert_eq!(&expansion.text, &model(&text, &variables));
        let words: Vec<&str> = expansion.text.split_whitespace().collect();
        prop_assert_eq!(&expansion.words, &words);
    }

    #[test]
    fn never_panics(text in "[\\\\`'\"${}:/#%*?<a ]{0,40}", value in ".{0,8}") {
        for escape in ['\\', '`'] {
            for expander in [Expander::new(escape), Expander::new(escape).keep_quotes().keep_unset()] {
                drop(expander.expand(&text, &|name| (name == "a").then(|| value.clone())));
            }
        }
    }

    #[test]
    fn quoted_text_is_itself(text in "[^'\\\\]{0,20}") {
        prop_assert_eq!(&expand(&format!("'{text}'")).unwrap(), &text);
    }
}
