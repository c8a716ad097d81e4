//! Where a context's ignore file is.
//!
//! First found, alone counts: `<build file>.dockerignore` beside the build file, then `.buildignore`,
//! `.containerignore` and `.dockerignore` in the context's root. It is read whether or not it ignores itself,
//! and whatever kind of context it is: a repository built by its URL gives what its checkout gives.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::inside::{self, read_file};
use super::{ContextError, archive};
use crate::tree::pattern::Ignore;
use crate::tree::{ImagePath, Tree};

/// The names in the root of a context, in order.
pub const NAMES: [&str; 3] = [".buildignore", ".containerignore", ".dockerignore"];

/// More than any list that someone wrote.
const LIMIT: u64 = 4 << 20;

/// Finds and reads the list for a context in a folder. `build_file` is a path of this machine, if it has one.
/// Links in the folder are followed inside it.
pub fn find(root: &Path, build_file: Option<&Path>) -> Result<Option<(PathBuf, Ignore)>, ContextError> {
    let beside = build_file.map(beside);
    if let Some(path) = beside
        && let Some(text) = unless_folder(read_file(&path, LIMIT))?
    {
        return parse(path, &text).map(Some);
    }
    find_inside(root, None)
}

/// As [`find`], with a Buildfile that is a path in the folder: that of a checkout, say, which may be anyone's.
pub fn find_inside(
    root: &Path,
    build_file: Option<&Path>,
) -> Result<Option<(PathBuf, Ignore)>, ContextError> {
    let found = search(build_file, &|path| inside::read(root, path, LIMIT))?;
    found.map(|(path, text)| parse(root.join(path), &text)).transpose()
}

/// As [`find_inside`], for a context that is a tree.
pub fn find_in(tree: &Tree, build_file: Option<&Path>) -> Result<Option<(PathBuf, Ignore)>, ContextError> {
    let found = search(build_file, &|path| {
        let bytes = path.as_os_str().as_bytes();
        let image_path =
            ImagePath::clamped(bytes).map_err(|error| ContextError::Path { path: path.into(), error })?;
        archive::read_in(tree, &image_path, LIMIT)
    })?;
    found.map(|(path, text)| parse(path, &text)).transpose()
}

/// A folder of that name is no list, and no mistake.
fn unless_folder(read: Result<Option<Vec<u8>>, ContextError>) -> Result<Option<Vec<u8>>, ContextError> {
    match read {
        Err(ContextError::Folder(_)) => Ok(None),
        read => read,
    }
}

fn beside(build_file: &Path) -> PathBuf {
    let mut name = OsString::from(build_file);
    name.push(".dockerignore");
    name.into()
}

type Reader<'a> = dyn Fn(&Path) -> Result<Option<Vec<u8>>, ContextError> + 'a;

/// The first one that is there, by a reader of the context's files.
fn search(build_file: Option<&Path>, read: &Reader<'_>) -> Result<Option<(PathBuf, Vec<u8>)>, ContextError> {
    let names = build_file.map(beside).into_iter().chain(NAMES.map(PathBuf::from));
    for path in names {
        if let Some(text) = unless_folder(read(&path))? {
            return Ok(Some((path, text)));
        }
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
    use crate::context::{Options, folder};

    /// Looks in the folder, and in the tree that it makes.
    fn found(root: &Path, build_file: Option<&str>) -> Option<String> {
        let build_file = build_file.map(Path::new);
        let on_disk = build_file.map(|path| root.join(path));
        let tree = folder::read(root, Options::default()).unwrap().tree;
        let all = [find(root, on_disk.as_deref()), find_inside(root, build_file), find_in(&tree, build_file)];
        let names = all.map(|found| {
            let (path, ignore) = found.unwrap()?;
            assert!(ignore.excludes(b"x"));
            Some(path.strip_prefix(root).unwrap_or(&path).display().to_string())
        });
        assert!(names[0] == names[1] && names[1] == names[2], "{names:?}");
        names.into_iter().next().unwrap()
    }

    #[test]
    fn the_first_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        assert_eq!(found(root, None), None);
        for name in [".dockerignore", ".containerignore", ".buildignore"] {
            fs::write(root.join(name), "x").unwrap();
            assert_eq!(found(root, Some("docker/Dockerfile")).as_deref(), Some(name));
        }
        fs::create_dir(root.join("docker")).unwrap();
        fs::write(root.join("docker/Dockerfile.dockerignore"), "x").unwrap();
        assert_eq!(found(root, Some("docker/Dockerfile")).as_deref(), Some("docker/Dockerfile.dockerignore"));
        assert_eq!(found(root, None).as_deref(), Some(".buildignore"));
    }

    #[test]
    fn a_folder_of_that_name_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("Dockerfile.dockerignore/x")).unwrap();
        fs::create_dir(root.join(".buildignore")).unwrap();
        assert_eq!(found(root, Some("Dockerfile")), None);
        fs::write(root.join(".dockerignore"), "x").unwrap();
        assert_eq!(found(root, Some("Dockerfile")).as_deref(), Some(".dockerignore"));
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
