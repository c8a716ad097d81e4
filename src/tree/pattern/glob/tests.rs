use proptest::prelude::*;

use super::*;

fn glob(pattern: &str) -> Glob {
    Glob::new(pattern).unwrap()
}

/// What Go's own tests of `filepath.Match` ask for, but for the ranges that lith refuses.
#[test]
fn go_agrees() {
    for (pattern, path, expected) in [
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "ab/c", false),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[b-d]", "abc", true),
        ("ab[^b-d]", "abc", false),
        ("a\\*b", "a*b", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("*??", "☺", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("a[^x]b", "a/b", true),
        ("[\\]a]", "]", true),
        ("[x\\-]", "-", true),
        ("[\\-x]", "a", false),
        ("[!a]", "!", true),
        ("a]", "a]", true),
        ("*x", "xxx", true),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(glob(pattern).matches(path.as_bytes()), expected, "`{pattern}` on `{path}`");
    }
    for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "[b-a]", "**/["]
    {
        assert!(Glob::new(pattern).is_err(), "`{pattern}` was taken");
    }
}

#[test]
fn double_stars_are_any_number_of_parts() {
    for (pattern, matching, others) in [
        ("**", &["a", "a/b/c"][..], &[][..]),
        ("**/a", &["a", "b/a", "c/b/a"], &["ba", "a/b"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a/xb", "ab", "a/b/c"]),
        ("a/**", &["a/b", "a/b/c"], &["a", "ab"]),
        ("**/*.c", &["x.c", "d/x.c"], &["x.c/y"]),
        ("a/**/*/c", &["a/b/c", "a/x/b/c"], &["a/c"]),
        ("**/a/**/b", &["a/b", "x/a/a/y/b"], &["a/xb"]),
        ("a**b", &["ab", "axb"], &["a/b"]),
    ] {
        for (path, expected) in matching.iter().map(|p| (p, true)).chain(others.iter().map(|p| (p, false))) {
            assert_eq!(glob(pattern).matches(path.as_bytes()), expected, "`{pattern}` on `{path}`");
        }
    }
}

#[test]
fn names_need_not_be_utf8() {
    assert!(glob("a?c").matches(b"a\xffc"));
    assert!(!glob("a?c").matches(b"a\xff\xfec"));
    assert!(glob("*\u{e9}").matches("\u{e9}\u{e9}".as_bytes()));
}

#[test]
fn plain_text_is_known_as_such() {
    assert_eq!(glob("a\\*/b").literal(), Some(&b"a*/b"[..]));
    assert_eq!(glob("a*").literal(), None);
}

#[test]
fn a_hostile_pattern_takes_no_longer() {
    let path = [b"a".repeat(4000), b"/".to_vec(), b"a".repeat(4000)].concat();
    for pattern in ["*a".repeat(300) + "b", "**/*a".repeat(100) + "b", "a**/*".repeat(100) + "b"] {
        for dialect in [Dialect::Parts, Dialect::Ignore] {
            assert!(!Glob::parse(pattern.as_bytes(), dialect).unwrap().matches(&path));
        }
    }
}

/// Says the same by trying everything.
fn plainly(tokens: &[Token], text: &[u8]) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
    let mut skips = (0..=text.len()).filter(|&n| std::str::from_utf8(&text[..n]).is_ok());
    match token {
        Token::Rest => skips.any(|n| plainly(rest, &text[n..])),
        Token::Star => skips.any(|n| !text[..n].contains(&b'/') && plainly(rest, &text[n..])),
        Token::Deep => skips.any(|n| (n == 0 || text[n - 1] == b'/') && plainly(rest, &text[n..])),
        fixed => fixed.width(text).is_some_and(|n| plainly(rest, &text[n..])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn both_ways_of_matching_do_as_the_plain_one(
        pattern in r"([ab*?/]|\*\*/|/\*\*|\[ab\]|\[\^a\]|\[\^/\]|é){0,8}",
        path in "[abé/]{0,10}",
    ) {
        for dialect in [Dialect::Parts, Dialect::Ignore] {
            let glob = Glob::parse(pattern.as_bytes(), dialect).unwrap();
            let expected = plainly(&glob.tokens, path.as_bytes());
            prop_assert_eq!(glob.matches(path.as_bytes()), expected, "{:?}", glob);
            let reach = Reach::start(path.len()).through(&glob.tokens, path.as_bytes());
            prop_assert_eq!(reach.is_some_and(|reach| reach.0[path.len()]), expected);
        }
    }

    #[test]
    fn what_may_match_below_is_never_denied(pattern in r"([ab*?/]|\*\*/|\[\^a\]){0,8}", path in "[ab]{1,3}(/[ab]{1,3}){1,3}") {
        let glob = Glob::new(&pattern).unwrap();
        if glob.matches(path.as_bytes()) {
            for (slash, _) in path.match_indices('/') {
                prop_assert!(glob.may_match_below(&path.as_bytes()[..slash]));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_pattern_or_an_error(pattern: Vec<u8>, path: Vec<u8>) {
        if let Ok(glob) = Glob::parse(&pattern, Dialect::Ignore) {
            glob.matches(&path);
            glob.may_match_below(&path);
        }
    }
}
