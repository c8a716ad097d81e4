//! WORKDIR: a folder and those above it.

use super::owner::{self, OwnerError, Unknown};
use super::resolve_path::{ResolveError, resolve};
use super::root::Root;
use crate::plan::Mkdir;
use crate::tree::{Changes, ImagePath, Meta, PathError, Tree};

/// What a [`Mkdir`] did.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) changes: Changes,
    /// Names that the image doesn't know, if it mattered.
    pub(super) unknown: Vec<Unknown>,
}

/// Why the folder can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MkdirError {
    #[error("making the folder `{path}`: {source}")]
    Resolve { path: String, source: ResolveError },
    #[error(transparent)]
    Owner(#[from] OwnerError),
}

/// Makes the folder, links in its path followed inside the root. Folders that are there stay as they are.
pub(super) fn changes(mkdir: &Mkdir, base: &Tree) -> Result<Made, MkdirError> {
    let fail = |source| MkdirError::Resolve { path: mkdir.path.clone(), source };
    let ids = mkdir.owner.as_ref().map(|owner| owner::ids(owner, base)).transpose()?.unwrap_or_default();
    let mut root = Root::new(base);
    let path = ImagePath::clamped(mkdir.path.as_bytes()).map_err(|e: PathError| fail(e.into()))?;
    let path = resolve(&root, &ImagePath::root(), &path).map_err(fail)?;
    let meta = Meta { uid: ids.uid, gid: ids.gid, ..Meta::root_owned(0o755) };
    root.make_dirs(&path, &meta).map_err(fail)?;
    let changes = root.into_changes();
    let unknown = if changes.is_empty() { Vec::new() } else { ids.unknown };
    Ok(Made { changes, unknown })
}

#[cfg(test)]
mod tests {
    use super::super::copy::testing::{listing, tree};
    use super::*;
    use crate::plan::Owner;

    fn made(base: &str, path: &str, user: Option<&str>) -> String {
        let owner = user.map(|user| Owner { user: user.into(), group: None });
        match changes(&Mkdir { path: path.into(), owner }, &tree(base)) {
            Ok(made) if made.unknown.is_empty() => listing(&made.changes),
            Ok(made) => format!("{}{:?}", listing(&made.changes), made.unknown),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn only_what_is_missing_is_made() {
        assert_eq!(made("a/ 0700 5:5", "/a/b/c", None), "/a/b/ 755\n/a/b/c/ 755\n");
        assert_eq!(made("a/b/f", "/a/b", None), "");
        assert_eq!(made("", "/", None), "");
    }

    #[test]
    fn links_are_followed_inside() {
        assert_eq!(made("l -> ../../x", "/l/y", None), "/x/ 755\n/x/y/ 755\n");
        assert_eq!(made("d/\nl -> d", "/l", None), "");
        assert_eq!(
            made("l -> l", "/l", None),
            "making the folder `/l`: `/l` leads through more than 255 links"
        );
    }

    #[test]
    fn the_user_owns_what_is_made() {
        let passwd = "etc/passwd = app:x:7:8::/:/bin/sh";
        assert_eq!(made(passwd, "/w/x", Some("app")), "/w/ 755 7:8\n/w/x/ 755 7:8\n");
        assert_eq!(made(passwd, "/w", Some("42")), "/w/ 755 42:42\n");
        assert_eq!(made(passwd, "/w", Some("who")), "/w/ 755\n[User(\"who\")]");
        assert_eq!(made(passwd, "/etc", Some("who")), "");
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        assert_eq!(made("f", "/f", None), "making the folder `/f`: `/f` is not a folder");
        assert_eq!(made("f", "/f/g", None), "making the folder `/f/g`: `/f` is not a folder");
    }
}
