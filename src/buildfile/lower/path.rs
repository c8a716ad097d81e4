//! Paths inside an image, as text: Go's `path.Clean` and `path.Join`, which the language's rules are written in.

/// Without `.`, `..`, doubled and trailing slashes; `..` at the root is the root. An empty path is `.`.
pub(in crate::buildfile) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// `path` as seen from `parent`, cleaned and absolute.
pub(in crate::buildfile) fn join(parent: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("/{parent}/{path}")) }
}

/// The last part of a path; `/` and `.` as Go's `path.Base` has them.
pub(in crate::buildfile) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/" } else { trimmed.rsplit('/').next().unwrap_or(trimmed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_is_gos() {
        for (path, expected) in [
            ("", "."),
            (".", "."),
            ("/", "/"),
            ("//", "/"),
            ("a//b/", "a/b"),
            ("/a/./b/..", "/a"),
            ("../a", "../a"),
            ("a/../..", ".."),
            ("/..", "/"),
            ("/../../a", "/a"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn join_is_always_absolute() {
        assert_eq!(join("/a", "b"), "/a/b");
        assert_eq!(join("a", "../../b"), "/b");
        assert_eq!(join("/a", "/b/"), "/b");
        assert_eq!(join("", "."), "/");
    }

    #[test]
    fn base_is_gos() {
        assert_eq!(["", "/", "a/b/", "a", "//"].map(base), [".", "/", "b", "a", "/"]);
    }
}
