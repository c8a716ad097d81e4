use proptest::prelude::*;

use super::*;

fn list(patterns: &[&str]) -> Ignore {
    Ignore::from_patterns(patterns).unwrap()
}

/// What moby's own tests ask for.
#[test]
fn moby_agrees() {
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "dir/afile", true),
        ("**file*", "dir/afile", false),
        ("**/file", "dir/dir/file", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("a\\\\", "a\\", true),
        ("a\\*b", "a*b", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("foo**", "foobar/baz", true),
        ("*", "a/b/c", true),
        ("docs/", "docs/x", true),
        ("./docs/../docs//x", "docs/x", true),
        ("/docs", "docs", false),
        ("..", "a", false),
        (".", "a", false),
    ] {
        assert_eq!(list(&[pattern]).excludes(path.as_bytes()), expected, "`{pattern}` on `{path}`");
    }
}

#[test]
fn the_last_match_decides() {
    for (patterns, path, expected) in [
        (&["**", "!util/docker/web"][..], "util/docker/web/foo", false),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (&["**", "!dist/*.whl"], "dist/a+b.whl", false),
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs/*", "!docs/README.md"], "docs/README.md", false),
        (&["!fileutils.go", "*.go"], "fileutils.go", true),
        (&["*.go", "!fileutils.go"], "fileutils.go", false),
        (&["ba*", "!bay"], "bay", false),
        // A pattern that wasn't needed to exclude the folder isn't carried to what is in it.
        (&["*", "!foo/x", "foo"], "foo/x", false),
        (&["*", "!foo/x", "foo"], "foo/y", true),
        (&["!!a", "a"], "!a", false),
    ] {
        assert_eq!(list(patterns).excludes(path.as_bytes()), expected, "{patterns:?} on `{path}`");
    }
}

#[test]
fn a_file_is_read_as_moby_reads_it() {
    let ignore = Ignore::parse(
        b"\xef\xbb\xbf# a comment\r\ntest1\n/test2\n  /a/./file/here/  \n\n #x\n! /inverted/abs/path\n\\#y\n/\n.\n",
    )
    .unwrap();
    let texts: Vec<_> = ignore.patterns.iter().map(|p| (p.text(), p.line().unwrap())).collect();
    assert_eq!(
        texts,
        [
            ("test1", 2),
            ("test2", 3),
            ("a/file/here", 4),
            ("#x", 6),
            ("!inverted/abs/path", 7),
            ("\\#y", 8),
            ("/", 9),
            (".", 10)
        ]
    );
    assert!(ignore.excludes(b"#y") && ignore.excludes(b"a/file/here/deep"));
    assert!(!ignore.excludes(b"other"), "`/` and `.` exclude nothing");
}

#[test]
fn errors_name_the_line() {
    for (text, expected) in [
        (&b"a\n\n!\n"[..], "line 3: `!` names nothing to re-include"),
        (b"! /", "line 1: `!` names nothing to re-include"),
        (b"a\n[\n", "line 2: malformed pattern `[`: a `[` is not closed"),
        (b"x\\", "line 1: malformed pattern `x\\\\`: nothing follows the last `\\`"),
        (b"[z-a]", "line 1: malformed pattern `[z-a]`: a range in `[…]` is the wrong way round"),
    ] {
        assert_eq!(Ignore::parse(text).unwrap_err().to_string(), expected);
    }
    assert!(matches!(Ignore::parse(&[b'a'; 70000]), Err(IgnoreError::TooLong { line: 1, len: 70000 })));
    assert_eq!(
        Ignore::from_patterns(["["]).unwrap_err().to_string(),
        "malformed pattern `[`: a `[` is not closed"
    );
}

#[test]
fn the_reason_is_the_pattern_that_took_it() {
    let ignore = Ignore::parse(b"*\n!src\nsrc/*.o\n").unwrap();
    let why = |path: &[u8]| ignore.why(path).map(|pattern| (pattern.text(), pattern.line()));
    assert_eq!(why(b"README"), Some(("*", Some(1))));
    assert_eq!(why(b"src/a.o"), Some(("src/*.o", Some(3))));
    assert_eq!(why(b"src/a.c"), None);
    assert_eq!(why(b""), None);
}

#[test]
fn a_walk_may_stop_where_nothing_comes_back() {
    let ignore = list(&["*", "!src/**/*.c", "!docs/api/index.md", "!l?b"]);
    for (folder, expected) in [
        ("target", true),
        ("src", false),
        ("src/deep/er", false),
        ("docs", false),
        ("docs/api", false),
        ("docs/guide", true),
        ("docsy", true),
        ("lib", true),
    ] {
        assert_eq!(ignore.ends_at(folder.as_bytes()), expected, "`{folder}`");
    }
    assert!(!list(&["*", "!**/x"]).ends_at(b"any/where"));
    assert!(list(&["*"]).ends_at(b"any/where"));
}

/// moby's rules, written down once more without any of the shortcuts: characters, recursion, no state kept.
mod model {
    pub(super) fn excludes(patterns: &[String], path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let mut above: Option<Vec<bool>> = None;
        let mut excluded = false;
        for depth in 1..=parts.len() {
            let path = parts[..depth].join("/");
            excluded = false;
            let mut matched = vec![false; patterns.len()];
            for (i, pattern) in patterns.iter().enumerate() {
                let (pattern, re_includes) =
                    pattern.strip_prefix('!').map_or((&pattern[..], false), |p| (p, true));
                let inherited = above.as_ref().is_some_and(|above| above[i]);
                if !inherited && re_includes != excluded {
                    continue;
                }
                matched[i] = inherited || matches(pattern, &path);
                if matched[i] {
                    excluded = !re_includes;
                }
            }
            above = Some(matched);
        }
        excluded
    }

    fn matches(pattern: &str, path: &str) -> bool {
        match pattern.strip_prefix("**") {
            Some(text) if !text.contains(['*', '?', '[', ']', '\\']) => {
                path.ends_with(text) || Some(path) == text.strip_prefix('/')
            }
            _ => glob(&pattern.chars().collect::<Vec<_>>(), &path.chars().collect::<Vec<_>>()),
        }
    }

    fn glob(pattern: &[char], path: &[char]) -> bool {
        match pattern {
            [] => path.is_empty(),
            ['*', '*'] | ['*', '*', '/'] => true,
            ['*', '*', '/', rest @ ..] | ['*', '*', rest @ ..] => {
                glob(rest, path) || (0..path.len()).any(|i| path[i] == '/' && glob(rest, &path[i + 1..]))
            }
            ['*', rest @ ..] => {
                glob(rest, path) || (!path.is_empty() && path[0] != '/' && glob(pattern, &path[1..]))
            }
            ['?', rest @ ..] => !path.is_empty() && path[0] != '/' && glob(rest, &path[1..]),
            ['[', '^', c, ']', rest @ ..] => !path.is_empty() && path[0] != *c && glob(rest, &path[1..]),
            ['[', c, ']', rest @ ..] => !path.is_empty() && path[0] == *c && glob(rest, &path[1..]),
            [c, rest @ ..] => !path.is_empty() && path[0] == *c && glob(rest, &path[1..]),
        }
    }
}

fn any_pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[ab]",
        3 => Just("/".to_owned()),
        2 => Just("*".to_owned()),
        1 => Just("**".to_owned()),
        1 => Just("?".to_owned()),
        1 => Just("[^a]".to_owned()),
        1 => Just("]".to_owned()),
    ];
    ("!?", prop::collection::vec(piece, 1..7)).prop_filter_map("a normal pattern", |(mark, pieces)| {
        let text = String::from_utf8(clean(pieces.concat().as_bytes())).ok()?;
        (!text.starts_with('/') && text != ".").then(|| mark + &text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn lists_do_as_the_model_does(
        patterns in prop::collection::vec(any_pattern(), 0..6),
        mut paths in prop::collection::vec("[ab]{1,3}(/[ab]{1,2}){0,3}", 1..6),
    ) {
        let ignore = Ignore::from_patterns(&patterns).unwrap();
        let mut cursor = ignore.cursor();
        paths.sort();
        for path in &paths {
            let expected = model::excludes(&patterns, path);
            prop_assert_eq!(cursor.excludes(path.as_bytes()), expected, "{:?} on {}", patterns, path);
            prop_assert_eq!(ignore.excludes(path.as_bytes()), expected);
            for (slash, _) in path.match_indices('/') {
                let folder = &path.as_bytes()[..slash];
                if ignore.excludes(folder) && ignore.ends_at(folder) {
                    prop_assert!(expected, "{:?}: `{}` was pruned", patterns, path);
                }
            }
        }
    }

    #[test]
    fn any_file_is_a_list_or_an_error(text: Vec<u8>, path: Vec<u8>) {
        if let Ok(ignore) = Ignore::parse(&text) {
            ignore.excludes(&path);
        }
    }
}
