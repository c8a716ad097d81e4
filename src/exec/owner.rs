//! Owners by name: looked up in the image's own passwd and group.
//!
//! The rules are the main implementation's: `root` and numbers are never looked up, a name that the image
//! does not know is root's (which is told, as [`Unknown`]), and what an image without a single file knows is not
//! asked. The files come from strangers: they are read up to a
//! bound, inside the root, and only if they are files.

use super::resolve_path::{Names as _, ResolveError, resolve};
use crate::plan::Owner;
use crate::tree::{ContentError, ImagePath, Kind, Tree};

const MAX_FILE: u64 = 10 << 20;

/// An owner in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) unknown: Vec<Unknown>,
}

/// A name that the image's files do not have. It counts as 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error("the image has no user `{}`, so root owns the files", .0.escape_debug())]
    User(String),
    #[error("the image has no group `{}`, so the user's group owns the files", .0.escape_debug())]
    Group(String),
}

/// Why an owner can't be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    #[error("looking up `{}`: {source}", .name.escape_debug())]
    Resolve { name: String, source: ResolveError },
    #[error("looking up `{}`: `{}` is not a regular file", .name.escape_debug(), .path.display())]
    NotAFile { name: String, path: ImagePath },
    #[error("looking up `{}`: `{}` exceeds {MAX_FILE} bytes", .name.escape_debug(), .path.display())]
    TooLarge { name: String, path: ImagePath },
    #[error("looking up `{}`: {source}", .name.escape_debug())]
    Content { name: String, source: ContentError },
    #[error("`--link` can't look up `{}` in the image: give its number", .name.escape_debug())]
    Linked { name: String },
    #[error("looking up `{}`: nothing is in the image yet", .name.escape_debug())]
    Empty { name: String },
}

/// The owner, looked up in `root`.
pub(super) fn ids(owner: &Owner, root: &Tree) -> Result<Ids, OwnerError> {
    lookup(owner, |name, file| {
        if root.is_empty() {
            return Err(OwnerError::Empty { name: name.into() });
        }
        Ok(read(root, file, name)?.unwrap_or_default())
    })
}

/// The owner, where there is no root to look into.
pub(super) fn ids_without_root(owner: &Owner) -> Result<Ids, OwnerError> {
    lookup(owner, |name, _| Err(OwnerError::Linked { name: name.into() }))
}

fn lookup(
    owner: &Owner,
    read: impl Fn(&str, &str) -> Result<Vec<u8>, OwnerError>,
) -> Result<Ids, OwnerError> {
    let mut ids = Ids::default();
    match number(&owner.user) {
        Some(id) => (ids.uid, ids.gid) = (id, id),
        None if owner.user.is_empty() => {}
        None => match find(&read(&owner.user, "etc/passwd")?, &owner.user, user) {
            Some(found) => (ids.uid, ids.gid) = found,
            None => ids.unknown.push(Unknown::User(owner.user.clone())),
        },
    }
    match owner.group.as_deref() {
        None => {}
        // `user:` asks for group 0, not for the user's.
        Some("") => ids.gid = 0,
        Some(name) => match number(name) {
            Some(id) => ids.gid = id,
            None => match find(&read(name, "etc/group")?, name, group) {
                Some(id) => ids.gid = id,
                None => ids.unknown.push(Unknown::Group(name.into())),
            },
        },
    }
    Ok(ids)
}

/// Numbers stand for themselves, up to 2³¹−1.
fn number(text: &str) -> Option<u32> {
    if text == "root" {
        return Some(0);
    }
    u32::try_from(text.parse::<i32>().ok()?).ok()
}

/// The first line that begins with the name, whether or not it makes sense.
fn find<T>(text: &[u8], name: &str, ids: impl Fn(&[&[u8]]) -> T) -> Option<T> {
    let lines = text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    lines.map(|line| line.split(|&b| b == b':').collect::<Vec<_>>()).find_map(|fields| match &fields[..] {
        [first, rest @ ..] if *first == name.as_bytes() => Some(ids(rest)),
        _ => None,
    })
}

/// `password:UID:GID:…`
fn user(fields: &[&[u8]]) -> (u32, u32) {
    (field(fields, 1), field(fields, 2))
}

/// `password:GID:…`
fn group(fields: &[&[u8]]) -> u32 {
    field(fields, 1)
}

/// What is no number, or isn't there, is 0.
fn field(fields: &[&[u8]], index: usize) -> u32 {
    let text = fields.get(index).and_then(|field| std::str::from_utf8(field).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The file's bytes; `None` if there is no such file.
pub(super) fn read(root: &Tree, file: &str, name: &str) -> Result<Option<Vec<u8>>, OwnerError> {
    let path = ImagePath::new(file.as_bytes()).expect("one of two constants");
    let path = match resolve(root, &ImagePath::root(), &path) {
        Ok(path) => path,
        Err(ResolveError::NotAFolder(_)) => return Ok(None),
        Err(source) => return Err(OwnerError::Resolve { name: name.into(), source }),
    };
    match root.kind(&path) {
        None => Ok(None),
        Some(Kind::File { content, .. }) => {
            let text = content.read_bounded(MAX_FILE);
            let text = text.map_err(|source| OwnerError::Content { name: name.into(), source })?;
            text.map(Some).ok_or_else(|| OwnerError::TooLarge { name: name.into(), path })
        }
        Some(_) => Err(OwnerError::NotAFile { name: name.into(), path }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::copy::testing::{path, tree};
    use super::*;
    use crate::tree::{Content, Node, Source};

    const IMAGE: &str = "etc/passwd = root:x:0:0::/:/bin/sh|bad|half:x:9|worse:x:abc:1:|worse:x:6:6:| app:x:7:8:::|app:x:1:1|\
        99:x:3:3:|#no:x:4:4|neg:x:-1:2|\n\
        etc/group = root:x:0:|app:x:70:|staff:x:50:app,root";

    fn found(image: &Tree, owner: &str) -> String {
        let (user, group) = match owner.split_once(':') {
            Some((user, group)) => (user, Some(group.to_owned())),
            None => (owner, None),
        };
        match ids(&Owner { user: user.into(), group }, image) {
            Ok(Ids { uid, gid, unknown }) if unknown.is_empty() => format!("{uid}:{gid}"),
            Ok(Ids { uid, gid, unknown }) => format!("{uid}:{gid} {unknown:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_and_numbers() {
        let image = tree(&IMAGE.replace('|', "\\n"));
        for (owner, expected) in [
            ("app", "7:8"),
            ("app:app", "7:70"),
            ("app:staff", "7:50"),
            ("app:5", "7:5"),
            ("app:", "7:0"),
            (":staff", "0:50"),
            (":", "0:0"),
            ("root", "0:0"),
            ("1000", "1000:1000"),
            ("1000:0", "1000:0"),
            ("1000:staff", "1000:50"),
            ("99", "99:99"),
            ("007", "7:7"),
            ("2147483647", "2147483647:2147483647"),
            ("worse", "0:1"),
            ("#no", "4:4"),
            ("bad", "0:0"),
            ("half", "9:0"),
            ("neg", "0:2"),
            ("nobody:nogroup", "0:0 [User(\"nobody\"), Group(\"nogroup\")]"),
            ("app:nogroup", "7:8 [Group(\"nogroup\")]"),
            ("2147483648", "0:0 [User(\"2147483648\")]"),
            ("-1", "0:0 [User(\"-1\")]"),
        ] {
            assert_eq!(found(&image, owner), expected, "{owner}");
        }
    }

    #[test]
    fn without_files_nobody_is_known() {
        for image in ["etc", "etc/passwd -> nowhere", "etc -> f\nf"] {
            assert_eq!(found(&tree(image), "app"), "0:0 [User(\"app\")]", "{image}");
        }
    }

    #[test]
    fn an_image_without_a_file_is_not_asked() {
        assert_eq!(found(&tree(""), "app"), "looking up `app`: nothing is in the image yet");
        assert_eq!(found(&tree(""), "5:app"), "looking up `app`: nothing is in the image yet");
        assert_eq!(found(&tree(""), "5:root"), "5:0");
    }

    #[test]
    fn the_files_may_be_links_inside_the_root() {
        let image = tree("etc/passwd -> ../../../../lib/passwd\nlib/passwd = app:x:7:8");
        assert_eq!(found(&image, "app"), "7:8");
    }

    #[test]
    fn hostile_files_are_refused() {
        let refused = |image: &str| found(&tree(image), "app");
        assert_eq!(refused("etc/passwd fifo"), "looking up `app`: `/etc/passwd` is not a regular file");
        assert_eq!(refused("etc/passwd/"), "looking up `app`: `/etc/passwd` is not a regular file");
        assert_eq!(
            refused("etc/passwd -> passwd"),
            "looking up `app`: `/etc/passwd` leads through more than 255 links"
        );
        let mut image = Tree::default();
        let huge = Content::new(MAX_FILE + 1, Source::Bytes(b"never read".to_vec().into()));
        let mut node = Node::implicit_dir();
        node.kind = Kind::File { content: huge, inode: None };
        image.put(path("etc/passwd"), node);
        assert_eq!(found(&image, "app"), "looking up `app`: `/etc/passwd` exceeds 10485760 bytes");
        assert_eq!(found(&image, "5"), "5:5");
    }

    #[test]
    fn without_a_root_numbers_are_all_there_is() {
        let owner = |user: &str| Owner { user: user.into(), group: None };
        assert_eq!(ids_without_root(&owner("root")).unwrap(), Ids::default());
        assert_eq!(ids_without_root(&owner("8")).unwrap().gid, 8);
        assert!(matches!(ids_without_root(&owner("app")), Err(OwnerError::Linked { .. })));
    }
}
