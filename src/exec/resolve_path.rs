//! Following links inside a root.
//!
//! A link's target is read as if its root were the whole world: an absolute one starts at that root, and `..`
//! stops there. So no path, whatever the links in it say, leads out.

use crate::tree::{ImagePath, Kind, PathError, Tree};

/// As many as the kernel's and container engines' limits together would let pass.
const MAX_LINKS: usize = 255;

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    #[error("`{}` leads through more than {MAX_LINKS} links", .0.display())]
    TooManyLinks(ImagePath),
    #[error("`{}` is not a folder", .0.display())]
    NotAFolder(ImagePath),
    #[error(transparent)]
    Path(#[from] PathError),
}

/// What says what stands at a path.
pub(super) trait Names {
    /// `None` where nothing is. A folder that stands nowhere itself but has something in it is a folder.
    fn kind(&self, path: &ImagePath) -> Option<&Kind>;
}

/// The folder that nothing says more of.
pub(super) static IMPLICIT: Kind = Kind::Dir;

impl Names for Tree {
    fn kind(&self, path: &ImagePath) -> Option<&Kind> {
        match self.get(path) {
            Some(node) => Some(&node.kind),
            None if path.is_root() || self.below(path).next().is_some() => Some(&IMPLICIT),
            None => None,
        }
    }
}

/// Where `path`, as seen from `root`, leads when every link in it is followed, the last one too. What isn't
/// there (yet) is taken as it is written.
pub(super) fn resolve(
    names: &impl Names,
    root: &ImagePath,
    path: &ImagePath,
) -> Result<ImagePath, ResolveError> {
    let mut todo = Vec::new();
    push(&mut todo, path.as_bytes());
    let mut at = root.clone();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == b".." {
            // A link can't be above: they are replaced by what they lead to.
            at = if at == *root { at } else { at.parent().unwrap_or_default() };
            continue;
        }
        let next = at.join_bytes(&part)?;
        match names.kind(&next) {
            Some(Kind::Symlink(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(ResolveError::TooManyLinks(path.clone()));
                }
                if target.contains(&0) {
                    return Err(PathError::Nul(target.to_vec()).into());
                }
                if target.starts_with(b"/") {
                    at = root.clone();
                }
                push(&mut todo, target);
            }
            Some(Kind::Dir) | None => at = next,
            Some(_) if todo.is_empty() => at = next,
            Some(_) => return Err(ResolveError::NotAFolder(next)),
        }
    }
    Ok(at)
}

/// Adds the parts of a path to a stack of those to go, the first on top.
fn push(todo: &mut Vec<Vec<u8>>, path: &[u8]) {
    let parts = path.split(|&b| b == b'/').filter(|part| !matches!(*part, b"" | b"."));
    todo.extend(parts.rev().map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::super::copy::testing::{path, tree};
    use super::*;

    fn led(listing: &str, root: &str, from: &str) -> String {
        match resolve(&tree(listing), &path(root), &path(from)) {
            Ok(path) => path.display(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn links_are_followed_in_the_root() {
        let listing = "d/f\n\
            in -> d\n\
            abs -> /d\n\
            up -> ../../../d\n\
            d/back -> ..\n\
            twice -> in/back/abs\n\
            gone -> /not/there\n\
            self -> self\n\
            a -> b\n\
            b -> a\n\
            root -> /\n\
            d/dot -> ././/f/.";
        for (from, expected) in [
            ("in/f", "/d/f"),
            ("abs/f", "/d/f"),
            ("up/f", "/d/f"),
            ("d/back/d/f", "/d/f"),
            ("twice/f", "/d/f"),
            ("root/root/d", "/d"),
            ("in", "/d"),
            ("d/dot", "/d/f"),
            ("gone", "/not/there"),
            ("gone/x", "/not/there/x"),
            ("new/x", "/new/x"),
            ("", "/"),
            ("self", "`/self` leads through more than 255 links"),
            ("a/x", "`/a/x` leads through more than 255 links"),
            ("d/f/x", "`/d/f` is not a folder"),
        ] {
            assert_eq!(led(listing, "", from), expected, "{from}");
        }
    }

    #[test]
    fn an_inner_root_is_a_root() {
        let listing = "secret\nr/abs -> /secret\nr/up -> ../secret\nr/d/up -> ../../../../secret/x";
        for (from, expected) in
            [("abs", "/r/secret"), ("up", "/r/secret"), ("d/up", "/r/secret/x"), ("d", "/r/d")]
        {
            assert_eq!(led(listing, "r", from), expected, "{from}");
        }
    }

    #[test]
    fn a_target_that_is_no_path_is_an_error() {
        let listing = format!("long -> {}\nnul -> a\0b", "x/".repeat(5000));
        assert!(led(&listing, "", "long").contains("longer than"));
        assert!(led(&listing, "", "nul").contains("NUL"));
    }

    #[test]
    fn targets_that_grow_are_bounded() {
        assert!(led("a -> a/a/a/a/a/a/a/a", "", "a").contains("more than 255 links"));
    }
}
