//! What `WWW-Authenticate` says (RFC 9110, section 11).

use std::collections::BTreeMap;
use std::fmt;

/// One challenge: a scheme in lower case and its parameters. A stranger's header: whatever it holds, reading it gives
/// the challenges that can be told apart, and never fails. Public for the fuzzer's sake.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    pub scheme: String,
    parameters: BTreeMap<String, String>,
}

/// A longer header than this has other things in mind.
const MAX_HEADER: usize = 8 << 10;

const MAX_CHALLENGES: usize = 16;

impl Challenge {
    /// All challenges of one header's value, in their order.
    pub fn parse(header: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut rest = if header.len() > MAX_HEADER { "" } else { header };
        while found.len() <= MAX_CHALLENGES {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (word, after) = token(rest);
            if word.is_empty() {
                let Some(garbage) = rest.chars().next() else { break };
                rest = &rest[garbage.len_utf8()..];
                continue;
            }
            match (found.last_mut(), after.trim_start().strip_prefix('=')) {
                (Some(challenge), Some(value)) => {
                    let (value, after) = value_of(value.trim_start());
                    challenge.parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                    rest = after;
                }
                _ => {
                    found.push(Self { scheme: word.to_ascii_lowercase(), ..Self::default() });
                    rest = without_token68(after);
                }
            }
        }
        found.truncate(MAX_CHALLENGES);
        found
    }

    /// The value of a parameter, its quotes and escapes undone. The first, if there are several.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// A quoted string, or all up to a comma or a space: realms have been seen without their quotes.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([',', ' ', '\t']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[at + 1..]),
            c => {
                value.push(c);
                escaped = false;
            }
        }
    }
    (value, "")
}

/// Skips the other form that a challenge may have: some base64 instead of parameters.
fn without_token68(text: &str) -> &str {
    let word = text.trim_start_matches([' ', '\t']);
    let is_token68 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let rest = word.trim_start_matches(is_token68).trim_start_matches('=').trim_start();
    let skips = word.len() < text.len() && rest.len() < word.len();
    if skips && (rest.is_empty() || rest.starts_with(',')) { rest } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Vec<(String, Vec<(String, String)>)> {
        let all = Challenge::parse(header).into_iter();
        all.map(|c| (c.scheme, c.parameters.into_iter().collect())).collect()
    }

    fn expect(header: &str, expected: &[(&str, &[(&str, &str)])]) {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let expected: Vec<_> =
            expected.iter().map(|(s, p)| ((*s).to_owned(), p.iter().map(own).collect())).collect();
        assert_eq!(read(header), expected, "{header}");
    }

    #[test]
    fn challenges_are_told_apart() {
        expect(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
            &[(
                "bearer",
                &[
                    ("realm", "https://auth.docker.io/token"),
                    ("scope", "repository:a/b:pull,push"),
                    ("service", "registry.docker.io"),
                ],
            )],
        );
        expect(
            r#"Negotiate, NTLM abc+/==, Basic realm="a \"b\" \\ c", charset=UTF-8 , BEARER Realm = x, realm=y"#,
            &[
                ("negotiate", &[]),
                ("ntlm", &[]),
                ("basic", &[("charset", "UTF-8"), ("realm", r#"a "b" \ c"#)]),
                ("bearer", &[("realm", "x")]),
            ],
        );
        expect(
            "Bearer realm=https://h/token,service=s",
            &[("bearer", &[("realm", "https://h/token"), ("service", "s")])],
        );
        expect("Basic", &[("basic", &[])]);
        expect(r#"Basic realm="unclosed, Bearer x=y"#, &[("basic", &[("realm", "unclosed, Bearer x=y")])]);
        expect(r#"realm="x", Basic"#, &[("realm", &[]), ("x", &[]), ("basic", &[])]);
    }

    #[test]
    fn garbage_is_survived() {
        for header in
            ["", ",,,", "=", "\"", "\\", "Bearer =", "Bearer realm=", "é=ü", "Bearer \u{0} realm=\"\\"]
        {
            drop(Challenge::parse(header));
        }
        assert!(Challenge::parse(&"Basic, ".repeat(MAX_HEADER)).is_empty());
        assert_eq!(Challenge::parse(&"Basic, ".repeat(100)).len(), MAX_CHALLENGES);
    }

    proptest! {
        #[test]
        fn anything_is_survived(header in "[A-Za-z =,\"\\\\é/]{0,60}") {
            for challenge in Challenge::parse(&header) {
                prop_assert!(!challenge.scheme.is_empty());
            }
        }

        #[test]
        fn what_was_quoted_comes_back(values in proptest::collection::vec("\\PC{0,20}", 1..4)) {
            let quote = |v: &String| v.replace('\\', "\\\\").replace('"', "\\\"");
            let parameters: Vec<_> = values.iter().enumerate().map(|(n, v)| format!("p{n}=\"{}\"", quote(v))).collect();
            let header = format!("Basic realm=x, Bearer {}", parameters.join(","));
            let all = Challenge::parse(&header);
            prop_assert_eq!(all.len(), 2);
            for (n, value) in values.iter().enumerate() {
                prop_assert_eq!(all[1].parameter(&format!("p{n}")), Some(value.as_str()));
            }
        }
    }
}
