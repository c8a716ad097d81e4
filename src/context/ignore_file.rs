//! Where a context's ignore file is.
//!
//! First found, alone counts: `<build file>.dockerignore` beside the build file, then `.buildignore`,
//! `.containerignore` and `.dockerignore` in the context's root. It is read whether or not it ignores itself,
//! and whatever kind of context it is: a repository built by its URL gives what its checkout gives.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ContextError;
use super::inside::{self, read_file};
use crate::tree::pattern::Ignore;
use crate::tree::{ImagePath, Node, Tree};

/// The names in the root of a context, in order.
pub const NAMES: [&str; 3] = [".buildignore", ".containerignore", ".dockerignore"];

/// More than any list that someone wrote.
const LIMIT: u64 = 4 << 20;

/// Finds and reads the list for a context in a folder. `build_file` is a path of this machine, if it has one.
/// Links in the folder are followed inside it.
pub fn find(root: &Path, build_file: Option<&Path>) -> Result<Option<(PathBuf, Ignore)>, ContextError> {
    if let Some(build_file) = build_file {
        let mut name = OsString::from(build_file);
        name.push(".dockerignore");
        let path = PathBuf::from(name);
        if let Some(text) = read_file(&path, LIMIT)? {
            return parse(path, &text).map(Some);
        }
    }
    for name in NAMES {
        if let Some(text) = inside::read(root, Path::new(name), LIMIT)? {
            return parse(root.join(name), &text).map(Some);
        }
    }
    Ok(None)
}

/// Finds and reads the list for a context that is no folder.
pub fn find_in(tree: &Tree) -> Result<Option<Ignore>, ContextError> {
    for name in NAMES {
        let path = ImagePath::new(name.as_bytes()).expect("a plain name");
        let Some(content) = tree.get(&path).and_then(Node::content) else { continue };
        let path = PathBuf::from(name);
        let bytes = content
            .read_bounded(LIMIT)
            .map_err(|error| ContextError::Io { path: path.clone(), error: std::io::Error::other(error) })?;
        let bytes = bytes.ok_or_else(|| ContextError::TooLarge { path: path.clone(), limit: LIMIT })?;
        return Ok(Some(parse(path, &bytes)?.1));
    }
    Ok(None)
}

fn parse(path: PathBuf, text: &[u8]) -> Result<(PathBuf, Ignore), ContextError> {
    match Ignore::parse(text) {
        Ok(ignore) => Ok((path, ignore)),
        Err(error) => Err(ContextError::Ignore { path, error }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(root: &Path, build_file: Option<&Path>) -> Option<String> {
        let (path, ignore) = find(root, build_file).unwrap()?;
        assert!(ignore.excludes(b"x"));
        Some(path.strip_prefix(root).unwrap().display().to_string())
    }

    #[test]
    fn the_first_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let build_file = root.join("docker/Dockerfile");
        assert_eq!(found(root, None), None);
        for name in [".dockerignore", ".containerignore", ".buildignore"] {
            fs::write(root.join(name), "x").unwrap();
            assert_eq!(found(root, Some(&build_file)).as_deref(), Some(name));
        }
        fs::create_dir(root.join("docker")).unwrap();
        fs::write(root.join("docker/Dockerfile.dockerignore"), "x").unwrap();
        assert_eq!(found(root, Some(&build_file)).as_deref(), Some("docker/Dockerfile.dockerignore"));
        assert_eq!(found(root, None).as_deref(), Some(".buildignore"));
    }

    #[test]
    fn links_stay_inside() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "[secret").unwrap();
        let dir = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join(".dockerignore")).unwrap();
        assert_eq!(found(dir.path(), None), None);
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/list"), "x").unwrap();
        symlink("sub/list", dir.path().join(".containerignore")).unwrap();
        assert_eq!(found(dir.path(), None).as_deref(), Some(".containerignore"));
    }

    #[test]
    fn what_is_no_list_is_an_error_that_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".dockerignore");
        fs::write(&path, "a\n[\n").unwrap();
        let error = find(dir.path(), None).unwrap_err().to_string();
        assert!(
            error.ends_with(".dockerignore`: line 2: malformed pattern `[`: a `[` is not closed"),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        let node = rustix::fs::CWD;
        rustix::fs::mknodat(node, &path, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
        assert!(matches!(find(dir.path(), None), Err(ContextError::NotAFile(_))));
        fs::remove_file(&path).unwrap();
        fs::write(&path, vec![b'\n'; 5 << 20]).unwrap();
        assert!(matches!(find(dir.path(), None), Err(ContextError::TooLarge { .. })));
    }
}
